internal import ObjectStore

/// Turns bucket and key into the parts of a URL.
struct S3Endpoint: Sendable {
    /// Parts of a URL as they go on the wire.
    struct Address: Equatable {
        /// `http` or `https`.
        let scheme: String
        /// With the port where it is not the scheme's own: the `Host` header.
        let host: String
        /// Encoded.
        let path: String
    }

    private let bucket: String
    /// Nil is AWS, whose host depends on the region.
    private let custom: (scheme: String, host: String, base: String)?
    private let isVirtualHost: Bool

    /// - Throws: `.permanent` when the endpoint is no URL.
    init(_ configuration: S3Configuration) throws(StoreError) {
        bucket = configuration.bucket
        guard S3Configuration.isName(bucket) else {
            throw StoreError(.permanent, message: "\(bucket): not a valid bucket name")
        }
        if let region = configuration.region, !S3Configuration.isName(region) {
            throw StoreError(.permanent, message: "\(region): not a valid region")
        }
        custom = try configuration.endpoint.map { (text) throws(StoreError) in try Self.parse(text) }
        isVirtualHost =
            switch configuration.addressing {
            case .path: false
            case .virtualHost: true
            case .automatic: custom == nil && !configuration.bucket.utf8.contains(UInt8(ascii: "."))
            }
    }

    /// Whether bodies are protected on their way.
    var isEncrypted: Bool { custom.map { $0.scheme == "https" } ?? true }
    /// Whether it is Amazon's own.
    var isAWS: Bool { custom == nil }

    /// - Parameter key: nil for the bucket itself.
    func address(_ key: String?, region: String) -> Address {
        let (scheme, host, base) = custom ?? ("https", Self.awsHost(region), "")
        let name = key.map { "/" + SigV4.encodePath($0) }
        if isVirtualHost { return Address(scheme: scheme, host: "\(bucket).\(host)", path: base + (name ?? "/")) }
        return Address(scheme: scheme, host: host, path: "\(base)/\(bucket)\(name ?? "")")
    }

    private static func awsHost(_ region: String) -> String {
        "s3.\(region).amazonaws.com" + (region.hasPrefix("cn-") ? ".cn" : "")
    }

    private static func parse(_ text: String) throws(StoreError) -> (scheme: String, host: String, base: String) {
        var rest = Array(text.utf8)[...]
        var scheme = "https"
        for known in ["http", "https"] where rest.starts(with: "\(known)://".utf8) {
            scheme = known
            rest = rest.dropFirst(known.utf8.count + 3)
        }
        while rest.last == UInt8(ascii: "/") { rest.removeLast() }
        let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
        var host = String(decoding: rest[..<end], as: UTF8.self).lowercased()
        // Credentials in it would end up in messages.
        let isValid = rest.allSatisfy { $0 > 0x20 && $0 < 0x7F && !"@?#\\<>\"".utf8.contains($0) }
        guard isValid, !host.isEmpty, !host.hasPrefix(":") else {
            throw StoreError(.permanent, message: "the endpoint is no URL such as https://host:port")
        }
        let port = scheme == "http" ? ":80" : ":443"
        if host.hasSuffix(port) { host.removeLast(port.utf8.count) }
        return (scheme, host, String(decoding: rest[end...], as: UTF8.self))
    }
}
