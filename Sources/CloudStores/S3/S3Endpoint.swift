internal import ObjectStore

/// Makes URLs of a bucket and its objects.
struct S3Endpoint: Sendable {
    /// An object's place, in the parts that a signature needs.
    struct Target: Equatable {
        /// `http://host:port`.
        let origin: String
        /// As the `Host` header says it.
        let host: String
        /// Encoded, with a slash in front.
        let path: String
    }

    private let configuration: S3Configuration
    private let custom: Custom?
    private let isVirtual: Bool

    /// A server that the user named.
    private struct Custom: Sendable {
        let scheme: String
        let host: String
        /// Without a slash at its end.
        let path: String
    }

    /// - Throws: `.permanent` when the endpoint is no URL of a server or the bucket's name cannot be one.
    init(_ configuration: S3Configuration) throws(StoreError) {
        let bucket = configuration.bucket
        guard !bucket.isEmpty, bucket.utf8.count <= 255, bucket.utf8.allSatisfy(Self.isBucketByte) else {
            throw StoreError(.permanent, message: "\"\(bucket)\" cannot be a bucket's name")
        }
        self.configuration = configuration
        if let endpoint = configuration.endpoint {
            guard let parsed = Self.parse(endpoint) else {
                throw StoreError(.permanent, message: "\"\(endpoint)\" is not a URL such as https://host:port")
            }
            custom = parsed
        } else {
            guard !configuration.region.isEmpty, configuration.region.utf8.allSatisfy(Self.isBucketByte) else {
                throw StoreError(.permanent, message: "\"\(configuration.region)\" cannot be a region")
            }
            custom = nil
        }
        isVirtual =
            switch configuration.addressing {
            case .path: false
            case .virtual: true
            case .auto: custom == nil && !bucket.utf8.contains(UInt8(ascii: "."))
            }
    }

    /// Whether this is Amazon's own service.
    var isAWS: Bool { custom == nil }

    /// Whether transfers are encrypted.
    var isEncrypted: Bool { custom.map { $0.scheme == "https" } ?? true }

    /// - Parameter key: the whole key with the prefix; nil is the bucket itself.
    func target(key: String?, region: String) -> Target {
        let scheme = custom?.scheme ?? "https"
        let server = custom?.host ?? Self.awsHost(region)
        let host = isVirtual ? configuration.bucket + "." + server : server
        var path = custom?.path ?? ""
        if !isVirtual { path += "/" + configuration.bucket }
        if let key { path += "/" + SigV4.encodePath(key) }
        return Target(origin: scheme + "://" + host, host: host, path: path.isEmpty ? "/" : path)
    }

    /// <https://docs.aws.amazon.com/general/latest/gr/s3.html>
    private static func awsHost(_ region: String) -> String {
        "s3.\(region).amazonaws.com" + (region.hasPrefix("cn-") ? ".cn" : "")
    }

    private static func parse(_ text: String) -> Custom? {
        let scheme: String
        if text.lowercased().hasPrefix("http://") {
            scheme = "http"
        } else if text.lowercased().hasPrefix("https://") {
            scheme = "https"
        } else {
            return nil
        }
        let rest = text.dropFirst(scheme.utf8.count + 3)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var host = String(rest[..<slash])
        var path = rest[slash...]
        while path.hasSuffix("/") { path.removeLast() }
        // Credentials belong elsewhere; they would end up in messages.
        guard !host.isEmpty, !host.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || "@?#\\".utf8.contains($0) }),
            !path.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F || "?#".utf8.contains($0) })
        else { return nil }
        // The default port does not appear in the Host header, so it may not be signed.
        let defaultPort = scheme == "http" ? ":80" : ":443"
        if host.hasSuffix(defaultPort) { host.removeLast(defaultPort.utf8.count) }
        return host.isEmpty ? nil : Custom(scheme: scheme, host: host, path: String(path))
    }

    private static func isBucketByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
