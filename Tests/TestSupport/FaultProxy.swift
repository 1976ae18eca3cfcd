import Foundation

/// An HTTP proxy between a client and a server on 127.0.0.1, a process of its own, that misbehaves on command and counts
/// what passes.
public final class FaultProxy: Sendable {
    /// What goes wrong with a response. Offsets are in its body.
    public enum Fault: Sendable {
        /// The connection is closed after so many bytes.
        case drop(after: Int)
        /// The connection is reset after so many bytes.
        case reset(after: Int)
        /// Only so many bytes come, and `Content-Length` says so: it looks whole.
        case shorten(to: Int)
        /// One bit of this byte is wrong.
        case corrupt(at: Int)
        /// Nothing more comes after so many bytes, and the connection stays open.
        case stall(after: Int)
        /// The server is not asked; the answer has this status, `Retry-After` in seconds and S3's error code when given.
        case status(Int, retryAfter: Int? = nil, code: String? = nil)
        /// The server carries the request out; its answer is lost with the connection.
        case lose
    }

    /// How connections are taken.
    public enum State: String, Sendable {
        case open
        /// New connections are refused, open ones aborted.
        case refusing
        /// Connections are taken and requests never answered.
        case blackHole = "blackhole"
    }

    /// What has passed since the beginning or the last reset.
    public struct Statistics: Sendable, Decodable {
        /// `METHOD target` of each request, in order.
        public let requests: [String]
        /// Bytes of requests.
        public let bytesUp: Int
        /// Bytes of responses.
        public let bytesDown: Int
        /// Connections taken.
        public let accepted: Int
        /// Connections open now.
        public let connections: Int
        /// The most connections that were open at once.
        public let mostConnections: Int
        /// The most requests that were under way at once.
        public let mostActive: Int
    }

    /// Its port on 127.0.0.1.
    public let port: Int
    private let process: ServerProcess

    /// The proxy's address for clients.
    public var endpoint: String { "http://127.0.0.1:\(port)" }

    /// Starts a proxy in front of a server. It ends with the last reference.
    public init(target: Int) throws {
        process = try ServerProcess(TestPython.interpreter(), [TestPython.server("fault_proxy.py"), "\(target)"])
        let ready = try JSONDecoder().decode([String: Int].self, from: Data(process.line(seconds: 60).utf8))
        port = ready["port"] ?? 0
    }

    /// Sets the line's properties for all connections, from now on.
    /// - Parameters:
    ///   - roundTrip: in milliseconds; a request costs one, a new connection another.
    ///   - bytesPerSecond: in each direction, shared by all connections; 0 is without limit.
    public func setLine(roundTrip: Double = 0, bytesPerSecond: Int = 0) throws {
        try send(["set": ["rtt_ms": roundTrip, "bytes_per_second": bytesPerSecond]])
    }

    /// Sets how connections are taken.
    public func setState(_ state: State) throws { try send(["set": ["state": state.rawValue]]) }

    /// Makes requests fail.
    /// - Parameters:
    ///   - times: how many requests in a row.
    ///   - skip: how many matching ones pass unharmed before.
    ///   - method: only requests of this method.
    ///   - path: only requests whose target contains this.
    public func inject(
        _ fault: Fault, times: Int = 1, skip: Int = 0, method: String? = nil, path: String? = nil
    ) throws {
        var fields: [String: Any] = ["times": times, "skip": skip]
        if let method { fields["method"] = method }
        if let path { fields["path"] = path }
        let (kind, place): (String, Int?) =
            switch fault {
            case .drop(let offset): ("drop", offset)
            case .reset(let offset): ("reset", offset)
            case .shorten(let length): ("shorten", length)
            case .corrupt(let offset): ("corrupt", offset)
            case .stall(let offset): ("stall", offset)
            case .status: ("status", nil)
            case .lose: ("lose", nil)
            }
        fields["kind"] = kind
        if let place { fields["at"] = place }
        if case .status(let status, let retryAfter, let code) = fault {
            fields["status"] = status
            if let code { fields["code"] = code }
            if let retryAfter { fields["retry_after"] = retryAfter }
        }
        try send(["fault": fields])
    }

    /// Forgets all faults that have not happened yet.
    public func clearFaults() throws { try send(["clear": true]) }

    /// Aborts all open connections.
    public func cutConnections() throws { try send(["cut": true]) }

    /// What has passed.
    public func statistics() throws -> Statistics {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Statistics.self, from: Data(process.ask(#"{"statistics": true}"#).utf8))
    }

    /// Begins to count anew.
    public func resetStatistics() throws { try send(["reset": true]) }

    private func send(_ command: [String: Any]) throws {
        let line = String(decoding: try JSONSerialization.data(withJSONObject: command), as: UTF8.self)
        let answer = try process.ask(line)
        guard answer.contains("ok") else { throw TestSupportError("proxy: \(answer)") }
    }
}
