public import ObjectStore
internal import Platform

/// Puts faults between a store and its user, and keeps a record of all requests.
public final class FaultyStore: ObjectStore {
    /// What goes wrong with a request.
    public enum Fault: Sendable {
        /// The request does not reach the store.
        case fail(StoreError)
        /// The request is carried out and its answer is lost.
        case failAfterwards(StoreError)
        /// The request waits first.
        case delay(Duration)
        /// The body breaks off after so many bytes, with a `.temporary` error.
        case truncate(after: Int)
        /// The body ends after so many bytes as if it were whole.
        case shorten(to: Int)
        /// One bit of the body's byte at this place is wrong.
        case corrupt(at: Int)
        /// The request gets no answer until its task is cancelled.
        case hang
    }

    /// A request that came by.
    public struct Request: Sendable, Equatable {
        /// What was asked.
        public let verb: StoreVerb
        /// The key, the copy's source, or the listing's prefix.
        public let key: String
        /// The range of a read.
        public let range: Range<UInt64>?
    }

    private struct Rule {
        let fault: Fault
        let verb: StoreVerb?
        let key: String?
        var skip: Int
        var times: Int
    }

    private struct State {
        var rules: [Rule] = []
        var requests: [Request] = []
        var isDown: StoreError?
    }

    private let store: any ObjectStore
    private let state = Guarded(State())
    private let probeHandler = Guarded<(@Sendable () async -> Void)?>(nil)

    /// Passes everything on until told otherwise.
    public init(_ store: any ObjectStore) { self.store = store }

    /// Makes matching requests fail.
    /// - Parameters:
    ///   - verb: nil for any.
    ///   - key: nil for any.
    ///   - nth: the first matching request that it hits, from 1.
    ///   - times: how many in a row.
    public func inject(
        _ fault: Fault, verb: StoreVerb? = nil, key: String? = nil, nth: Int = 1, times: Int = 1
    ) {
        state.withLock { $0.rules.append(Rule(fault: fault, verb: verb, key: key, skip: nth - 1, times: times)) }
    }

    /// Makes every request fail from now on, or none.
    public func setDown(_ error: StoreError?) { state.withLock { $0.isDown = error } }

    /// Forgets all faults that have not happened yet.
    public func clearFaults() { state.withLock { $0.rules = [] } }

    /// Runs something in a probe for conditions between its first answer and the others.
    public func amidProbe(_ action: @escaping @Sendable () async -> Void) { probeHandler.withLock { $0 = action } }

    /// All requests so far, in order of their beginning.
    public var requests: [Request] { state.withLock { $0.requests } }

    /// How many requests of a verb there were.
    public func count(_ verb: StoreVerb) -> Int { requests.count { $0.verb == verb } }

    /// Forgets the requests so far.
    public func clearRequests() { state.withLock { $0.requests = [] } }

    /// See ``ObjectStore/location``.
    public var location: String { store.location }

    /// See ``ObjectStore/capabilities``.
    public var capabilities: StoreCapabilities { store.capabilities }

    /// See ``ObjectStore/head(_:)``.
    public func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        try await passing(.head, key) { (_) throws(StoreError) in try await self.store.head(key) }
    }

    /// See ``ObjectStore/get(_:_:into:)``.
    public func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome {
        try await passing(.get, key, options.range) { (fault) throws(StoreError) in
            let faulty = FaultySink(sink, fault)
            do throws(StoreError) {
                return try await self.store.get(key, options, into: faulty)
            } catch  where faulty.hasEndedEarly {
                return .object(try await self.store.head(key))
            }
        }
    }

    /// See ``ObjectStore/put(_:_:_:)``.
    public func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await passing(.put, key) { (_) throws(StoreError) in try await self.store.put(key, body, condition) }
    }

    /// See ``ObjectStore/delete(_:ifMatch:)``.
    public func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try await passing(.delete, key) { (_) throws(StoreError) in
            try await self.store.delete(key, ifMatch: ifMatch)
        }
    }

    /// See ``ObjectStore/copy(_:ifSourceMatch:to:_:)``.
    public func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await passing(.copy, source) { (_) throws(StoreError) in
            try await self.store.copy(source, ifSourceMatch: ifSourceMatch, to: target, condition)
        }
    }

    /// See ``ObjectStore/multipart``. Faults of the verbs `.part` and `.multipart` hit it.
    public var multipart: (any MultipartStore)? { store.multipart.map { FaultyMultipart(store: $0, faults: self) } }

    /// See ``ObjectStore/probeConditions(early:)``. No fault hits its requests.
    public func probeConditions(
        early: @escaping @Sendable (_ ifAbsent: Bool) -> Void
    ) async throws(StoreError) -> ConditionSupport {
        let found = try await store.probeConditions(early: early)
        await probeHandler.value?()
        return found
    }

    /// See ``ObjectStore/list(_:)``.
    public func list(_ request: ListRequest) async throws(StoreError) -> ListPage {
        try await passing(.list, request.prefix) { (_) throws(StoreError) in try await self.store.list(request) }
    }

    /// See ``ObjectStore/createContainer()``.
    public func createContainer() async throws(StoreError) {
        try await passing(.create, "") { (_) throws(StoreError) in try await self.store.createContainer() }
    }

    /// See ``ObjectStore/changeMark(prefix:)``.
    public func changeMark(prefix: String) async throws(StoreError) -> String? {
        try await passing(.mark, prefix) { (_) throws(StoreError) in
            try await self.store.changeMark(prefix: prefix)
        }
    }

    fileprivate func passing<Result: Sendable>(
        _ verb: StoreVerb, _ key: String, _ range: Range<UInt64>? = nil,
        _ request: (Fault?) async throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        let (fault, down) = state.withLock { state in
            state.requests.append(Request(verb: verb, key: key, range: range))
            return (Self.take(verb, key, &state.rules), state.isDown)
        }
        if let down { throw down }
        switch fault {
        case .fail(let error): throw error
        case .delay(let duration): try await wait(duration)
        case .hang: while true { try await wait(.seconds(3600)) }
        default: break
        }
        let result = try await request(fault)
        if case .failAfterwards(let error) = fault { throw error }
        return result
    }

    private func wait(_ duration: Duration) async throws(StoreError) {
        do { try await Task.sleep(for: duration) } catch { throw StoreError(.cancelled, message: "cancelled") }
    }

    /// The fault of this request: the first rule that matches and is due.
    private static func take(_ verb: StoreVerb, _ key: String, _ rules: inout [Rule]) -> Fault? {
        for index in rules.indices {
            let rule = rules[index]
            guard rule.verb ?? verb == verb, rule.key ?? key == key, rule.times > 0 else { continue }
            if rule.skip > 0 {
                rules[index].skip -= 1
            } else {
                rules[index].times -= 1
                return rule.fault
            }
        }
        return nil
    }
}

