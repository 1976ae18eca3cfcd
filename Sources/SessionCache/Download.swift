internal import Catalog
internal import ObjectStore
internal import Operations
internal import Platform
internal import Synchronization

/// One body on its way into the cache: carries out what its ``DownloadPlan`` decides.
///
/// Events come from readers, from the store's threads, from timers and from the lanes. Each goes through ``step``:
/// the plan decides under the lock, the effects happen after it. No lock is held while anything is called, and the
/// cache's lock is never taken under this one.
final class Download: Sendable {
    typealias Reply = @Sendable (Result<BodyBytes, CacheError>) -> Void
    typealias Action = DownloadPlan.Action

    /// A file and what of it was hashed. A digest mismatch or a new version begins another.
    struct Attempt {
        let file: PartialFile
        var hasher: PrefixHasher?
        var hashed: UInt64 = 0
        var isHashing = false
    }

    struct State {
        var plan: DownloadPlan
        var hasBegun = false
        var attempt: Attempt?
        /// The file of an attempt with a wrong digest, of which bytes had been handed out.
        var rejected: PartialFile?
        var digest: Digest?
        var replies: [UInt64: Reply] = [:]
        var tasks: [UInt64: Task<Void, Never>] = [:]
        var timers: [UInt64: Task<Void, Never>] = [:]
        var serial: UInt64 = 0
        var readers: Set<UInt64> = []
        var operation: OperationHandle?
        var reported: UInt64 = 0
        var kept: FileDescriptor?
        /// From before the first request: what this machine has written since then is newer than any answer.
        var mark: WriteMark?
        /// Under which the object is asked for.
        var fileName: String
        /// Where its object goes, by a rename that began after this download.
        var moved: MovedBody?

        mutating func next() -> UInt64 {
            serial += 1
            return serial
        }
    }

    /// What is left to do when the lock is free again.
    private enum Effect {
        case reply(Reply, Result<BodyBytes, CacheError>)
        case cancel(Task<Void, Never>)
        case hash
        /// Removes a file that is no longer needed.
        case release(PartialFile)
        case report(OperationHandle, UInt64, UInt64)
        case act(Action)
    }

    let id: Int64
    /// Which download of the cache's it is.
    let number: UInt64
    private let firstETag: String?
    let cache: SessionCache
    let state: Mutex<State>

    init(_ entry: SessionEntry, cache: SessionCache) {
        id = entry.id
        firstETag = entry.etag
        self.cache = cache
        number = cache.arrivals.wrappingAdd(1, ordering: .relaxed).newValue
        let plan = DownloadPlan(
            subject: SessionCache.keyPrefix + entry.fileName, size: entry.size, expectedETag: entry.etag,
            catalogDigest: Digest(of: entry),
            policy: Download.policy(of: cache), seed: UInt64.random(in: .min ... .max), now: .monotonic)
        state = Mutex(State(plan: plan, fileName: entry.fileName))
    }

    private static func policy(of cache: SessionCache) -> DownloadPlan.Policy {
        var policy = cache.options.policy
        policy.followsConnectivity = cache.connectivity != nil
        return policy
    }

    // MARK: Readers

    /// Adds a reader.
    /// - Parameter etag: the version that the catalog names now.
    /// - Returns: the reader's number; nil when this download has failed or is of another version.
    func join(expecting etag: String?) -> UInt64? {
        state.withLock { state in
            if case .ended = state.plan.phase { return nil }
            if let etag, let first = firstETag, etag != first {
                guard let current = state.plan.version?.etag, current == etag else { return nil }
            }
            let reader = state.next()
            state.readers.insert(reader)
            return reader
        }
    }

    /// Begins the transfer, once.
    func begin() {
        step { state in begin(&state) }
    }

    private func begin(_ state: inout State) -> [Action] {
        guard !state.hasBegun else { return [] }
        state.hasBegun = true
        state.operation = cache.operations.begin(.download, subject: state.plan.subject, total: state.plan.size) {
            [weak self] in
            self?.end(CacheError(.interrupted, "download cancelled"))
        }
        return [.prepare(size: state.plan.size)]
    }

    /// Replies on the calling thread when the bytes are there, else later from another.
    func read(_ reader: UInt64, at offset: UInt64, count: Int, reply: @escaping Reply) {
        step(inline: true) { state in
            let read = state.next()
            state.replies[read] = reply
            let actions = state.plan.read(
                id: read, reader: reader, offset: offset, count: UInt64(max(0, count)), now: .monotonic)
            return actions + begin(&state)
        }
    }

    func cancelReads(_ reader: UInt64) {
        step { state in state.plan.cancelReads(of: reader) }
    }

    /// A reader has gone. Without any the download ends, or goes on by policy.
    func leave(_ reader: UInt64) {
        step { state in
            guard state.readers.remove(reader) != nil else { return [] }
            let actions = state.plan.left(reader)
            let plan = state.plan
            let goesOn =
                !state.readers.isEmpty
                || state.hasBegun && cache.options.whenClosed.finishes(arrived: plan.arrived.count, of: plan.size)
            return goesOn ? actions : actions + state.plan.end(CacheError(.interrupted, "closed before it was whole"))
        }
    }

