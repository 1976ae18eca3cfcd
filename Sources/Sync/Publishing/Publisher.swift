public import Catalog
public import ObjectStore
public import Operations
internal import Platform
public import SessionCache
internal import SessionFormat

/// Sends what is staged to the bucket: body, index, row, each change as one operation.
///
/// A desk begins changes as they become ready, some at a time. Each is a job of its own that goes through its steps and
/// waits in between for its row, which is written together with others'. Jobs may be repeated from the beginning at any
/// time, also by a later process: every step first finds out whether it was done.
public final class Publisher: Sendable {
    struct State {
        var isRunning = false
        var totals = PublisherStatus()
        /// Changes that have ended, sent or not, since the publisher was made.
        var ended: UInt64 = 0
        /// How often the staging was asked for what can be sent: it goes through all that is pending.
        var looks: UInt64 = 0
    }

    let context: PublishContext
    let connectivity: Connectivity
    let board: PublishBoard
    let watch: WatchedRows
    let adoption: RowAdoption
    let sweep: UploadSweep
    let writer: RowWriter
    let state = Guarded(State())

    /// - Parameters:
    ///   - store: with retries, gated by `connectivity`.
    ///   - stateDirectory: `<state>/<store-id>`; holds what must outlive a crash beside the journal.
    ///   - cache: the bodies at hand: an old one is put back when the sending of a new one fails for good.
    public init(
        store: any ObjectStore, staging: Staging, catalog: Catalog, connectivity: Connectivity,
        operations: OperationRegistry, stateDirectory: String, options: PublisherOptions, cache: SessionCache? = nil
    ) {
        let conditions = PublishConditions(catalog: catalog)
        let pool = BlockingPool(name: "sessionfs.publish")
        let known = KnownSessions(catalog: catalog, etagIsContentMD5: store.capabilities.etagIsContentMD5)
        writer = RowWriter(
            store: store, scratch: stateDirectory, support: { await conditions.support() },
            lastUpdated: { Timestamp.now.localText }, known: { try known.each($0) }, pause: options.pause)
        watch = WatchedRows(path: stateDirectory + "/watched-rows")
        adoption = RowAdoption(catalog: catalog, known: known, watch: watch, patience: options.rowPatience)
        let begun = BegunUploads(path: stateDirectory + "/begun-uploads.json", age: options.strayAge)
        sweep = UploadSweep(staging: staging, store: store, begun: begun, pool: pool)
        board = PublishBoard(parallel: options.parallel)
        let hashing = BlockingPool(name: "sessionfs.hash", threads: BlockingPool.processors)
        let early = EarlyPasses(key: options.key, .init(for: store, isInParts: true), pool: hashing)
        self.connectivity = connectivity
        context = PublishContext(
            store: store, staging: staging, catalog: catalog, cache: cache, operations: operations, options: options,
            stateDirectory: stateDirectory, conditions: conditions,
            gathering: PublishGathering(writer: writer, watch: watch),
            committer: SentCommitter(staging: staging, pool: pool), board: board, begun: begun, early: early,
            pool: pool, hashing: hashing, slots: Slots(options.parallel))
        staging.onReady { [board] in board.announceNews() }
        staging.onGrowth { early.note($0, $1) }
        connectivity.observe { [board] state in
            if state.isOnline {
                let now = Timestamp.monotonic
                board.desk { $0.wake(now) }
                conditions.wake(now)
            }
            board.announceNews()
        }
    }

    /// Sends whatever becomes ready, until the calling task is cancelled. Waits while the store is offline.
    public func run() async {
        while !claim() {
            if Task.isCancelled { return }
            let count = board.wakeups.count
            if claim() { break }
            await board.wakeups.wait(since: count, seconds: 1)
        }
        context.gathering.reopen()
        await withDiscardingTaskGroup { group in
            var queue = PublishQueue()
            var due: Timestamp?
            while !Task.isCancelled {
                let count = board.wakeups.count
                let now = Timestamp.monotonic
                // The rest of a change has ended.
                if let due, due <= now { board.announceNews(raising: false) }
                let pause = step(&group, &queue)
                due = pause.map { now.later(by: $0) }
                await board.wakeups.wait(since: count, seconds: pause)
            }
            context.gathering.close()
        }
        writer.dropAhead()
        state.withLock { $0.isRunning = false }
        board.wakeups.raise()
    }

    private func claim() -> Bool {
        state.withLock { state in
            if state.isRunning { return false }
            state.isRunning = true
            return true
        }
    }

    /// Begins what can begin now.
    /// - Returns: the seconds to the next look; nil until something happens.
    private func step(_ group: inout DiscardingTaskGroup, _ queue: inout PublishQueue) -> Double? {
        var pause: Double?
        let isOnline = connectivity.state.isOnline
        if isOnline { pause = sooner(beginJobs(&group, &queue), beginSweep(&group)) }
        // Also while offline: jobs that wait for their rows end, and say why.
        return sooner(pause, beginRows(&group, isOnline: isOnline))
    }

