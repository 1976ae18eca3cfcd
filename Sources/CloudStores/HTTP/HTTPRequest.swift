public import ObjectStore
public import Platform

/// A request of HTTP/1.1 (RFC 9112).
public struct HTTPRequest: Sendable {
    /// The request's method.
    public enum Method: String, Sendable {
        case get = "GET", head = "HEAD", put = "PUT", post = "POST", delete = "DELETE"
    }

    /// The request's body.
    public enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// `length` bytes from `offset` of a file that does not change meanwhile.
        case file(FileDescriptor, offset: UInt64, length: UInt64)

        /// The length in bytes.
        public var length: UInt64 {
            switch self {
            case .none: 0
            case .bytes(let bytes): UInt64(bytes.count)
            case .file(_, _, let length): length
            }
        }
    }

    /// The request's method.
    public var method: Method
    /// The absolute URL, encoded as it goes on the wire.
    public var url: String
    /// In the order in which they are sent. `Host`, `Content-Length` and `User-Agent` are the client's.
    public var headers: [(name: String, value: String)]
    /// The request's body.
    public var body: Body
    /// The response's length in bytes as far as it is known: large bodies get large buffers.
    public var expectedLength: UInt64?
    /// The most bytes of a response that are kept where it goes into no sink; more is an error. Default 16 MiB.
    public var collectLimit = 16 << 20
    /// Instead of ``HTTPOptions/connectTimeout``, in milliseconds.
    public var connectTimeoutMilliseconds: Int?
    /// Instead of ``HTTPOptions/stallTimeout``, in seconds, for requests that a server thinks about.
    public var stallTimeoutSeconds: Int?
    /// The longest the whole exchange may take, in milliseconds; nil is no limit. For small local services.
    public var totalTimeoutMilliseconds: Int?
    /// Whether a proxy may be used; services of the local link are asked directly.
    public var usesProxy = true

    /// Makes the value from its parts.
    public init(
        _ method: Method, _ url: String, headers: [(name: String, value: String)] = [], body: Body = .none,
        expectedLength: UInt64? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.expectedLength = expectedLength
    }
}

/// Status and header fields of a response, without its body.
public struct HTTPResponseHead: Sendable, Equatable {
    /// The status code, 200 to 599.
    public internal(set) var status = 0
    private var fields: [Field] = []

    private struct Field: Sendable, Equatable {
        let name: String
        var value: String
    }

    init() {}

    /// A header field's value; the first one where there are several. Names are compared without case.
    public subscript(name: String) -> String? {
        let wanted = name.lowercased()
        return fields.first { $0.name == wanted }?.value
    }

    /// `Content-Length` in bytes, when there is a valid one.
    public var contentLength: UInt64? { self["content-length"].flatMap { UInt64($0) } }

    /// Whether the request succeeded (2xx).
    public var isSuccess: Bool { (200..<300).contains(status) }

    /// Takes a line of the response's head. A status line begins a new head: interim responses are forgotten.
    mutating func take(line: some Collection<UInt8>) {
        let trimmed = Self.trim(line)
        if trimmed.starts(with: Array("HTTP/".utf8)) {
            let words = trimmed.split(separator: UInt8(ascii: " "), maxSplits: 2)
            fields.removeAll()
            status = words.count > 1 ? Int(String(decoding: words[1], as: UTF8.self)) ?? 0 : 0
        } else if let colon = trimmed.firstIndex(of: UInt8(ascii: ":")) {
            fields.append(
                Field(
                    name: String(decoding: trimmed[..<colon], as: UTF8.self).lowercased(),
                    value: String(decoding: Self.trim(trimmed[trimmed.index(after: colon)...]), as: UTF8.self)))
        }
    }

    private static func trim(_ bytes: some Collection<UInt8>) -> ArraySlice<UInt8> {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A }
        var rest = Array(bytes)[...]
        while let first = rest.first, isSpace(first) { rest.removeFirst() }
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }
}

/// A whole response.
public struct HTTPResponse: Sendable {
    /// Status and header fields.
    public var head: HTTPResponseHead
    /// The body, unless a sink took it. Of an error response at most 64 KiB are kept.
    public var body: [UInt8]
}

/// Takes the body of a successful response as it arrives, on the client's thread: what it does holds up every other
/// transfer, so it only copies, writes or hashes.
public protocol HTTPBodySink: AnyObject, Sendable {
    /// The head of a 2xx response, before the first byte.
    func begin(_ head: HTTPResponseHead) throws(StoreError)
    /// The next bytes, in order; they are the network buffer's own and gone afterwards.
    func receive(_ bytes: RawSpan) throws(StoreError)
}