    /// Ends it from outside; harmless when the body is there.
    func end(_ error: CacheError) {
        step { state in state.plan.end(error) }
    }

    // MARK: What is known

    var fileName: String { state.withLock { $0.fileName } }
    var key: String { SessionCache.keyPrefix + fileName }
    /// The body's size as far as is known now, in bytes.
    var size: UInt64 { state.withLock { $0.plan.size } }
    /// The tag of the version that arrives: the store's word, before that the catalog's.
    var etag: String? { state.withLock { $0.plan.version.map(\.etag) ?? firstETag } }
    /// The file, once it is whole, verified and recorded.
    var kept: FileDescriptor? { state.withLock { $0.kept } }
    var progress: CacheStatistics.InFlight {
        state.withLock { state in
            .init(
                id: id, fileName: state.fileName, done: state.plan.arrived.count, total: state.plan.size,
                readers: state.readers.count)
        }
    }

    // MARK: Transfers

    /// An answer begins.
    /// - Returns: where its bytes go; nil when they are not wanted.
    func began(_ ticket: UInt64, _ info: ObjectInfo, at offset: UInt64) -> PartialFile? {
        var file: PartialFile?
        step { state in
            let (accepted, actions) = state.plan.began(ticket, info, at: offset, now: .monotonic)
            if accepted { file = state.attempt?.file }
            return actions
        }
        return file
    }

    /// Bytes have come for a file.
    /// - Returns: the parts to write; nil when the transfer is not wanted any more.
    func received(_ ticket: UInt64, _ bytes: Range<UInt64>, in file: PartialFile) -> [Range<UInt64>]? {
        cache.countDownloaded(bytes.upperBound - bytes.lowerBound)
        return state.withLock { state in
            state.attempt?.file === file ? state.plan.received(ticket, bytes, now: .monotonic) : nil
        }
    }

    /// Parts are written.
    func written(_ parts: [Range<UInt64>], in file: PartialFile) {
        step { state in
            state.attempt?.file === file ? state.plan.written(parts, now: .monotonic) : []
        }
    }

    /// Parts could not be written.
    func notWritten(_ parts: [Range<UInt64>], in file: PartialFile) {
        state.withLock { state in
            if state.attempt?.file === file { state.plan.notWritten(parts) }
        }
    }

    private func transfer(_ ticket: UInt64, _ range: Range<UInt64>?, ifMatch: String?) async {
        let key = key
        let options = ReadOptions(range: range, ifMatch: ifMatch)
        var failure: StoreError?
        do throws(StoreError) {
            let outcome = try await cache.store.get(key, options, into: RangeSink(self, ticket: ticket))
            if outcome == .notModified {
                failure = StoreError(.permanent, key: key, message: "unexpected 304 without a condition")
            }
        } catch { failure = error }
        step { state in
            state.tasks[ticket] = nil
            return state.plan.ended(ticket, failure, now: .monotonic)
        }
    }

    // MARK: Steps

    /// Lets the plan decide and carries out what it decided.
    /// - Parameter inline: replies may run on this thread; else they go to the reply lane.
    func step(inline: Bool = false, _ event: (inout State) -> [Action]) {
        let effects = state.withLock { state in
            let actions = event(&state)
            return resolve(actions, &state)
        }
        for effect in effects { run(effect, inline: inline) }
    }

    private func resolve(_ actions: [Action], _ state: inout State) -> [Effect] {
        var effects: [Effect] = []
        for action in actions {
            switch action {
            case .answer(let read, let offset, let count):
                guard let reply = state.replies.removeValue(forKey: read) else { break }
                if let file = state.attempt?.file.descriptor {
                    effects.append(.reply(reply, .success(.file(file, offset: offset, count: Int(count)))))
                }
            case .refuse(let read, let error):
                if let reply = state.replies.removeValue(forKey: read) {
                    effects.append(.reply(reply, .failure(error)))
                }
            case .fetch(let ticket, let range, let tag):
                state.tasks[ticket] = Task.detached { await self.transfer(ticket, range, ifMatch: tag) }
            case .stop(let ticket):
                if let task = state.tasks.removeValue(forKey: ticket) { effects.append(.cancel(task)) }
            case .wake(let seconds):
                let timer = state.next()
                state.timers[timer] = Task.detached { [weak self] in
                    try? await Task.sleep(nanoseconds: UInt64(seconds * 1_000_000_000))
                    if !Task.isCancelled { self?.wake(timer) }
                }
            case .prepare:
                if let file = state.attempt?.file {
                    let isNeeded = state.plan.digestFailures > 0 && state.plan.handedOut.count > 0
                    if isNeeded, state.rejected == nil { state.rejected = file } else { effects.append(.release(file)) }
                }
                state.attempt = nil
                effects.append(.act(action))
            case .end, .keep:
                effects += state.timers.values.map { .cancel($0) }
                state.timers.removeAll()
                if let file = state.rejected { effects.append(.release(file)) }
                state.rejected = nil
                if case .end = action, let file = state.attempt?.file {
                    effects.append(.release(file))
                    state.attempt = nil
                }
                effects.append(.act(action))
            case .ask, .locate, .learn, .forget, .makeRoom:
                effects.append(.act(action))
            }
        }
        if shouldHash(state) {
            state.attempt?.isHashing = true
            effects.append(.hash)
        }
        let done = state.plan.arrived.count
        if let operation = state.operation, done >= state.reported + max(256 << 10, state.plan.size / 128) {
            state.reported = done
            effects.append(.report(operation, done, state.plan.size))
        }
        return effects
    }

