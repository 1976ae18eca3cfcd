public import ObjectStore
public import Platform

/// The cloud settings in a FastShot client's `config.ini`, section `[CloudSync]`. What the client does not use is not
/// read; whether it has the synchronization switched on does not matter to us and is only told.
public struct FastShotConfiguration: Sendable, Equatable {
    /// `cloud_sync_enabled`.
    public let isEnabled: Bool
    /// `aws_access_key` and `aws_secret_key`; nil when one is missing.
    public let credentials: AWSCredentials?
    /// `aws_region`.
    public let region: String?
    /// `s3_bucket_name`.
    public let bucket: String?
    /// `encryption_key`, as it stands there.
    public let encryptionKey: Secret?
    /// `proxy_url`, when `proxy_enabled` is on. Secret, for it may hold a password.
    public let proxy: Secret?
    /// `ssl_verify`; on unless it is switched off.
    public let verifiesTLS: Bool

    /// Reads the section.
    /// - Returns: nil when the file has no such section.
    /// - Throws: `StoreError`, `.permanent` when it is no INI file, `.local` when it cannot be read.
    public static func load(_ path: String) throws(StoreError) -> FastShotConfiguration? {
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try Files.read(path, limit: 1 << 20) } catch { throw StoreError(error) }
        do throws(INIError) {
            return FastShotConfiguration(try INIFile.parse(String(decoding: bytes, as: UTF8.self)))
        } catch {
            throw StoreError(.permanent, message: "\(path): \(error)")
        }
    }

    /// Takes the section of a file that is read; nil when there is none.
    public init?(_ file: INIFile) {
        guard let section = file.section("CloudSync") else { return nil }
        // Python's configparser gives every section the values of [DEFAULT].
        let defaults = file.section("DEFAULT")
        func text(_ key: String) -> String? {
            guard let value = section.value(key) ?? defaults?.value(key), !value.isEmpty else { return nil }
            return value
        }
        func flag(_ key: String) -> Bool? {
            switch text(key)?.lowercased() {
            case "1", "yes", "true", "on": true
            case "0", "no", "false", "off": false
            default: nil
            }
        }
        func credential(_ key: String) -> Secret? {
            let bare = text(key)?.filter { !Self.isPadding($0) }
            return bare.flatMap { $0.isEmpty ? nil : Secret($0) }
        }
        func unquoted(_ key: String) -> String? {
            guard var rest = text(key)?[...] else { return nil }
            while let first = rest.first, Self.isPadding(first) { rest.removeFirst() }
            while let last = rest.last, Self.isPadding(last) { rest.removeLast() }
            return rest.isEmpty ? nil : String(rest)
        }
        isEnabled = flag("cloud_sync_enabled") ?? false
        if let id = credential("aws_access_key"), let secret = credential("aws_secret_key") {
            credentials = AWSCredentials(accessKeyID: id, secretAccessKey: secret)
        } else {
            credentials = nil
        }
        region = unquoted("aws_region")
        bucket = unquoted("s3_bucket_name")
        encryptionKey = text("encryption_key").map { Secret($0) }
        proxy = flag("proxy_enabled") == true ? unquoted("proxy_url").map { Secret($0) } : nil
        verifiesTLS = flag("ssl_verify") ?? true
    }

    /// What the client takes out of credentials wherever it stands: they come from copy and paste.
    private static func isPadding(_ character: Character) -> Bool {
        character.isWhitespace || character == "\"" || character == "'"
    }
}
