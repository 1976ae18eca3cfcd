public import JSON
public import Operations
public import Platform

/// `GET /v1/health`: 200 when everything works, 503 else.
public struct HealthReport: Payload {
    /// The single checks.
    public var checks: [HealthCheck]

    /// A report of checks.
    public init(checks: [HealthCheck]) { self.checks = checks }

    /// Whether every check is well.
    public var healthy: Bool { checks.allSatisfy(\.healthy) }

    /// The object on the wire.
    public var json: JSONValue {
        .object([("healthy", .bool(healthy)), ("checks", .array(checks.map(\.json)))])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(checks: try json.list("checks", HealthCheck.init(json:)))
    }
}

/// One aspect of a daemon's health.
public struct HealthCheck: Payload {
    /// For example `mount`, `store`, `catalog`.
    public var name: String
    /// Whether it is well.
    public var healthy: Bool
    /// For the user.
    public var message: String

    /// A check by its parts.
    public init(name: String, healthy: Bool, message: String) {
        self.name = name
        self.healthy = healthy
        self.message = message
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([("name", .string(name)), ("healthy", .bool(healthy)), ("message", .string(message))])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(name: try json.text("name"), healthy: try json.flag("healthy"), message: try json.text("message"))
    }
}

/// `GET /v1/sessions/{name}`: one session's facts.
public struct SessionReport: Payload {
    /// `<stem>.fastshot`.
    public var name: String
    /// The inode number.
    public var id: Int64
    /// The body's length in bytes.
    public var size: UInt64
    /// The time shown as the file's.
    public var modified: Timestamp
    /// When the store got it.
    public var uploaded: Timestamp?
    /// The version's tag in the store.
    public var etag: String?
    /// `remote`, `cached`, `downloading N%`; of what is not in the bucket yet `pending`, `uploading N%`, `writing`,
    /// `local`, `refused`, `failed`, `conflict`.
    public var state: String
    /// Why it is not in the bucket; nil when there is nothing to say.
    public var reason: String?
    /// Bytes present locally.
    public var localBytes: UInt64
    /// Whether it is kept by the user's wish.
    public var pinned: Bool
    /// The index's metadata as FastShot wrote them; null when unknown.
    public var metadata: JSONValue

    /// A report by its parts.
    public init(
        name: String, id: Int64, size: UInt64, modified: Timestamp, uploaded: Timestamp?, etag: String?,
        state: String, reason: String? = nil, localBytes: UInt64, pinned: Bool, metadata: JSONValue
    ) {
        self.name = name
        self.id = id
        self.size = size
        self.modified = modified
        self.uploaded = uploaded
        self.etag = etag
        self.state = state
        self.reason = reason
        self.localBytes = localBytes
        self.pinned = pinned
        self.metadata = metadata
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("name", .string(name)), ("id", .integer(id)), ("size", JSONValue(size)), ("modified", .time(modified)),
            ("uploaded", .optional(uploaded)), ("etag", JSONValue(etag)), ("state", .string(state)),
            ("reason", JSONValue(reason)), ("local_bytes", JSONValue(localBytes)), ("pinned", .bool(pinned)),
            ("metadata", metadata),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            name: try json.text("name"), id: try json.signed("id"), size: try json.count("size"),
            modified: try json.time("modified"), uploaded: try json.optionalTime("uploaded"),
            etag: try json.optionalText("etag"), state: try json.text("state"),
            reason: try json.optionalText("reason"), localBytes: try json.count("local_bytes"),
            pinned: try json.flag("pinned"),
            metadata: json["metadata"] ?? .null)
    }
}

/// Operations travel as ``OperationSnapshot/json`` writes them.
extension OperationSnapshot: Payload {
    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            id: try json.count("id"), kind: try json.word("kind"), subject: try json.text("subject"),
            state: try json.word("state"), completed: try json.count("completed"),
            total: try json.optionalCount("total"), message: try json.text("message"),
            started: try json.time("started"), ended: try json.optionalTime("ended"))
    }
}