    private func run(_ effect: Effect, inline: Bool) {
        switch effect {
        case .reply(let reply, let result):
            if inline { reply(result) } else { cache.lanes.reply { reply(result) } }
        case .cancel(let task): task.cancel()
        case .release(let file): file.discard()
        case .hash: cache.lanes.hash(id) { self.hashAhead() }
        case .report(let operation, let done, let total): operation.progress(completed: done, total: total)
        case .act(let action): act(action)
        }
    }

    private func act(_ action: Action) {
        switch action {
        case .prepare(let size): Task.detached { self.prepare(size) }
        case .ask:
            Task.detached {
                let answer: Result<ObjectInfo, StoreError>
                do throws(StoreError) { answer = .success(try await self.cache.store.head(self.key)) } catch {
                    answer = .failure(error)
                }
                self.step { state in state.plan.asked(answer, now: .monotonic) }
            }
        case .locate: Task.detached { await self.locate() }
        case .learn(let version):
            cache.lanes.disk { self.cache.learn(self.id, self.fileName, version, since: self.mark) }
        case .forget: cache.lanes.disk { self.cache.forget(self.id, self.fileName, since: self.mark) }
        case .makeRoom: Task.detached { _ = self.cache.makeRoom(for: self.size) }
        case .keep: cache.lanes.disk { self.keep() }
        case .end(let error): finish(error)
        case .answer, .refuse, .fetch, .stop, .wake: break
        }
    }

    private var mark: WriteMark? { state.withLock { $0.mark } }

    /// The store went away or is back.
    func connectivityChanged() {
        guard let connectivity = cache.connectivity else { return }
        step { state in state.plan.line(isThere: connectivity.state.isOnline, now: .monotonic) }
    }

    private func wake(_ timer: UInt64) {
        step { state in
            state.timers[timer] = nil
            return state.plan.tick(now: .monotonic)
        }
    }

    // MARK: The file

    private func prepare(_ size: UInt64) {
        cache.trim(adding: size)
        let mark = try? cache.catalog.writeMark()
        let made: Result<PartialFile, SystemError>
        do throws(SystemError) {
            made = .success(try cache.makePartialFile(id, size: size))
        } catch { made = .failure(error) }
        step { state in
            switch made {
            case .success(let file):
                guard state.plan.phase == .preparing else {
                    file.discard()
                    return []
                }
                state.attempt = Attempt(file: file)
                state.mark = state.mark ?? mark
                let isThere = cache.connectivity?.state.isOnline ?? true
                return state.plan.line(isThere: isThere, now: .monotonic) + state.plan.prepared(now: .monotonic)
            case .failure(let error):
                return state.plan.end(CacheError(error))
            }
        }
    }

    private func shouldHash(_ state: State) -> Bool {
        guard state.plan.phase == .running, state.plan.version != nil, let attempt = state.attempt else { return false }
        if attempt.isHashing { return false }
        return state.plan.isComplete || state.plan.arrived.prefix >= attempt.hashed + (128 << 10)
    }

    private func keep() {
        let verified = state.withLock { state in
            (state.attempt?.file, state.digest, state.plan.version, state.operation)
        }
        guard let file = verified.0, let digest = verified.1, let version = verified.2 else { return }
        let failure = cache.keep(self, file, digest, version)
        if failure == nil { state.withLock { $0.kept = file.descriptor } }
        verified.3?.progress(completed: version.size, total: version.size)
        verified.3?.finish(failure.map { "not kept: \($0)" } ?? "verified \(digest)")
        cache.ended(self, nil)
    }

    private func finish(_ error: CacheError) {
        let (operation, wasSeen) = state.withLock { ($0.operation, $0.plan.handedOut.count > 0) }
        if error.kind == .interrupted {
            operation?.cancelled(error.message)
        } else {
            operation?.fail(error.description)
        }
        // Pages of the kernel may hold bytes of what proved wrong or old.
        if wasSeen && (error.kind == .changed || error.kind == .corrupt) { cache.announceChange(id) }
        cache.ended(self, error)
    }
}
