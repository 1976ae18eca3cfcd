public import JSON
public import Platform

/// `GET /v1/conflicts`: conflicts in the order in which they were noticed.
public struct ConflictList: Payload {
    /// The conflicts.
    public var conflicts: [ConflictReport]

    /// A list of conflicts.
    public init(conflicts: [ConflictReport]) { self.conflicts = conflicts }

    /// The object on the wire.
    public var json: JSONValue { .object([("conflicts", .array(conflicts.map(\.json)))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(conflicts: try json.list("conflicts", ConflictReport.init(json:)))
    }
}

/// One conflict, pending or decided.
public struct ConflictReport: Payload {
    /// A version of the object that both sides wanted.
    public struct Version: Payload {
        /// Its tag in the store, where known.
        public var etag: String?
        /// In bytes.
        public var size: UInt64
        /// When it was written, where the store said so.
        public var modified: Timestamp?

        /// A version by its parts.
        public init(etag: String?, size: UInt64, modified: Timestamp? = nil) {
            self.etag = etag
            self.size = size
            self.modified = modified
        }

        /// The object on the wire.
        public var json: JSONValue {
            .object([("etag", JSONValue(etag)), ("size", JSONValue(size)), ("modified", .optional(modified))])
        }

        /// Reads the wire's object.
        public init(json: JSONValue) throws(ControlProblem) {
            self.init(
                etag: try json.optionalText("etag"), size: try json.count("size"),
                modified: try json.optionalTime("modified"))
        }
    }

    /// The number by which it is resolved.
    public var id: Int64
    /// `created`, `edited`, `edited_removed`, `removed_edited`, `renamed`.
    public var kind: String
    /// The file name that both sides wanted.
    public var name: String
    /// The name by which this machine's version is shown; nil where it has no contents.
    public var localName: String?
    /// What the local change had expected in the bucket; nil: nothing.
    public var expected: Version?
    /// What it found there; nil: nothing.
    public var found: Version?
    /// When it was noticed.
    public var opened: Timestamp
    /// When it was decided; nil while pending.
    public var decided: Timestamp?
    /// `mine`, `theirs`, `both`; nil while pending.
    public var choice: String?
    /// `user`, or the strategy's name.
    public var decidedBy: String?
    /// Where the contents that lost are kept, absolute.
    public var kept: String?

    /// A report by its parts.
    public init(
        id: Int64, kind: String, name: String, localName: String?, expected: Version?, found: Version?,
        opened: Timestamp, decided: Timestamp?, choice: String?, decidedBy: String?, kept: String?
    ) {
        self.id = id
        self.kind = kind
        self.name = name
        self.localName = localName
        self.expected = expected
        self.found = found
        self.opened = opened
        self.decided = decided
        self.choice = choice
        self.decidedBy = decidedBy
        self.kept = kept
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("id", .integer(id)), ("kind", .string(kind)), ("name", .string(name)),
            ("local_name", JSONValue(localName)), ("expected", expected?.json ?? .null),
            ("found", found?.json ?? .null),
            ("opened", .time(opened)), ("decided", .optional(decided)), ("choice", JSONValue(choice)),
            ("decided_by", JSONValue(decidedBy)), ("kept", JSONValue(kept)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            id: try json.signed("id"), kind: try json.text("kind"), name: try json.text("name"),
            localName: try json.optionalText("local_name"),
            expected: try json.optionalObject("expected", Version.init(json:)),
            found: try json.optionalObject("found", Version.init(json:)), opened: try json.time("opened"),
            decided: try json.optionalTime("decided"), choice: try json.optionalText("choice"),
            decidedBy: try json.optionalText("decided_by"), kept: try json.optionalText("kept"))
    }
}

/// `POST /v1/conflicts/{id}`.
public struct ResolveRequest: Payload {
    /// Which version stays under the name.
    public enum Choice: String, Sendable, CaseIterable {
        /// This machine's.
        case mine
        /// The bucket's.
        case theirs
        /// Both: this machine's under the name by which it is shown.
        case both
    }
    /// Which version stays under the name.
    public var choice: Choice

    /// A request by its parts.
    public init(_ choice: Choice) { self.choice = choice }

    /// The object on the wire.
    public var json: JSONValue { .object([("choice", .string(choice.rawValue))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) { self.init(try json.word("choice")) }
}
