public import JSON

/// Why a request to the control API was not done: an HTTP status, a word for programs and a sentence for people.
/// On the wire it is `{"error":{"code":…,"message":…}}`.
public struct ControlProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The HTTP status, 400 to 599.
    public var status: Int
    /// Stable and short, for example `not_found`.
    public var code: String
    /// For the user, without credentials.
    public var message: String

    /// A problem by its three parts.
    public init(status: Int, code: String, message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    /// 400 `bad_request`: the request cannot be understood.
    public static func badRequest(_ message: String) -> ControlProblem {
        ControlProblem(status: 400, code: "bad_request", message: message)
    }
    /// 404 `not_found`: no such path or thing.
    public static func notFound(_ message: String) -> ControlProblem {
        ControlProblem(status: 404, code: "not_found", message: message)
    }
    /// 409 `conflict`: not in the present state.
    public static func conflict(_ message: String) -> ControlProblem {
        ControlProblem(status: 409, code: "conflict", message: message)
    }
    /// 409 `read_only`: the mount refuses changes, so that nothing is pending.
    public static func readOnly(_ message: String) -> ControlProblem {
        ControlProblem(status: 409, code: "read_only", message: message)
    }
    /// 500 `failed`: the daemon tried and did not succeed.
    public static func failed(_ message: String) -> ControlProblem {
        ControlProblem(status: 500, code: "failed", message: message)
    }

    /// The reason in words.
    public var description: String { message }

    /// The document that the wire carries.
    public var json: JSONValue {
        .object([("error", .object([("code", .string(code)), ("message", .string(message))]))])
    }

    /// Reads the wire's document; nil when it is none.
    public init?(json: JSONValue, status: Int) {
        guard let error = json["error"], let code = error["code"]?.string, let message = error["message"]?.string
        else { return nil }
        self.init(status: status, code: code, message: message)
    }
}
