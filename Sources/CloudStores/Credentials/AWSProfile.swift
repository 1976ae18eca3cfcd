public import ObjectStore
internal import Platform

/// A named group of settings in AWS's shared files (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>):
/// `[profile x]` in the configuration, `[x]` in the credentials; `default` may stand alone in both.
public struct AWSProfile: Sendable {
    /// The profile's name.
    public let name: String
    /// The files that were looked at, existing or not: credentials first, for they take precedence.
    let files: [String]
    private let sections: [(file: String, section: INIFile.Section)]
    private let services: INIFile.Section?

    /// Reads a profile from both files. Without any the profile is empty.
    /// - Parameter name: nil takes `AWS_PROFILE`, `AWS_DEFAULT_PROFILE`, `default`.
    /// - Throws: `StoreError`: `.permanent` when a file is no INI file or the profile that was asked for is in none of
    ///   them, `.local` when a file cannot be read.
    public static func load(
        _ name: String? = nil, environment: AWSEnvironment = .process
    ) throws(StoreError) -> AWSProfile {
        let asked = name ?? environment.value("AWS_PROFILE") ?? environment.value("AWS_DEFAULT_PROFILE")
        let wanted = asked ?? "default"
        let paths = (credentials: environment.credentialsFile, config: environment.configFile)
        let config = try read(paths.config)
        var found: [(file: String, section: INIFile.Section)] = []
        if let section = try read(paths.credentials)?.section(wanted) { found.append((paths.credentials, section)) }
        if let section = config.flatMap({ profile(wanted, in: $0) }) { found.append((paths.config, section)) }
        guard !found.isEmpty || asked == nil || wanted == "default" else {
            throw StoreError(
                .permanent, message: "profile \(wanted) is neither in \(paths.config) nor in \(paths.credentials)")
        }
        let named = found.lazy.compactMap { $0.section.value("services") }.first
        return AWSProfile(
            name: wanted, files: [paths.credentials, paths.config], sections: found,
            services: named.flatMap { config?.section(kind: "services", title: $0) })
    }

    /// A setting's value and the file that it stands in; nil when neither file has it.
    func setting(_ key: String) -> (value: String, file: String)? {
        for (file, section) in sections {
            if let value = section.value(key), !value.isEmpty, !value.hasPrefix("\n") { return (value, file) }
        }
        return nil
    }

    /// `region`.
    public var region: String? { setting("region")?.value }

    /// Where S3 is to be reached: `endpoint_url` below `s3 =` of the profile's `[services …]`, else the profile's own
    /// `endpoint_url`; nil when there is none or `ignore_configured_endpoint_urls` is true.
    public var endpointURL: String? {
        if setting("ignore_configured_endpoint_urls")?.value.lowercased() == "true" { return nil }
        return services?.nested("s3", "endpoint_url") ?? setting("endpoint_url")?.value
    }

    /// `addressing_style` below `s3 =`: `path`, `virtual` or `auto`.
    public var addressingStyle: String? {
        sections.lazy.compactMap { $0.section.nested("s3", "addressing_style") }.first
    }

    private static func profile(_ name: String, in file: INIFile) -> INIFile.Section? {
        if let section = file.section(kind: "profile", title: name) { return section }
        return name == "default" ? file.section(name) : nil
    }

    private static func read(_ path: String) throws(StoreError) -> INIFile? {
        let bytes: [UInt8]
        do throws(SystemError) {
            guard try Files.status(path) != nil else { return nil }
            bytes = try Files.read(path, limit: 1 << 20)
        } catch {
            throw StoreError(error)
        }
        do throws(INIError) {
            return try INIFile.parse(String(decoding: bytes, as: UTF8.self), comments: .inline)
        } catch {
            throw StoreError(.permanent, message: "\(path): \(error)")
        }
    }
}

/// The region to sign for, as AWS's tools choose it.
public enum AWSRegion {
    /// `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's `region`; nil when none says it.
    /// - Throws: as ``AWSProfile/load(_:environment:)``.
    public static func resolve(
        profile: String? = nil, environment: AWSEnvironment = .process
    ) throws(StoreError) -> String? {
        if let region = environment.value("AWS_REGION") ?? environment.value("AWS_DEFAULT_REGION") { return region }
        return try AWSProfile.load(profile, environment: environment).region
    }
}

/// The endpoint of S3, as AWS's tools choose it
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
public enum AWSEndpoint {
    /// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile's ``AWSProfile/endpointURL``; nil when none says it or
    /// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS` is true.
    /// - Throws: as ``AWSProfile/load(_:environment:)``.
    public static func resolve(
        profile: String? = nil, environment: AWSEnvironment = .process
    ) throws(StoreError) -> String? {
        if environment.isTrue("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") { return nil }
        if let url = environment.value("AWS_ENDPOINT_URL_S3") ?? environment.value("AWS_ENDPOINT_URL") { return url }
        return try AWSProfile.load(profile, environment: environment).endpointURL
    }
}
