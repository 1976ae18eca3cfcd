public import Platform

/// A container of objects: a bucket, a blob container, or a directory.
///
/// The contract that the shared conformance suite (`Tests/TestSupport/StoreConformance`) holds every store to:
/// - Keys are UTF-8, relative to the store's prefix, exactly as stored. `ObjectInfo.etag` carries no quotes.
/// - Reads after a completed write see it. A body is of exactly one version: the one whose `ObjectInfo` came first.
/// - Errors are ``StoreError``; a missing object is `.notFound` for `head` and `get`, success for `delete`.
/// - Nothing is retried here; ``RetryingStore`` does that, by the error's kind.
/// - Cancelling the calling task ends the transfer and throws `.cancelled`.
public protocol ObjectStore: Sendable {
    /// The store as its user wrote it, without credentials: `s3://bucket/prefix`.
    var location: String { get }

    /// What this kind of store offers.
    var capabilities: StoreCapabilities { get }

    /// The facts of an object without its body.
    func head(_ key: String) async throws(StoreError) -> ObjectInfo

    /// Reads an object, or a range of it, into a sink.
    /// - Parameters:
    ///   - options: range and conditions.
    ///   - sink: gets the facts once, then the bytes in order. What it throws ends the transfer and is thrown on.
    /// - Throws: `.precondition` when `ifMatch` fails; `.temporary` when the body ends early; `.permanent` when the range
    ///   begins at or behind the object's end (HTTP 416).
    func get(_ key: String, _ options: ReadOptions, into sink: any ObjectSink) async throws(StoreError) -> ReadOutcome

    /// Writes a whole object, atomically: readers see the old or the new one.
    /// - Throws: `.precondition` when the condition fails.
    func put(_ key: String, _ body: ObjectBody, _ condition: WriteCondition) async throws(StoreError) -> ObjectInfo

    /// Removes an object; absent is fine unless a condition names a version.
    func delete(_ key: String, ifMatch: String?) async throws(StoreError)

    /// Copies within the store, on the server's side. Objects over 5 GiB need not be copied.
    /// - Parameters:
    ///   - ifSourceMatch: only this version of the source, tag without quotes; nil copies whatever is there.
    ///   - condition: for the target.
    /// - Throws: `.notFound` when there is no source; `.precondition` when it is another version, or when the target's
    ///   condition fails.
    func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo

    /// One page of objects in the order of their keys' UTF-8 bytes.
    func list(_ request: ListRequest) async throws(StoreError) -> ListPage

    /// Makes the bucket, container or directory; present is fine.
    func createContainer() async throws(StoreError)

    /// A cheap mark that changes whenever an object directly below the prefix comes or goes, or nil where the store
    /// has none. Lets a refresh see changes that touch no metadata object.
    func changeMark(prefix: String) async throws(StoreError) -> String?

    /// Uploads in parts, or nil where the store has none: then every object is written in one piece.
    var multipart: (any MultipartStore)? { get }

    /// Which conditions the server honours on writes, found out by trying: writes and removes an object
    /// `.sessionfs-probe-…`. Wrappers pass the question on.
    /// - Parameter early: hears whether ``ConditionSupport/ifAbsent`` holds as soon as that is known, so that new objects
    ///   need not wait for the rest. It may be called again when the probe is repeated, or not at all.
    /// - Throws: why it could not be found out; a refusal of conditions is an answer, not an error.
    func probeConditions(
        early: @escaping @Sendable (_ ifAbsent: Bool) -> Void
    ) async throws(StoreError) -> ConditionSupport
}

extension ObjectStore {
    /// See ``probeConditions(early:)``.
    public func probeConditions() async throws(StoreError) -> ConditionSupport { try await probeConditions { _ in } }

    /// Copies whatever version of the source there is. See ``ObjectStore/copy(_:ifSourceMatch:to:_:)``.
    public func copy(
        _ source: String, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await copy(source, ifSourceMatch: nil, to: target, condition)
    }

    /// None, unless the store has them.
    public var multipart: (any MultipartStore)? { nil }

    /// None, unless the store has one.
    public func changeMark(prefix: String) async throws(StoreError) -> String? { nil }

    /// Reads a whole small object.
    /// - Parameter limit: in bytes; a larger object is `.permanent`.
    public func bytes(_ key: String, limit: Int = 16 << 20) async throws(StoreError) -> (
        info: ObjectInfo, bytes: [UInt8]
    ) {
        let sink = CollectingSink(limit: limit)
        guard case .object(let info) = try await get(key, ReadOptions(), into: sink) else {
            throw StoreError(.permanent, key: key, message: "unexpected 304 without a condition")
        }
        return (info, sink.bytes)
    }

    /// Every object below a prefix, page by page.
    public func listAll(
        prefix: String, startAfter: String? = nil, page: (ListPage) throws(StoreError) -> Void
    ) async throws(StoreError) {
        var request = ListRequest(prefix: prefix, startAfter: startAfter)
        while true {
            let found = try await list(request)
            try page(found)
            guard let next = found.continuation else { return }
            request.continuation = next
        }
    }
}

