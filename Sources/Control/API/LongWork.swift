public import JSON

/// `POST /v1/refresh`.
public struct RefreshRequest: Payload {
    /// Default `full`: who asks wants to see what is there.
    public var mode: RefreshMode

    /// A request by its parts.
    public init(mode: RefreshMode = .full) { self.mode = mode }

    /// The object on the wire.
    public var json: JSONValue { .object([("mode", .string(mode.rawValue))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(mode: json["mode"] == nil ? .full : try json.word("mode"))
    }
}

/// What a refresh learnt.
public struct RefreshResult: Payload {
    /// Sessions that came.
    public var added: UInt64
    /// Sessions that went.
    public var removed: UInt64
    /// Sessions whose facts changed.
    public var changed: UInt64
    /// Requests it took.
    public var requests: UInt64
    /// How long it took.
    public var seconds: Double

    /// A result by its parts.
    public init(added: UInt64, removed: UInt64, changed: UInt64, requests: UInt64, seconds: Double) {
        self.added = added
        self.removed = removed
        self.changed = changed
        self.requests = requests
        self.seconds = seconds
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("added", JSONValue(added)), ("removed", JSONValue(removed)), ("changed", JSONValue(changed)),
            ("requests", JSONValue(requests)), ("seconds", .seconds(seconds)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            added: try json.count("added"), removed: try json.count("removed"), changed: try json.count("changed"),
            requests: try json.count("requests"), seconds: try json.seconds("seconds"))
    }
}

/// `POST /v1/stop`: flush, unmount, clean, end.
public struct StopRequest: Payload {
    /// What happens to the cache; nil is what the mount was configured with.
    public var policy: UnmountPolicy?
    /// The longest wait for what is pending; nil waits as long as it takes.
    public var timeout: Double?

    /// A request by its parts.
    public init(policy: UnmountPolicy? = nil, timeout: Double? = nil) {
        self.policy = policy
        self.timeout = timeout
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([("policy", JSONValue(policy?.rawValue)), ("timeout", .optional(seconds: timeout))])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        let policy: UnmountPolicy? = try json.optionalText("policy") == nil ? nil : try json.word("policy")
        let timeout = try json.optionalSeconds("timeout")
        if let timeout, timeout < 0 { throw .badRequest("timeout: at least 0 is wanted") }
        self.init(policy: policy, timeout: timeout)
    }
}

/// How a stop ended.
public struct StopResult: Payload {
    /// What could not be sent; it stays in the state directory.
    public var unsent: [UnsentItem]
    /// Whether the mount is gone; false when it is busy and was only detached.
    public var unmounted: Bool
    /// Bytes of the cache that were freed.
    public var freedBytes: UInt64

    /// A result by its parts.
    public init(unsent: [UnsentItem], unmounted: Bool, freedBytes: UInt64) {
        self.unsent = unsent
        self.unmounted = unmounted
        self.freedBytes = freedBytes
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("unsent", .array(unsent.map(\.json))), ("unmounted", .bool(unmounted)),
            ("freed_bytes", JSONValue(freedBytes)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            unsent: try json.list("unsent", UnsentItem.init(json:)), unmounted: try json.flag("unmounted"),
            freedBytes: try json.count("freed_bytes"))
    }
}

/// A change that the store has not got.
public struct UnsentItem: Payload {
    /// The session's file name.
    public var name: String
    /// Why the store has not got it.
    public var reason: String

    /// An item by its parts.
    public init(name: String, reason: String) {
        self.name = name
        self.reason = reason
    }

    /// The object on the wire.
    public var json: JSONValue { .object([("name", .string(name)), ("reason", .string(reason))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(name: try json.text("name"), reason: try json.text("reason"))
    }
}

/// A step of long work.
public struct ProgressUpdate: Payload {
    /// The step in a word, for example `flushing`, `unmounting`, `cleaning`.
    public var phase: String
    /// Units done.
    public var completed: UInt64
    /// Units in all; nil when unknown.
    public var total: UInt64?
    /// The step for the user.
    public var message: String

    /// An update by its parts.
    public init(phase: String, completed: UInt64 = 0, total: UInt64? = nil, message: String = "") {
        self.phase = phase
        self.completed = completed
        self.total = total
        self.message = message
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("phase", .string(phase)), ("completed", JSONValue(completed)), ("total", .optional(total)),
            ("message", .string(message)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            phase: try json.text("phase"), completed: try json.count("completed"),
            total: try json.optionalCount("total"), message: try json.text("message"))
    }
}

/// One line of a streamed answer: any number of `progress`, then one `done` or `failed`.
public enum WorkEvent<Result: Payload>: Sendable, Equatable {
    case progress(ProgressUpdate)
    case done(Result)
    case failed(ControlProblem)

    /// The line.
    public var json: JSONValue {
        switch self {
        case .progress(let update): .object([("event", .string("progress")), ("progress", update.json)])
        case .done(let result): .object([("event", .string("done")), ("result", result.json)])
        case .failed(let problem):
            .object(
                [("event", .string("failed")), ("status", .integer(Int64(problem.status)))]
                    + (problem.json.members ?? []))
        }
    }

    /// Reads a line.
    /// - Throws: `bad_request` when it is none.
    public init(json: JSONValue) throws(ControlProblem) {
        switch try json.text("event") {
        case "progress": self = .progress(try ProgressUpdate(json: json["progress"] ?? .null))
        case "done": self = .done(try Result(json: json["result"] ?? .null))
        case "failed":
            let status = Int(clamping: try json.signed("status"))
            guard let problem = ControlProblem(json: json, status: status) else {
                throw .badRequest("error: an object with code and message is wanted")
            }
            self = .failed(problem)
        case let other: throw .badRequest("event: \"\(other)\" is not known")
        }
    }
}
