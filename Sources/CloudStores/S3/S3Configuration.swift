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
    /// Keys of the store begin with this and a slash, unless it is empty. Slashes around it are taken off.
    public var prefix: String { didSet { prefix = Self.trimmed(prefix) } }
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