/// What a kind of store offers, before any probing.
public struct StoreCapabilities: Sendable, Equatable {
    /// A single-part object's ETag is the MD5 of its bytes in hex (S3 without KMS keys).
    public var etagIsContentMD5: Bool
    /// The network lies between: reads cost round trips, and the store can be away.
    public var isRemote: Bool
    /// A write needs the SHA-256 of its bytes beforehand. Where it is not given, the store reads a file twice.
    public var wantsSHA256: Bool
    /// Makes the value from its parts.
    public init(etagIsContentMD5: Bool, isRemote: Bool, wantsSHA256: Bool = false) {
        self.etagIsContentMD5 = etagIsContentMD5
        self.isRemote = isRemote
        self.wantsSHA256 = wantsSHA256
    }
}

/// The facts of one version of an object.
public struct ObjectInfo: Sendable, Equatable {
    /// The key relative to the store's prefix.
    public var key: String
    /// The whole object's length in bytes, also when only a range was read.
    public var size: UInt64
    /// The version's tag without quotes, or nil where the store gave none. Opaque.
    public var etag: String?
    /// When the object was written.
    public var modified: Timestamp?
    /// The MD5 of the contents in lower-case hex, only where the store vouches for it.
    public var contentMD5: String?
    /// Makes the value from its parts.
    public init(
        key: String, size: UInt64, etag: String? = nil, modified: Timestamp? = nil, contentMD5: String? = nil
    ) {
        self.key = key
        self.size = size
        self.etag = etag
        self.modified = modified
        self.contentMD5 = contentMD5
    }
}

/// How an object is read. Tags are given without quotes.
public struct ReadOptions: Sendable, Equatable {
    /// Bytes wanted; the end may lie behind the object's. Nil is everything.
    public var range: Range<UInt64>?
    /// Only this version, else `.precondition`.
    public var ifMatch: String?
    /// Not this version, else `.notModified`.
    public var ifNoneMatch: String?
    /// Makes the value from its parts.
    public init(range: Range<UInt64>? = nil, ifMatch: String? = nil, ifNoneMatch: String? = nil) {
        self.range = range
        self.ifMatch = ifMatch
        self.ifNoneMatch = ifNoneMatch
    }
}

/// What a read came to.
public enum ReadOutcome: Sendable, Equatable {
    /// The bytes were delivered.
    case object(ObjectInfo)
    /// The object still has the tag of `ifNoneMatch`.
    case notModified
}

/// Takes a body as it arrives. Called from one thread at a time.
public protocol ObjectSink: AnyObject, Sendable {
    /// The facts, before the first byte.
    /// - Parameter offset: where in the object the first byte stands.
    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError)
    /// The next bytes, in order.
    func receive(_ bytes: RawSpan) throws(StoreError)
    /// Whether a second `begin` forgets what came before, so that ``RetryingStore`` may repeat a read that broke off
    /// in the middle of the body. Default false.
    var restarts: Bool { get }
}

extension ObjectSink {
    /// See ``ObjectSink/restarts``.
    public var restarts: Bool { false }
}

/// A sink that keeps the body in memory. Read ``bytes`` after the transfer.
public final class CollectingSink: ObjectSink {
    private let limit: Int
    private let collected = Guarded<[UInt8]>([])

    /// - Parameter limit: the most bytes it takes.
    public init(limit: Int) { self.limit = limit }

    /// What has arrived.
    public var bytes: [UInt8] { collected.withLock { $0 } }

    /// See ``ObjectSink/restarts``.
    public var restarts: Bool { true }

    /// See ``ObjectSink/begin(_:at:)``.
    public func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        collected.withLock { $0.removeAll() }
    }

    /// See ``ObjectSink/receive(_:)``.
    public func receive(_ bytes: RawSpan) throws(StoreError) {
        let full = collected.withLock { held -> Bool in
            guard held.count + bytes.byteCount <= limit else { return true }
            bytes.withUnsafeBytes { held.append(contentsOf: $0) }
            return false
        }
        if full { throw StoreError(.permanent, message: "object is larger than \(limit) bytes") }
    }
}

/// When a write may happen.
public enum WriteCondition: Sendable, Equatable {
    case always
    /// Only when no such object exists (`If-None-Match: *`).
    case ifAbsent
    /// Only over this version (`If-Match`), tag without quotes.
    case ifMatch(String)
}

/// A question for one page of a listing.
public struct ListRequest: Sendable, Equatable {
    /// Only keys that begin with this.
    public var prefix: String
    /// Only keys behind this one, in the order of UTF-8 bytes.
    public var startAfter: String?
    /// From the page before; opaque.
    public var continuation: String?
    /// The most objects of a page; stores cap it (S3: 1,000).
    public var limit: Int
    /// Makes the value from its parts.
    public init(prefix: String, startAfter: String? = nil, continuation: String? = nil, limit: Int = 1000) {
        self.prefix = prefix
        self.startAfter = startAfter
        self.continuation = continuation
        self.limit = limit
    }
}

/// One page of a listing.
public struct ListPage: Sendable, Equatable {
    /// In the order of their keys.
    public var objects: [ObjectInfo]
    /// For the next page, or nil at the end.
    public var continuation: String?
    /// Makes the value from its parts.
    public init(objects: [ObjectInfo], continuation: String? = nil) {
        self.objects = objects
        self.continuation = continuation
    }
}
