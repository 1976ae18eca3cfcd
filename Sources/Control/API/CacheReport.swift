public import JSON

/// `GET /v1/cache`: the bodies held locally, and how well that served.
public struct CacheReport: Payload {
    /// The cache's directory.
    public var directory: String
    /// Whole bodies held.
    public var bodies: UInt64
    /// Their bytes.
    public var bytes: UInt64
    /// The most bytes it keeps; nil is no limit.
    public var limit: UInt64?
    /// Bodies that are kept by the user's wish.
    public var pinned: UInt64
    /// Their bytes.
    public var pinnedBytes: UInt64
    /// Opens answered from the cache since the daemon began.
    public var hits: UInt64
    /// Opens that needed a download.
    public var misses: UInt64
    /// Bytes downloaded since the daemon began.
    public var downloadedBytes: UInt64

    /// A report by its parts.
    public init(
        directory: String, bodies: UInt64, bytes: UInt64, limit: UInt64?, pinned: UInt64, pinnedBytes: UInt64,
        hits: UInt64, misses: UInt64, downloadedBytes: UInt64
    ) {
        self.directory = directory
        self.bodies = bodies
        self.bytes = bytes
        self.limit = limit
        self.pinned = pinned
        self.pinnedBytes = pinnedBytes
        self.hits = hits
        self.misses = misses
        self.downloadedBytes = downloadedBytes
    }

    /// The object on the wire.
    public var json: JSONValue {
        .object([
            ("directory", .string(directory)), ("bodies", JSONValue(bodies)), ("bytes", JSONValue(bytes)),
            ("limit", .optional(limit)), ("pinned", JSONValue(pinned)), ("pinned_bytes", JSONValue(pinnedBytes)),
            ("hits", JSONValue(hits)), ("misses", JSONValue(misses)), ("downloaded_bytes", JSONValue(downloadedBytes)),
        ])
    }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(
            directory: try json.text("directory"), bodies: try json.count("bodies"), bytes: try json.count("bytes"),
            limit: try json.optionalCount("limit"), pinned: try json.count("pinned"),
            pinnedBytes: try json.count("pinned_bytes"), hits: try json.count("hits"),
            misses: try json.count("misses"), downloadedBytes: try json.count("downloaded_bytes"))
    }
}

/// `POST /v1/cache/clear`: which bodies go.
public struct CacheClearRequest: Payload {
    /// Whether pinned bodies stay. Default true.
    public var keepPinned: Bool

    /// A request by its parts.
    public init(keepPinned: Bool = true) { self.keepPinned = keepPinned }

    /// The object on the wire.
    public var json: JSONValue { .object([("keep_pinned", .bool(keepPinned))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(keepPinned: json["keep_pinned"] == nil ? true : try json.flag("keep_pinned"))
    }
}

/// What a clearing removed.
public struct CacheClearResult: Payload {
    /// How many.
    public var bodies: UInt64
    /// Their bytes.
    public var bytes: UInt64

    /// A result by its parts.
    public init(bodies: UInt64, bytes: UInt64) {
        self.bodies = bodies
        self.bytes = bytes
    }

    /// The object on the wire.
    public var json: JSONValue { .object([("bodies", JSONValue(bodies)), ("bytes", JSONValue(bytes))]) }

    /// Reads the wire's object.
    public init(json: JSONValue) throws(ControlProblem) {
        self.init(bodies: try json.count("bodies"), bytes: try json.count("bytes"))
    }
}