    private func beginJobs(_ group: inout DiscardingTaskGroup, _ queue: inout PublishQueue) -> Double? {
        let now = Timestamp.monotonic
        let conditions = context.conditions
        if conditions.known == nil {
            // Nothing is asked of the server before somebody writes; then at once, so that a body need not wait for it.
            let staging = context.staging
            guard staging.wasWritten || !staging.sendable(limit: 1).isEmpty else { return nil }
            if conditions.beginProbe(now) {
                let store = context.store
                group.addTask { [board] in
                    await conditions.probe(store) { board.wakeups.raise() }
                    board.wakeups.raise()
                }
            }
            guard conditions.allowsNew else { return conditions.wait(now) }
        }
        let activity = context.staging.writingActivity
        while board.desk({ $0.room(now, activity) }) > 0 {
            guard let id = queue.next(fill: sendable, ifNews: board.takeNews) else { break }
            guard board.desk({ $0.beginIfRested(id, now) }) else { continue }
            guard let change = context.staging.begin(id) else {
                board.desk { $0.end(id) }
                continue
            }
            FaultPoint.reached("publish.begin")
            group.addTask { await self.carryOut(change) }
        }
        let (rest, copying) = board.desk { ($0.nextEnd(now), $0.givesWay(to: activity, now)) }
        return sooner(sooner(rest, copying), conditions.wait(now))
    }

    private func beginSweep(_ group: inout DiscardingTaskGroup) -> Double? {
        guard let wait = sweep.begin(.monotonic) else { return nil }
        if wait > 0 { return wait }
        group.addTask { [sweep, board] in
            await sweep.run()
            board.wakeups.raise()
        }
        return nil
    }

    private func sendable(_ limit: Int) -> [Int64] {
        state.withLock { $0.looks += 1 }
        // Those that rest must not hide those behind them.
        return context.staging.sendable(limit: limit + board.desk { $0.resting }).map(\.id)
    }

    private func beginRows(_ group: inout DiscardingTaskGroup, isOnline: Bool) -> Double? {
        let now = Timestamp.monotonic
        let (preparing, hurry) = board.desk { ($0.preparing, $0.hurries > 0) }
        let gathering = context.gathering
        let options = context.options
        let rows = gathering.wait(
            preparing: preparing, hurry: hurry || !isOnline,
            gathering: context.staging.isBeingWritten ? options.gathering : options.settling, now: now)
        let (look, search) = isOnline ? (watch.wait(now), adoption.wait(now)) : (nil, nil)
        guard let next = sooner(rows, sooner(look, search)) else { return nil }
        if next > 0 {
            // When it is time to write the rows, the file they go into is there already.
            if rows != nil, preparing == 0, isOnline, context.conditions.known?.ifMatch == true,
                context.conditions.known?.ifAbsent == true
            {
                writer.readAhead()
            }
            return next
        }
        guard gathering.begin() else { return nil }
        let writesRows = rows.map { $0 <= 0 } ?? false
        group.addTask { [self] in
            let written = writesRows ? await gathering.writeAll() : []
            if !writesRows {
                if let search, search <= 0 { await adoption.look(writer, context) }
                if watch.wait(.monotonic).map({ $0 <= 0 }) ?? false { await watch.look(writer, context) }
            }
            gathering.end()
            board.wakeups.raise()
            await gathering.finish(written, context.bodyCheck)
        }
        return nil
    }

    private func sooner(_ left: Double?, _ right: Double?) -> Double? {
        guard let left else { return right }
        guard let right else { return left }
        return min(left, right)
    }

    var looks: UInt64 { state.withLock { $0.looks } }

    /// Where the sending stands.
    public var status: PublisherStatus {
        var status = state.withLock { $0.totals }
        status.running = board.desk { $0.running }
        status.overallWrites = writer.writes
        status.conditions = context.conditions.known
        if status.lastError == nil, status.conditions == nil {
            status.lastError = context.conditions.lastError?.description
        }
        return status
    }

    /// How much of a body is sent, from 0 to 100; nil when it is not being sent.
    public func percent(of id: Int64) -> Int? { board.percent(id) }

    /// The overall file has changed: rows that were written lately are looked for, and written again when they are
    /// gone (clients that overwrite the file without looking).
    public func overallFileChanged() {
        watch.fileChanged()
        adoption.fileChanged()
        board.wakeups.raise()
    }

    /// The catalog has learnt of other versions of objects: where a session was replaced while this machine wrote its
    /// index and row, those are looked at.
    public func objectsChanged() {
        watch.objectsChanged()
        board.wakeups.raise()
    }

    /// What the bucket holds under a session's name now, to decide a conflict; nil: nothing.
    public func current(_ fileName: String) async throws(StoreError) -> ObjectInfo? {
        guard let name = SessionName(fileName: fileName) else { return nil }
        return try await context.head(name.bodyKey)
    }
}
