public import JSON

/// A request as the handler sees it.
public struct ControlRequest: Sendable, Equatable {
    /// `GET`, `POST`, `DELETE`, in capitals.
    public var method: String
    /// The path without the query, percent-decoded, for example `/v1/status`.
    public var path: String
    /// Query parameters in their order, decoded.
    public var query: [(name: String, value: String)]
    /// The JSON body; nil when the request had none.
    public var body: JSONValue?

    /// A request by its parts.
    public init(
        method: String, path: String, query: [(name: String, value: String)] = [], body: JSONValue? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
    }

    /// The last value of a query parameter.
    public func parameter(_ name: String) -> String? { query.last { $0.name == name }?.value }

    /// Equality of every part.
    public static func == (left: ControlRequest, right: ControlRequest) -> Bool {
        left.method == right.method && left.path == right.path && left.body == right.body
            && left.query.elementsEqual(right.query) { $0 == $1 }
    }
}

/// What a handler answers.
public struct ControlResponse: Sendable {
    /// The HTTP status.
    public var status: Int
    /// Further header fields; `Content-Type` comes from the content.
    public var headers: [(name: String, value: String)]
    /// The body.
    public var content: Content

    /// The kinds of body.
    public enum Content: Sendable {
        /// A JSON document.
        case json(JSONValue)
        /// Any bytes, for example a page or metrics.
        case bytes([UInt8], contentType: String)
        /// JSON lines, written while the work goes on. The stream ends when the closure returns.
        case lines(@Sendable (LineWriter) async -> Void)
    }

    /// A response by its parts.
    public init(status: Int = 200, headers: [(name: String, value: String)] = [], content: Content) {
        self.status = status
        self.headers = headers
        self.content = content
    }

    /// A JSON document.
    public static func json(_ value: JSONValue, status: Int = 200) -> ControlResponse {
        ControlResponse(status: status, content: .json(value))
    }
    /// A problem with its status.
    public static func problem(_ problem: ControlProblem) -> ControlResponse {
        .json(problem.json, status: problem.status)
    }
    /// JSON lines (`application/x-ndjson`).
    public static func lines(_ produce: @escaping @Sendable (LineWriter) async -> Void) -> ControlResponse {
        ControlResponse(content: .lines(produce))
    }
}
