public import JSON
public import Platform

/// `connection` of ``StatusReport``, and the answer of `POST /v1/offline`: whether the store can be reached.
public struct ConnectionReport: Payload {
    /// Whether requests are made.
    public enum State: String, Sendable, CaseIterable {
        /// They are.
        case online
        /// The store could not be reached; it is tried again.
        case offline
        /// The user works offline.
        case forced
    }
    /// Whether requests are made.
    public var state: State
    /// Since when they are not.
    public var since: Timestamp?
    /// What the last attempt said; nil when it went well.
    public var reason: String?

    /// A report by its parts.
    public init(state: State, since: Timestamp? = nil, reason: String? = nil) {
        self.state = state
        self.since = since
        self.reason = reason
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([("state", .string(state.rawValue)), ("since", .optional(since)), ("reason", JSONValue(reason))])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            state: try json.word("state"), since: try json.optionalTime("since"),
            reason: try json.optionalText("reason"))
    }
}

/// `POST /v1/offline`.
public struct OfflineRequest: Payload {
    /// Whether to make no requests.
    public var offline: Bool

    /// A request by its parts.
    public init(offline: Bool) { self.offline = offline }

    /// The object on the wire.
    public var json: JSONValue { .object([("offline", .bool(offline))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) { self.init(offline: try json.flag("offline")) }
}

/// `limits` of ``StatusReport``, and the answer of `POST /v1/limits`: the most bytes per second.
public struct LimitsReport: Payload {
    /// Sent; nil is no limit.
    public var upload: UInt64?
    /// Fetched; nil is no limit.
    public var download: UInt64?

    /// Limits by their parts.
    public init(upload: UInt64? = nil, download: UInt64? = nil) {
        self.upload = upload
        self.download = download
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([("upload", .optional(upload)), ("download", .optional(download))])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(upload: try json.optionalCount("upload"), download: try json.optionalCount("download"))
    }
}

/// `POST /v1/limits`: what is left out stays as it is.
public struct LimitsRequest: Payload {
    /// Bytes per second; 0 is no limit.
    public var upload: UInt64?
    /// Bytes per second; 0 is no limit.
    public var download: UInt64?

    /// A request by its parts.
    public init(upload: UInt64? = nil, download: UInt64? = nil) {
        self.upload = upload
        self.download = download
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([("upload", .optional(upload)), ("download", .optional(download))])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(upload: try json.optionalCount("upload"), download: try json.optionalCount("download"))
    }
}

/// `conditions` of ``StatusReport``: what the server honours, found out by trying.
public struct ConditionsReport: Payload {
    /// A write that expects no object.
    public var ifAbsent: Bool
    /// A write that expects a version.
    public var ifMatch: Bool
    /// A removal that expects a version.
    public var deleteIfMatch: Bool

    /// A report by its parts.
    public init(ifAbsent: Bool, ifMatch: Bool, deleteIfMatch: Bool) {
        self.ifAbsent = ifAbsent
        self.ifMatch = ifMatch
        self.deleteIfMatch = deleteIfMatch
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("if_absent", .bool(ifAbsent)), ("if_match", .bool(ifMatch)), ("delete_if_match", .bool(deleteIfMatch)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            ifAbsent: try json.flag("if_absent"), ifMatch: try json.flag("if_match"),
            deleteIfMatch: try json.flag("delete_if_match"))
    }
}
