/// Where a bucket is and how it is addressed.
public struct S3Configuration: Sendable, Equatable {
    /// How the bucket's name enters the URL.
    public enum Addressing: String, Sendable, CaseIterable {
        /// `https://endpoint/bucket/key`: every server understands it.
        case path
        /// `https://bucket.endpoint/key`: what AWS wants.
        case virtual
        /// `virtual` for AWS unless the bucket's name has dots, which its certificate does not cover; else `path`.
        case auto
    }

    /// The bucket's name.
    public var bucket: String
    /// What every key begins with: empty, or ending in a slash.
    public let prefix: String
    /// The region to sign for. A wrong one is corrected when the server says the right one.
    public var region: String
    /// The server's URL, `http://host:port`; nil is AWS in the region.
    public var endpoint: String?
    /// How the bucket's name enters the URL.
    public var addressing: Addressing

    /// Makes the value from its parts.
    /// - Parameter prefix: slashes at its ends do not matter.
    public init(
        bucket: String, prefix: String = "", region: String = "us-east-1", endpoint: String? = nil,
        addressing: Addressing = .auto
    ) {
        self.bucket = bucket
        var trimmed = Substring(prefix)
        while trimmed.hasPrefix("/") { trimmed.removeFirst() }
        while trimmed.hasSuffix("/") { trimmed.removeLast() }
        self.prefix = trimmed.isEmpty ? "" : trimmed + "/"
        self.region = region
        self.endpoint = endpoint
        self.addressing = addressing
    }
}
