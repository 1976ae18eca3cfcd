import Digests
import ObjectStore
import Platform
import Synchronization

/// A store in memory whose every answer a test decides: held back, cut, corrupted, refused.
final class ScriptedStore: ObjectStore {
    struct Object {
        var bytes: [UInt8]
        var etag: String?
        var contentMD5: String?
        var reportedSize: UInt64?
    }
    /// One GET as the cache asked for it.
    struct Request: Sendable, Equatable {
        var number: Int
        var key: String
        var range: Range<UInt64>?
        var ifMatch: String?
        /// First byte asked for.
        var start: UInt64 { range?.lowerBound ?? 0 }
    }
    /// What happens to a GET.
    struct Answer: Sendable {
        /// Waits for this gate before the facts.
        var gate: Gate?
        /// Fails before the facts.
        var failure: StoreError?
        /// Fails with this after so many bytes.
        var cutAfter: (bytes: Int, error: StoreError)?
        /// Ends without an error after so many bytes.
        var endAfter: Int?
        /// Changes bytes on their way; gets the offset of the first.
        var corrupt: (@Sendable (inout [UInt8], UInt64) -> Void)?
        /// Waits for this gate after so many bytes.
        var pause: (bytes: Int, gate: Gate)?
        /// Sends everything whatever was asked for.
        var ignoresRange = false
        /// Does not look at `ifMatch`.
        var ignoresCondition = false
        init() {}
        static let plain = Answer()
        static func failing(_ kind: StoreError.Kind, status: Int? = nil) -> Answer {
            var answer = Answer()
            answer.failure = StoreError(kind, message: "scripted", status: status)
            return answer
        }
    }

    private struct State {
        var objects: [String: Object] = [:]
        var requests: [Request] = []
        var heads = 0
        var script: @Sendable (Request) -> Answer = { _ in .plain }
        var headFailures: [StoreError] = []
    }
    private let state = Mutex(State())
    let piece: Int

    /// - Parameter piece: bytes delivered at a time.
    init(piece: Int = 64 << 10) { self.piece = piece }

    var location: String { "memory://test" }
    var capabilities: StoreCapabilities { StoreCapabilities(etagIsContentMD5: true, isRemote: true) }
    var requests: [Request] { state.withLock { $0.requests } }
    var heads: Int { state.withLock { $0.heads } }

    func set(
        _ key: String, _ bytes: [UInt8], etag: String? = "auto", contentMD5: String? = "auto",
        reportedSize: UInt64? = nil
    ) {
        let md5 = MD5.hex(bytes)
        let object = Object(
            bytes: bytes, etag: etag == "auto" ? md5 : etag, contentMD5: contentMD5 == "auto" ? md5 : contentMD5,
            reportedSize: reportedSize)
        state.withLock { $0.objects[key] = object }
    }
    func object(_ key: String) -> Object? { state.withLock { $0.objects[key] } }
    /// Whether some object has these bytes.
    func holds(_ bytes: [UInt8]) -> Bool { state.withLock { $0.objects.values.contains { $0.bytes == bytes } } }
    func remove(_ key: String) { state.withLock { $0.objects[key] = nil } }
    func script(_ script: @escaping @Sendable (Request) -> Answer) { state.withLock { $0.script = script } }

    private func find(_ key: String) throws(StoreError) -> (Object, ObjectInfo) {
        guard let object = state.withLock({ $0.objects[key] }) else {
            throw StoreError(.notFound, key: key, message: "no such object")
        }
        let info = ObjectInfo(
            key: key, size: object.reportedSize ?? UInt64(object.bytes.count), etag: object.etag,
            contentMD5: object.contentMD5)
        return (object, info)
    }

    func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        state.withLock { $0.heads += 1 }
        return try find(key).1
    }

    func get(_ key: String, _ options: ReadOptions, into sink: any ObjectSink) async throws(StoreError) -> ReadOutcome {
        let (request, script) = state.withLock { state in
            let request = Request(
                number: state.requests.count, key: key, range: options.range, ifMatch: options.ifMatch)
            state.requests.append(request)
            return (request, state.script)
        }
        let answer = script(request)
        await answer.gate?.wait()
        if let failure = answer.failure { throw failure }
        let (object, info) = try find(key)
        if let tag = options.ifMatch, !answer.ignoresCondition, tag != object.etag {
            throw StoreError(.precondition, key: key, message: "precondition failed", status: 412)
        }
        let whole = UInt64(object.bytes.count)
        let range = answer.ignoresRange ? 0..<whole : options.range ?? 0..<whole
        guard range.lowerBound < whole || whole == 0 else {
            throw StoreError(.permanent, key: key, message: "range not satisfiable", status: 416)
        }
        try sink.begin(info, at: range.lowerBound)
        var position = range.lowerBound
        let end = min(range.upperBound, whole)
        while position < end {
            if Task.isCancelled { throw StoreError(.cancelled, key: key, message: "cancelled") }
            let sent = Int(position - range.lowerBound)
            if let pause = answer.pause, pause.bytes == sent { await pause.gate.wait() }
            if let cut = answer.cutAfter, sent >= cut.bytes { throw cut.error }
            if let last = answer.endAfter, sent >= last { break }
            let limit = [answer.pause?.bytes, answer.cutAfter?.bytes, answer.endAfter].compactMap { $0 }.filter {
                $0 > sent
            }.min()
            let count = min(piece, Int(end - position), (limit ?? .max) - sent)
            var bytes = Array(object.bytes[Int(position)..<Int(position) + count])
            answer.corrupt?(&bytes, position)
            try sink.receive(bytes.span.bytes)
            position += UInt64(count)
        }
        if Task.isCancelled { throw StoreError(.cancelled, key: key, message: "cancelled") }
        return .object(info)
    }

    private func unused() -> StoreError { StoreError(.unsupported, message: "not part of this test") }
    func put(_ key: String, _ body: ObjectBody, _ condition: WriteCondition) async throws(StoreError) -> ObjectInfo {
        throw unused()
    }
    func delete(_ key: String, ifMatch: String?) async throws(StoreError) { throw unused() }
    func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        throw unused()
    }
    func list(_ request: ListRequest) async throws(StoreError) -> ListPage { throw unused() }
    func createContainer() async throws(StoreError) { throw unused() }
}

/// A door that a test opens. Waiting at it ends early when the task is cancelled.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var nextWaiter = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var cancelled: Set<Int> = []
    }
    private let state = Mutex(State())

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
                let passes = state.withLock { state -> Bool in
                    if state.isOpen || state.cancelled.contains(number) { return true }
                    state.waiters[number] = waiter
                    return false
                }
                if passes { waiter.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.cancelled.insert(number)
                return state.waiters.removeValue(forKey: number)
            }
            waiter?.resume()
        }
    }
}
