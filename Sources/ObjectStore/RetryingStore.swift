internal import Digests
internal import Platform

/// Repeats what failed for a passing reason (``StoreError/isRetryable``), with ``Backoff``.
///
/// - A `get` is repeated only as long as its sink has received no bytes of the body, or when the sink says that it can
///   start again (``ObjectSink/restarts``): nobody gets bytes twice. Going on in the middle is the caller's business.
///   Errors that the sink itself throws are never repeated.
/// - A conditional write whose answer was lost may have happened. When its repetition says `.precondition`, the object
///   is read back: if it holds exactly the bytes that were to be written, the write has succeeded. So it is with a
///   conditional `copy`, whose target is compared with the source.
public struct RetryingStore: ObjectStore {
    private let store: any ObjectStore
    private let policy: RetryPolicy
    private let random: @Sendable () -> Double
    private let sleep: @Sendable (Double) async throws -> Void

    /// - Parameters:
    ///   - random: evenly from 0 up to but not including 1.
    ///   - sleep: waits for seconds; throws when the task is cancelled.
    public init(
        _ store: any ObjectStore, policy: RetryPolicy = RetryPolicy(),
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
        sleep: @escaping @Sendable (Double) async throws -> Void = { try await Task.sleep(for: .seconds($0)) }
    ) {
        self.store = store
        self.policy = policy
        self.random = random
        self.sleep = sleep
    }

    /// See ``ObjectStore/location``.
    public var location: String { store.location }

    /// See ``ObjectStore/capabilities``.
    public var capabilities: StoreCapabilities { store.capabilities }

    /// See ``ObjectStore/head(_:)``.
    public func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        try await repeating { (_) throws(StoreError) in try await store.head(key) }
    }

    /// See ``ObjectStore/get(_:_:into:)``.
    public func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome {
        let watched = WatchedSink(sink)
        return try await repeating(unless: { watched.forbidsRetry }) { (_) throws(StoreError) in
            try await store.get(key, options, into: watched)
        }
    }

    /// See ``ObjectStore/put(_:_:_:)``.
    public func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await repeating { (attempt) throws(StoreError) in
            do throws(StoreError) {
                return try await store.put(key, body, condition)
            } catch  where attempt > 1 && error.kind == .precondition && condition != .always {
                guard let written = try await written(key, body) else { throw error }
                return written
            }
        }
    }

    /// See ``ObjectStore/delete(_:ifMatch:)``.
    public func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try await repeating { (attempt) throws(StoreError) in
            do throws(StoreError) {
                try await store.delete(key, ifMatch: ifMatch)
            } catch  where attempt > 1 && error.kind == .precondition {
                // The try before this one may have done it.
                do throws(StoreError) { _ = try await store.head(key) } catch  where error.kind == .notFound { return }
                throw error
            }
        }
    }

    /// See ``ObjectStore/copy(_:ifSourceMatch:to:_:)``.
    public func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await repeating { (attempt) throws(StoreError) in
            do throws(StoreError) {
                return try await store.copy(source, ifSourceMatch: ifSourceMatch, to: target, condition)
            } catch  where attempt > 1 && error.kind == .precondition && condition != .always {
                guard let copied = try await copied(source, ifSourceMatch, target) else { throw error }
                return copied
            }
        }
    }

    /// See ``ObjectStore/multipart``.
    public var multipart: (any MultipartStore)? {
        store.multipart.map { RetryingMultipart(store: $0, retrying: self) }
    }

    /// See ``ObjectStore/probeConditions(early:)``. The whole probe is repeated, each time with another object.
    public func probeConditions(
        early: @escaping @Sendable (_ ifAbsent: Bool) -> Void
    ) async throws(StoreError) -> ConditionSupport {
        try await repeating { (_) throws(StoreError) in try await store.probeConditions(early: early) }
    }

    /// See ``ObjectStore/list(_:)``.
    public func list(_ request: ListRequest) async throws(StoreError) -> ListPage {
        try await repeating { (_) throws(StoreError) in try await store.list(request) }
    }

    /// See ``ObjectStore/createContainer()``.
    public func createContainer() async throws(StoreError) {
        try await repeating { (_) throws(StoreError) in try await store.createContainer() }
    }

    /// See ``ObjectStore/changeMark(prefix:)``.
    public func changeMark(prefix: String) async throws(StoreError) -> String? {
        try await repeating { (_) throws(StoreError) in try await store.changeMark(prefix: prefix) }
    }

    /// The facts of an object that holds exactly these bytes, or nil when it does not.
    private func written(_ key: String, _ body: ObjectBody) async throws(StoreError) -> ObjectInfo? {
        let sink = ComparingSink(body)
        do throws(StoreError) {
            guard case .object(let info) = try await store.get(key, ReadOptions(), into: sink) else { return nil }
            return info.size == body.length ? info : nil
        } catch {
            if sink.differs || error.kind == .notFound { return nil }
            throw error
        }
    }

    /// The facts of a copy's target if it holds exactly what the source does, else nil.
    private func copied(
        _ source: String, _ ifSourceMatch: String?, _ target: String
    ) async throws(StoreError) -> ObjectInfo? {
        do throws(StoreError) {
            let from = try await store.head(source)
            let to = try await store.head(target)
            guard from.size == to.size, ifSourceMatch ?? from.etag == from.etag else { return nil }
            if let one = from.contentMD5, let other = to.contentMD5 { return one == other ? to : nil }
            let same = try await digest(source, from) == digest(target, to)
            return same ? to : nil
        } catch {
            if error.kind == .notFound || error.kind == .precondition { return nil }
            throw error
        }
    }

    /// The SHA-256 of this version of an object.
    private func digest(_ key: String, _ info: ObjectInfo) async throws(StoreError) -> [UInt8] {
        let sink = DigestingSink()
        _ = try await store.get(key, ReadOptions(ifMatch: info.etag), into: sink)
        return sink.digest.finalize()
    }

    func repeating<Result: Sendable>(
        unless forbidden: () -> Bool = { false }, _ request: (_ attempt: Int) async throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        var backoff = Backoff(policy)
        let start = Timestamp.monotonic
        var attempt = 1
        while true {
            do throws(StoreError) { return try await request(attempt) } catch {
                let elapsed = Timestamp.monotonic.seconds(since: start)
                guard !forbidden(),
                    case .retry(let wait) = backoff.next(after: error, elapsed: elapsed, random: random())
                else { throw error }
                do { try await sleep(wait) } catch {
                    throw StoreError(.cancelled, message: "cancelled while waiting to try again")
                }
                attempt += 1
            }
        }
    }
}

