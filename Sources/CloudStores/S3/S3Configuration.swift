public import ObjectStore
internal import Platform

/// Which bucket, and how to reach it.
public struct S3Configuration: Sendable, Equatable {
    /// Where a bucket's name stands in a URL.
    public enum Addressing: String, Sendable, CaseIterable {
        /// Virtual-host style on AWS, path style on every other endpoint and for names with a dot, which no wildcard
        /// certificate covers.
        case automatic
        /// `https://endpoint/bucket/key`
        case path
        /// `https://bucket.endpoint/key`
        case virtualHost
    }

    /// The bucket's name.
    public var bucket: String
    /// Keys of the store begin with this and a slash, unless it is empty. Without slashes around.
    public var prefix: String
    /// `https://host[:port][/path]`; without a scheme HTTPS is meant. Nil is AWS.
    public var endpoint: String?
    /// Default `us-east-1`. When the store names another one for the bucket, that is used from then on.
    public var region: String?
    /// See ``Addressing``.
    public var addressing: Addressing = .automatic

    /// Makes the value from its parts.
    public init(
        bucket: String, prefix: String = "", endpoint: String? = nil, region: String? = nil,
        addressing: Addressing = .automatic
    ) {
        self.bucket = bucket
        self.prefix = Self.trimmed(prefix)
        self.endpoint = endpoint
        self.region = region
        self.addressing = addressing
    }

    /// Takes bucket and prefix from `s3://bucket[/prefix]`.
    /// - Throws: `.permanent` when it is none.
    public init(url: String) throws(StoreError) {
        let scheme = "s3://"
        guard url.utf8.starts(with: scheme.utf8) else {
            throw StoreError(.permanent, message: "\(url): not an S3 store; write s3://bucket/prefix")
        }
        let rest = url.utf8.dropFirst(scheme.utf8.count)
        let end = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
        guard let bucket = String(rest[..<end]), Self.isName(bucket) else {
            throw StoreError(.permanent, message: "\(url): no valid bucket name; write s3://bucket/prefix")
        }
        self.init(bucket: bucket, prefix: String(rest[end...]) ?? "")
    }

    /// Fills what is not set from `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_REGION` and `AWS_DEFAULT_REGION`.
    /// - Parameter environment: a variable's value, or nil.
    public func filled(from environment: (String) -> String?) -> S3Configuration {
        var filled = self
        filled.endpoint = endpoint ?? environment("AWS_ENDPOINT_URL_S3") ?? environment("AWS_ENDPOINT_URL")
        filled.region = region ?? environment("AWS_REGION") ?? environment("AWS_DEFAULT_REGION")
        return filled
    }

    /// `s3://bucket/prefix`.
    public var location: String { prefix.isEmpty ? "s3://\(bucket)" : "s3://\(bucket)/\(prefix)" }

    /// Whether a text can be a bucket or a region: it becomes part of a host name.
    static func isName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 255 && text.utf8.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func trimmed(_ prefix: String) -> String {
        let slash = UInt8(ascii: "/")
        var rest = prefix.utf8[...]
        while rest.first == slash { rest.removeFirst() }
        while rest.last == slash { rest.removeLast() }
        return String(decoding: rest, as: UTF8.self)
    }
}
