public import Platform

/// The requests that a store knows.
public enum StoreVerb: String, Sendable, CaseIterable {
    case head, get, put, delete, copy, list, create, mark
    /// One part of an upload in parts.
    case part
    /// The beginning, listing, completion and abortion of an upload in parts.
    case multipart
}

/// What has passed through a ``MeteredStore`` since it was made.
public struct StoreStatistics: Sendable, Equatable {
    /// Figures of one verb.
    public struct Figures: Sendable, Equatable {
        /// Requests that have ended, failed ones included.
        public var requests: UInt64 = 0
        /// Those that failed; a condition that did not hold counts, `.notModified` does not.
        public var failures: UInt64 = 0
        /// Seconds that the ended ones took, in sum.
        public var seconds: Double = 0
    }

    /// By verb; verbs never used are missing.
    public var verbs: [StoreVerb: Figures] = [:]
    /// Body bytes that arrived, those of broken reads included.
    public var bytesRead: UInt64 = 0
    /// Body bytes of writes and parts that succeeded.
    public var bytesWritten: UInt64 = 0
    /// Requests that have begun and not ended.
    public var inFlight: Int = 0
    /// The last failure that says something of the store's health: neither `.notFound`, `.precondition` nor
    /// `.cancelled`.
    public var lastError: StoreError?
    /// When ``lastError`` happened.
    public var lastErrorAt: Timestamp?
    /// When a request last ended well.
    public var lastSuccessAt: Timestamp?

    /// Ended requests of all verbs.
    public var requests: UInt64 { verbs.values.reduce(0) { $0 + $1.requests } }
    /// Failed requests of all verbs.
    public var failures: UInt64 { verbs.values.reduce(0) { $0 + $1.failures } }
}

/// Counts what passes. Inside a ``RetryingStore`` every try counts.
public struct MeteredStore: ObjectStore {
    private let store: any ObjectStore
    private let state = Guarded(StoreStatistics())

    /// Counts the requests to a store from now on.
    public init(_ store: any ObjectStore) { self.store = store }

    /// The figures at this moment.
    public var statistics: StoreStatistics { state.withLock { $0 } }

    /// See ``ObjectStore/location``.
    public var location: String { store.location }

    /// See ``ObjectStore/capabilities``.
    public var capabilities: StoreCapabilities { store.capabilities }

    /// See ``ObjectStore/head(_:)``.
    public func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        try await counting(.head) { () throws(StoreError) in try await store.head(key) }
    }

    /// See ``ObjectStore/get(_:_:into:)``.
    public func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome {
        let counted = CountingSink(sink, state)
        return try await counting(.get) { () throws(StoreError) in try await store.get(key, options, into: counted) }
    }

    /// See ``ObjectStore/put(_:_:_:)``.
    public func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        let info = try await counting(.put) { () throws(StoreError) in try await store.put(key, body, condition) }
        wrote(body.length)
        return info
    }

    /// See ``ObjectStore/delete(_:ifMatch:)``.
    public func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try await counting(.delete) { () throws(StoreError) in try await store.delete(key, ifMatch: ifMatch) }
    }

    /// See ``ObjectStore/copy(_:ifSourceMatch:to:_:)``.
    public func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await counting(.copy) { () throws(StoreError) in
            try await store.copy(source, ifSourceMatch: ifSourceMatch, to: target, condition)
        }
    }

    /// See ``ObjectStore/list(_:)``.
    public func list(_ request: ListRequest) async throws(StoreError) -> ListPage {
        try await counting(.list) { () throws(StoreError) in try await store.list(request) }
    }

    /// See ``ObjectStore/createContainer()``.
    public func createContainer() async throws(StoreError) {
        try await counting(.create) { () throws(StoreError) in try await store.createContainer() }
    }

    /// See ``ObjectStore/changeMark(prefix:)``.
    public func changeMark(prefix: String) async throws(StoreError) -> String? {
        try await counting(.mark) { () throws(StoreError) in try await store.changeMark(prefix: prefix) }
    }

    /// See ``ObjectStore/multipart``.
    public var multipart: (any MultipartStore)? {
        store.multipart.map { MeteredMultipart(store: $0, meter: self) }
    }

    /// See ``ObjectStore/probeConditions(early:)``. Its requests are not counted.
    public func probeConditions(
        early: @escaping @Sendable (_ ifAbsent: Bool) -> Void
    ) async throws(StoreError) -> ConditionSupport {
        try await store.probeConditions(early: early)
    }

    func wrote(_ bytes: UInt64) { state.withLock { $0.bytesWritten += bytes } }

    func counting<Result: Sendable>(
        _ verb: StoreVerb, _ request: () async throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        let start = Timestamp.monotonic
        state.withLock { $0.inFlight += 1 }
        do throws(StoreError) {
            let result = try await request()
            ended(verb, start, nil)
            return result
        } catch {
            ended(verb, start, error)
            throw error
        }
    }

    private func ended(_ verb: StoreVerb, _ start: Timestamp, _ error: StoreError?) {
        let seconds = Timestamp.monotonic.seconds(since: start)
        state.withLock { state in
            state.inFlight -= 1
            var figures = state.verbs[verb] ?? StoreStatistics.Figures()
            figures.requests += 1
            figures.seconds += seconds
            if let error {
                figures.failures += 1
                if ![.notFound, .precondition, .cancelled].contains(error.kind) {
                    state.lastError = error
                    state.lastErrorAt = .now
                }
            } else {
                state.lastSuccessAt = .now
            }
            state.verbs[verb] = figures
        }
    }
}

/// Passes a body on and counts its bytes.
private final class CountingSink: ObjectSink {
    private let sink: any ObjectSink
    private let state: Guarded<StoreStatistics>

    init(_ sink: any ObjectSink, _ state: Guarded<StoreStatistics>) {
        self.sink = sink
        self.state = state
    }

    var restarts: Bool { sink.restarts }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) { try sink.begin(info, at: offset) }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        state.withLock { $0.bytesRead += UInt64(bytes.byteCount) }
        try sink.receive(bytes)
    }
}