/// Passes a body on and remembers whether it may be sent again.
private final class WatchedSink: ObjectSink {
    private let sink: any ObjectSink
    private let forbidden = Guarded(false)

    init(_ sink: any ObjectSink) { self.sink = sink }

    var forbidsRetry: Bool { forbidden.withLock { $0 } }
    var restarts: Bool { sink.restarts }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        do throws(StoreError) { try sink.begin(info, at: offset) } catch { throw refused(error) }
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        if !sink.restarts { forbidden.withLock { $0 = true } }
        do throws(StoreError) { try sink.receive(bytes) } catch { throw refused(error) }
    }

    private func refused(_ error: StoreError) -> StoreError {
        forbidden.withLock { $0 = true }
        return error
    }
}

/// Compares a body with what was to be written.
private final class ComparingSink: ObjectSink {
    private let body: ObjectBody
    private let state = Guarded<(offset: UInt64, differs: Bool)>((0, false))

    init(_ body: ObjectBody) { self.body = body }

    var differs: Bool { state.withLock { $0.differs } }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        let differs = info.size != body.length || offset != 0
        state.withLock { $0 = (0, differs) }
        if differs { throw StoreError(.precondition, key: info.key, message: "the object is of another length") }
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        let offset = state.withLock { $0.offset }
        let end = offset + UInt64(bytes.byteCount)
        let expected = try body.read(at: offset, count: bytes.byteCount)
        let same = bytes.withUnsafeBytes { $0.elementsEqual(expected) }
        state.withLock { $0 = (end, !same) }
        if !same { throw StoreError(.precondition, message: "the object holds other bytes") }
    }
}

/// Takes the digest of a body.
private final class DigestingSink: ObjectSink {
    let digest = SharedDigest(.sha256)
    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {}
    func receive(_ bytes: RawSpan) throws(StoreError) { digest.update(bytes) }
}
