public import JSON
public import Platform

/// `queue` of ``StatusReport``: what is not in the bucket yet.
public struct QueueSummary: Payload {
    /// Changes that wait to be sent or are being sent.
    public var pending: UInt64
    /// Their contents' bytes.
    public var pendingBytes: UInt64
    /// Changes that the store refused for good.
    public var failed: UInt64
    /// Files that are no sessions and are not sent.
    public var refused: UInt64
    /// Files whose names are never sent.
    public var local: UInt64
    /// Conflicts that wait for a decision.
    public var conflicts: UInt64
    /// Changes being sent now.
    public var running: UInt64
    /// The open batch; nil when there is none.
    public var batch: Int64?

    /// A summary by its parts.
    public init(
        pending: UInt64, pendingBytes: UInt64, failed: UInt64, refused: UInt64, local: UInt64, conflicts: UInt64,
        running: UInt64, batch: Int64?
    ) {
        self.pending = pending
        self.pendingBytes = pendingBytes
        self.failed = failed
        self.refused = refused
        self.local = local
        self.conflicts = conflicts
        self.running = running
        self.batch = batch
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("pending", JSONValue(pending)), ("pending_bytes", JSONValue(pendingBytes)), ("failed", JSONValue(failed)),
            ("refused", JSONValue(refused)), ("local", JSONValue(local)), ("conflicts", JSONValue(conflicts)),
            ("running", JSONValue(running)), ("batch", .optional(batch)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            pending: try json.count("pending"), pendingBytes: try json.count("pending_bytes"),
            failed: try json.count("failed"), refused: try json.count("refused"), local: try json.count("local"),
            conflicts: try json.count("conflicts"), running: try json.count("running"),
            batch: try json.optionalSigned("batch"))
    }
}

/// `GET /v1/queue`: every change that is not in the bucket, oldest first.
public struct QueueReport: Payload {
    /// The changes.
    public var changes: [ChangeReport]

    /// A report of changes.
    public init(changes: [ChangeReport]) { self.changes = changes }

    /// The object on the wire.
    public var json: JSONValue { .object([("changes", .array(changes.map(\.json)))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(changes: try json.list("changes", ChangeReport.init(json:)))
    }
}

/// One change that is not in the bucket.
public struct ChangeReport: Payload {
    /// The session's inode number.
    public var id: Int64
    /// The wanted name; of a removal, the one that goes.
    public var name: String
    /// `create`, `edit`, `remove`, `rename`.
    public var kind: String
    /// `ready`, `open`, `local`, `refused`, `failed`, `conflict`, `held`.
    public var state: String
    /// Length of the new contents in bytes; nil where those of the bucket stay.
    public var size: UInt64?
    /// Why it is not sent; empty when there is nothing to say.
    public var reason: String
    /// When the user made the change last.
    public var changed: Timestamp
    /// The name in the bucket; nil where there is none yet.
    public var remoteName: String?
    /// How much of the contents is sent, from 0 to 100; nil when they are not being sent.
    public var percent: UInt64?
    /// The batch that it belongs to.
    public var batch: Int64?
    /// The conflict that it waits for.
    public var conflict: Int64?

    /// A report by its parts.
    public init(
        id: Int64, name: String, kind: String, state: String, size: UInt64?, reason: String, changed: Timestamp,
        remoteName: String?, percent: UInt64?, batch: Int64?, conflict: Int64?
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.state = state
        self.size = size
        self.reason = reason
        self.changed = changed
        self.remoteName = remoteName
        self.percent = percent
        self.batch = batch
        self.conflict = conflict
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("id", .integer(id)), ("name", .string(name)), ("kind", .string(kind)), ("state", .string(state)),
            ("size", .optional(size)), ("reason", .string(reason)), ("changed", .time(changed)),
            ("remote_name", JSONValue(remoteName)), ("percent", .optional(percent)), ("batch", .optional(batch)),
            ("conflict", .optional(conflict)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            id: try json.signed("id"), name: try json.text("name"), kind: try json.text("kind"),
            state: try json.text("state"), size: try json.optionalCount("size"), reason: try json.text("reason"),
            changed: try json.time("changed"), remoteName: try json.optionalText("remote_name"),
            percent: try json.optionalCount("percent"), batch: try json.optionalSigned("batch"),
            conflict: try json.optionalSigned("conflict"))
    }
}

/// `DELETE /v1/queue/{name}` and `POST /v1/queue/clear`: changes that were given up.
public struct DiscardResult: Payload {
    /// A change that was given up, or was not.
    public struct Item: Payload {
        /// The file name.
        public var name: String
        /// Where its contents are kept, absolute; nil where there were none.
        public var kept: String?
        /// Why it stays; nil when it was given up.
        public var problem: String?

        /// An item by its parts.
        public init(name: String, kept: String? = nil, problem: String? = nil) {
            self.name = name
            self.kept = kept
            self.problem = problem
        }

        /// The object on the wire.
        public var json: JSONValue {
            .object([("name", .string(name)), ("kept", JSONValue(kept)), ("problem", JSONValue(problem))])
        }

        /// Reads the wire's object.
        public init(json: JSONValue) throws(ControlProblem) {
            self.init(
                name: try json.text("name"), kept: try json.optionalText("kept"),
                problem: try json.optionalText("problem"))
        }
    }

    /// What became of each.
    public var items: [Item]

    /// A result by its parts.
    public init(items: [Item]) { self.items = items }

    /// The object on the wire.
    public var json: JSONValue { .object([("changes", .array(items.map(\.json)))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(items: try json.list("changes", Item.init(json:)))
    }
}

/// `POST /v1/flush`.
public struct FlushRequest: Payload {
    /// The longest wait in seconds; nil waits as long as something moves.
    public var timeout: Double?

    /// A request by its parts.
    public init(timeout: Double? = nil) { self.timeout = timeout }

    /// The object on the wire.
    public var json: JSONValue { .object([("timeout", .optional(seconds: timeout))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        let timeout = try json.optionalSeconds("timeout")
        if let timeout, timeout < 0 { throw .badRequest("timeout: at least 0 is wanted") }
        self.init(timeout: timeout)
    }
}

/// How a flush ended.
public struct FlushResult: Payload {
    /// What is not in the bucket; empty when all is.
    public var unsent: [UnsentItem]

    /// A result by its parts.
    public init(unsent: [UnsentItem]) { self.unsent = unsent }

    /// The object on the wire.
    public var json: JSONValue { .object([("unsent", .array(unsent.map(\.json)))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(unsent: try json.list("unsent", UnsentItem.init(json:)))
    }
}

/// `POST /v1/batch`.
public struct BatchRequest: Payload {
    /// What to do.
    public enum Action: String, Sendable, CaseIterable {
        /// Hold back the changes that are made from now on.
        case begin
        /// Send them together.
        case commit
        /// Give them up.
        case cancel
    }
    /// What to do.
    public var action: Action

    /// A request by its parts.
    public init(_ action: Action) { self.action = action }

    /// The object on the wire.
    public var json: JSONValue { .object([("action", .string(action.rawValue))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) { self.init(try json.word("action")) }
}

/// What became of a batch.
public struct BatchResult: Payload {
    /// The batch's number.
    public var batch: Int64
    /// How many changes were let go or given up; 0 for a new one.
    public var changes: UInt64

    /// A result by its parts.
    public init(batch: Int64, changes: UInt64) {
        self.batch = batch
        self.changes = changes
    }

    /// The object on the wire.
    public var json: JSONValue { .object([("batch", .integer(batch)), ("changes", JSONValue(changes))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(batch: try json.signed("batch"), changes: try json.count("changes"))
    }
}