/// Puts the store's faults before its uploads in parts.
private struct FaultyMultipart: MultipartStore {
    let store: any MultipartStore
    let faults: FaultyStore

    func begin(_ key: String) async throws(StoreError) -> String {
        try await faults.passing(.multipart, key) { (_) throws(StoreError) in try await store.begin(key) }
    }

    func put(
        part number: Int, of uploadID: String, _ key: String, _ body: ObjectBody
    ) async throws(StoreError) -> MultipartPart {
        try await faults.passing(.part, key) { (_) throws(StoreError) in
            try await store.put(part: number, of: uploadID, key, body)
        }
    }

    func parts(of uploadID: String, _ key: String) async throws(StoreError) -> [MultipartPart] {
        try await faults.passing(.multipart, key) { (_) throws(StoreError) in
            try await store.parts(of: uploadID, key)
        }
    }

    func complete(
        _ uploadID: String, _ key: String, parts: [MultipartPart], _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await faults.passing(.multipart, key) { (_) throws(StoreError) in
            try await store.complete(uploadID, key, parts: parts, condition)
        }
    }

    func abort(_ uploadID: String, _ key: String) async throws(StoreError) {
        try await faults.passing(.multipart, key) { (_) throws(StoreError) in try await store.abort(uploadID, key) }
    }

    func uploads(prefix: String) async throws(StoreError) -> [MultipartUpload] {
        try await faults.passing(.multipart, prefix) { (_) throws(StoreError) in
            try await store.uploads(prefix: prefix)
        }
    }
}

/// Spoils a body on its way.
private final class FaultySink: ObjectSink {
    private let sink: any ObjectSink
    private let fault: FaultyStore.Fault?
    private let state = Guarded<(offset: Int, ended: Bool)>((0, false))

    init(_ sink: any ObjectSink, _ fault: FaultyStore.Fault?) {
        self.sink = sink
        self.fault = fault
    }

    var restarts: Bool { sink.restarts }
    var hasEndedEarly: Bool { state.withLock { $0.ended } }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        state.withLock { $0 = (0, false) }
        try sink.begin(info, at: offset)
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        let start = state.withLock { state in
            defer { state.offset += bytes.byteCount }
            return state.offset
        }
        switch fault {
        case .truncate(let length) where start + bytes.byteCount > length:
            try pass(bytes, max(0, length - start))
            throw StoreError(.temporary, message: "connection lost in the middle of the body")
        case .shorten(let length) where start + bytes.byteCount > length:
            try pass(bytes, max(0, length - start))
            state.withLock { $0.ended = true }
            throw StoreError(.temporary, message: "body ended early")
        case .corrupt(let place) where (start..<start + bytes.byteCount).contains(place):
            var copy = bytes.withUnsafeBytes { Array($0) }
            copy[place - start] ^= 0x10
            try sink.receive(copy.span.bytes)
        default:
            try sink.receive(bytes)
        }
    }

    private func pass(_ bytes: RawSpan, _ count: Int) throws(StoreError) {
        if count > 0 { try sink.receive(bytes.extracting(0..<count)) }
    }
}
