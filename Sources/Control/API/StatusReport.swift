public import JSON
public import Operations
public import Platform

/// `GET /v1/status`: everything about a mount at a glance.
public struct StatusReport: Payload {
    /// sessionfs's version.
    public var version: String
    /// The daemon's process.
    public var pid: Int32
    /// Where it stands.
    public var phase: DaemonPhase
    /// The mount's directory.
    public var mountpoint: String
    /// The store, without credentials.
    public var store: String
    /// Whether the mount refuses changes.
    public var readOnly: Bool
    /// When the daemon began.
    public var started: Timestamp
    /// The mount's cache directory.
    public var cacheDirectory: String
    /// What is not uploaded yet is kept here.
    public var stateDirectory: String
    /// What the catalog holds.
    public var sessions: SessionCounts
    /// How fresh that is.
    public var freshness: Freshness
    /// What the cache holds.
    public var cache: CacheReport
    /// What is not in the bucket yet; nil when the mount refuses changes.
    public var queue: QueueSummary?
    /// Whether the store can be reached.
    public var connection: ConnectionReport
    /// The most bytes per second.
    public var limits: LimitsReport
    /// What the server honours; nil until it was tried.
    public var conditions: ConditionsReport?
    /// Work that runs now, downloads included.
    public var operations: [OperationSnapshot]
    /// The last errors, newest first.
    public var errors: [ErrorNotice]

    /// A report by its parts.
    public init(
        version: String, pid: Int32, phase: DaemonPhase, mountpoint: String, store: String, readOnly: Bool,
        started: Timestamp, cacheDirectory: String, stateDirectory: String, sessions: SessionCounts,
        freshness: Freshness, cache: CacheReport, queue: QueueSummary?, connection: ConnectionReport,
        limits: LimitsReport, conditions: ConditionsReport?, operations: [OperationSnapshot], errors: [ErrorNotice]
    ) {
        self.version = version
        self.pid = pid
        self.phase = phase
        self.mountpoint = mountpoint
        self.store = store
        self.readOnly = readOnly
        self.started = started
        self.cacheDirectory = cacheDirectory
        self.stateDirectory = stateDirectory
        self.sessions = sessions
        self.freshness = freshness
        self.cache = cache
        self.queue = queue
        self.connection = connection
        self.limits = limits
        self.conditions = conditions
        self.operations = operations
        self.errors = errors
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("version", .string(version)), ("pid", .integer(Int64(pid))), ("phase", .string(phase.rawValue)),
            ("mountpoint", .string(mountpoint)), ("store", .string(store)), ("read_only", .bool(readOnly)),
            ("started", .time(started)), ("cache_dir", .string(cacheDirectory)),
            ("state_dir", .string(stateDirectory)), ("sessions", sessions.json), ("freshness", freshness.json),
            ("cache", cache.json), ("queue", queue?.json ?? .null), ("connection", connection.json),
            ("limits", limits.json), ("conditions", conditions?.json ?? .null),
            ("operations", .array(operations.map(\.json))),
            ("errors", .array(errors.map(\.json))),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            version: try json.text("version"), pid: Int32(clamping: try json.signed("pid")),
            phase: try json.word("phase"), mountpoint: try json.text("mountpoint"), store: try json.text("store"),
            readOnly: try json.flag("read_only"), started: try json.time("started"),
            cacheDirectory: try json.text("cache_dir"), stateDirectory: try json.text("state_dir"),
            sessions: try SessionCounts(json: json["sessions"] ?? .null),
            freshness: try Freshness(json: json["freshness"] ?? .null),
            cache: try CacheReport(json: json["cache"] ?? .null),
            queue: try json.optionalObject("queue", QueueSummary.init(json:)),
            connection: try ConnectionReport(json: json["connection"] ?? .null),
            limits: try LimitsReport(json: json["limits"] ?? .null),
            conditions: try json.optionalObject("conditions", ConditionsReport.init(json:)),
            operations: try json.list("operations", OperationSnapshot.init(json:)),
            errors: try json.list("errors", ErrorNotice.init(json:)))
    }
}

/// How many sessions the catalog knows.
public struct SessionCounts: Payload {
    /// All of them.
    public var count: UInt64
    /// Those whose metadata are known.
    public var indexed: UInt64
    /// Their bodies' sizes in the store, in bytes.
    public var bytes: UInt64
    /// Names in the store that cannot be files.
    public var rejected: UInt64

    /// Counts by their values.
    public init(count: UInt64, indexed: UInt64, bytes: UInt64, rejected: UInt64) {
        self.count = count
        self.indexed = indexed
        self.bytes = bytes
        self.rejected = rejected
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("count", JSONValue(count)), ("indexed", JSONValue(indexed)), ("bytes", JSONValue(bytes)),
            ("rejected", JSONValue(rejected)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            count: try json.count("count"), indexed: try json.count("indexed"), bytes: try json.count("bytes"),
            rejected: try json.count("rejected"))
    }
}

/// How fresh the catalog is.
public struct Freshness: Payload {
    /// When the store last confirmed the listing; nil when never.
    public var lastSuccess: Timestamp?
    /// Why the last attempt failed; nil when it did not.
    public var lastError: String?
    /// When that was.
    public var lastErrorTime: Timestamp?
    /// Whether the store can be reached, as far as the last attempt knows.
    public var online: Bool
    /// Requests made to the store since the daemon began.
    public var requests: UInt64

    /// A state by its parts.
    public init(
        lastSuccess: Timestamp?, lastError: String?, lastErrorTime: Timestamp?, online: Bool, requests: UInt64
    ) {
        self.lastSuccess = lastSuccess
        self.lastError = lastError
        self.lastErrorTime = lastErrorTime
        self.online = online
        self.requests = requests
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("last_success", .optional(lastSuccess)), ("last_error", JSONValue(lastError)),
            ("last_error_time", .optional(lastErrorTime)), ("online", .bool(online)), ("requests", JSONValue(requests)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            lastSuccess: try json.optionalTime("last_success"), lastError: try json.optionalText("last_error"),
            lastErrorTime: try json.optionalTime("last_error_time"), online: try json.flag("online"),
            requests: try json.count("requests"))
    }
}

/// Something that went wrong, for the user.
public struct ErrorNotice: Payload {
    /// When it happened.
    public var time: Timestamp
    /// What it concerned: a session, the store.
    public var subject: String
    /// For the user.
    public var message: String

    /// A notice by its parts.
    public init(time: Timestamp, subject: String, message: String) {
        self.time = time
        self.subject = subject
        self.message = message
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([("time", .time(time)), ("subject", .string(subject)), ("message", .string(message))])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(time: try json.time("time"), subject: try json.text("subject"), message: try json.text("message"))
    }
}
