public import Catalog
public import ObjectStore
public import Operations
internal import Platform

/// Keeps the catalog in step with the bucket (reading side).
///
/// The overall file is asked for with one conditional request; its rows are compared with what is known, for sessions
/// are immutable. What it may leave out or name wrongly (it is cut at 1,000 sessions, written late, or not at all) is
/// put right by listings: behind the greatest known name often, complete ones seldom, and at once when something shows
/// that they are needed. Sessions are published as soon as they are committed; nothing waits for the indexes, which are
/// fetched at the same time.
public final class Refresher: Sendable {
    private let store: any ObjectStore
    private let catalog: Catalog
    private let directory: String
    private let operations: OperationRegistry
    private let options: RefresherOptions
    private let publish: @Sendable (CatalogDelta) -> Void
    private let pauses: FetchPauses
    private let state: Guarded<State>

    private struct State {
        var status: RefreshStatus
        var running: Flight?
        var queued: Flight?
        var sleeper: Task<Void, Never>?
        var nextMode: RefreshMode?
        var savedSuccess: Timestamp?
    }

    /// One refresh, running or to run when the one before has ended.
    private final class Flight: Sendable {
        let wish: Guarded<(mode: RefreshMode, isAsked: Bool)>
        let task: Guarded<Task<Result<RefreshReport, StoreError>, Never>?>

        init(_ mode: RefreshMode, isAsked: Bool) {
            wish = Guarded((mode, isAsked))
            task = Guarded(nil)
        }
    }

    /// - Parameters:
    ///   - store: where the bucket is; retries are its business.
    ///   - cacheDirectory: `<cache>`; the overall file is kept as `<cache>/meta_cache/overall_meta.json`.
    ///   - operations: where refreshes that have something to do are listed and can be cancelled.
    ///   - publish: called after every commit, from any thread, in the order of commits of one refresh.
    public init(
        store: any ObjectStore, catalog: Catalog, cacheDirectory: String, operations: OperationRegistry,
        options: RefresherOptions = RefresherOptions(), publish: @escaping @Sendable (CatalogDelta) -> Void
    ) {
        self.store = store
        self.catalog = catalog
        self.directory = cacheDirectory + "/meta_cache"
        self.operations = operations
        self.options = options
        self.publish = publish
        pauses = FetchPauses(first: options.pollInterval)
        var status = RefreshStatus()
        status.lastSuccess = Self.time(catalog, Setting.lastSuccess)
        status.lastFullListing = Self.time(catalog, Setting.lastListing)
        state = Guarded(State(status: status, savedSuccess: status.lastSuccess))
        catalog.observe { [weak self] event in self?.take(event) }
    }

    /// Where the refreshing stands.
    public var status: RefreshStatus { state.withLock { $0.status } }

    /// Refreshes. What the bucket held when this was called is seen: when a refresh runs already, another one follows
    /// it, which all callers share that come meanwhile.
    /// - Throws: why it failed; what was learnt before stays.
    public func refresh(_ mode: RefreshMode) async throws(StoreError) -> RefreshReport {
        pauses.clear()
        let flight = board(mode, isAsked: true)
        let outcome = await result(of: flight)
        state.withLock { $0.status.waiting -= 1 }
        return try outcome.get()
    }

    /// Stops what runs; it throws `.cancelled` to those who wait for it.
    public func stop() {
        let flights = state.withLock { state in [state.running, state.queued].compactMap(\.self) }
        for flight in flights { flight.task.withLock { $0?.cancel() } }
    }

    // MARK: The loop

    /// Refreshes at once and then by the intervals of the options, until the calling task is cancelled. Failures are
    /// shown in ``status`` and lengthen the pause.
    public func run() async {
        var due = Due(options, lastListing: status.lastFullListing)
        while !Task.isCancelled {
            let mode = max(due.mode, state.withLock { $0.nextMode.take() } ?? .poll)
            let flight = board(mode, isAsked: false)
            let outcome = await withTaskCancellationHandler {
                await result(of: flight)
            } onCancel: {
                flight.task.withLock { $0?.cancel() }
            }
            let pause = due.pause(after: outcome)
            await sleep(pause)
        }
    }

    /// Refreshes soon, without waiting for it.
    public func wake(_ mode: RefreshMode = .poll) {
        let sleeper = state.withLock { state in
            state.nextMode = max(state.nextMode ?? .poll, mode)
            return state.sleeper
        }
        sleeper?.cancel()
    }

    private func sleep(_ seconds: Double) async {
        let sleeper = Task { _ = try? await Task.sleep(for: .seconds(seconds)) }
        let isWanted = state.withLock { state in
            state.sleeper = sleeper
            return state.nextMode != nil
        }
        if isWanted { sleeper.cancel() }
        await withTaskCancellationHandler {
            await sleeper.value
        } onCancel: {
            sleeper.cancel()
        }
        state.withLock { $0.sleeper = nil }
    }

    // MARK: Single flight

    /// The flight that serves a wish made now: one that has not begun.
    private func board(_ mode: RefreshMode, isAsked: Bool) -> Flight {
        state.withLock { state in
            if isAsked { state.status.waiting += 1 }
            if let queued = state.queued {
                queued.wish.withLock { $0 = (max($0.mode, mode), $0.isAsked || isAsked) }
                return queued
            }
            let flight = Flight(mode, isAsked: isAsked)
            let before = state.running
            if before == nil { state.running = flight } else { state.queued = flight }
            let task = Task { await self.fly(flight, after: before) }
            flight.task.withLock { $0 = task }
            return flight
        }
    }

    private func result(of flight: Flight) async -> Result<RefreshReport, StoreError> {
        guard let task = flight.task.withLock({ $0 }) else {
            return .failure(StoreError(.cancelled, message: "never begun"))
        }
        return await task.value
    }

    private func fly(_ flight: Flight, after before: Flight?) async -> Result<RefreshReport, StoreError> {
        if let before { _ = await result(of: before) }
        let wish = state.withLock { state in
            if before != nil {
                state.running = flight
                state.queued = nil
            }
            state.status.isRunning = true
            return flight.wish.withLock { $0 }
        }
        let started = Timestamp.monotonic
        let journey = journey(flight, wish.mode)
        if wish.isAsked { journey.becomeOperation() }
        var outcome: Result<RefreshReport, StoreError>
        do {
            try await travel(journey, wish.mode)
            journey.note { $0.seconds = Timestamp.monotonic.seconds(since: started) }
            outcome = .success(journey.report)
        } catch {
            outcome = .failure(Task.isCancelled ? StoreError(.cancelled, message: "cancelled") : storeError(error))
        }
        if case .success = outcome { outcome = saveSuccess(outcome) }
        end(journey, outcome)
        state.withLock { state in if state.running === flight { state.running = nil } }
        return outcome
    }

    private func journey(_ flight: Flight, _ mode: RefreshMode) -> Journey {
        Journey(
            store: store, catalog: catalog, directory: directory, options: options, mode: mode, tellDelta: publish,
            tellStatus: { [state] phase, completed, total in
                state.withLock { state in
                    state.status.phase = phase
                    state.status.completed = completed
                    state.status.total = total
                }
            },
            countRequest: { [state] in state.withLock { $0.status.requests += 1 } },
            beginOperation: { [operations, store] in
                operations.begin(.refresh, subject: store.location) { flight.task.withLock { $0?.cancel() } }
            })
    }

    // MARK: One refresh

    private func travel(_ journey: Journey, _ mode: RefreshMode) async throws {
        if try catalog.othersChangedSessions() { publish(CatalogDelta(reset: true)) }
        let reason = try catalog.value(Catalog.listingNeededKey) ?? (mode == .full ? "asked for" : nil)
        let queue = IndexQueue(waitsForListing: reason != nil)
        async let fetching: Result<Void, any Error> = Result {
            try await IndexFetcher(journey: journey, queue: queue, pauses: pauses).run()
        }
        let found: Result<Void, any Error> = await Result {
            defer { queue.end() }
            try await look(journey, mode, listing: reason, queue)
            state.withLock { $0.status.isListed = true }
        }
        let fetched = await fetching
        try found.get()
        try fetched.get()
    }

    /// - Parameter reason: why complete listings have to be made in any case; nil when they need not.
    private func look(
        _ journey: Journey, _ mode: RefreshMode, listing reason: String?, _ queue: IndexQueue
    ) async throws {
        let overall = try OverallPass(journey: journey, poke: queue.poke)
        let listing = ListingPass(journey: journey, indexes: queue)
        let found = try await overall.run()
        var isListing = reason != nil || found.needsListing
        if !isListing { isListing = try await listing.marksDiffer() }
        if isListing {
            queue.waitForListing()
            try await listing.full()
            queue.listingEnded()
            let isDamaged = reason == Catalog.damagedRowsReason && found.outcome == .unchanged
            if found.needsSecondReading || isDamaged { try await overall.readAgain() }
        } else if mode == .tail {
            try await listing.tail()
        }
        // Those of earlier refreshes that failed.
        if try catalog.counts.unknownIndexes > 0 { queue.poke() }
    }

    // MARK: Afterwards

    private func end(_ journey: Journey, _ outcome: Result<RefreshReport, StoreError>) {
        state.withLock { state in
            state.status.isRunning = false
            state.status.phase = ""
            state.status.completed = 0
            state.status.total = nil
            switch outcome {
            case .success(let report):
                state.status.lastError = nil
                state.status.failures = 0
                state.status.lastSuccess = .now
                state.status.lastReport = report
                if report.listedAll { state.status.lastFullListing = .now }
            case .failure(let error):
                if error.kind == .cancelled { break }
                state.status.lastError = error
                state.status.lastErrorTime = .now
                state.status.failures += 1
            }
        }
        guard let operation = journey.operation else { return }
        switch outcome {
        case .success(let report):
            operation.finish(
                "\(report.added) added, \(report.removed) removed, \(report.changed) changed; "
                    + "\(report.indexesRead) indexes, \(report.requests) requests")
        case .failure(let error):
            if error.kind == .cancelled { operation.cancelled() } else { operation.fail(error.description) }
        }
    }

    /// Writes the time down for the next start, not more often than once a minute.
    private func saveSuccess(_ outcome: Result<RefreshReport, StoreError>) -> Result<RefreshReport, StoreError> {
        let now = Timestamp.now
        let isDue = state.withLock { state in
            guard let saved = state.savedSuccess, abs(now.seconds(since: saved)) < 60 else {
                state.savedSuccess = now
                return true
            }
            return false
        }
        guard isDue else { return outcome }
        do throws(CatalogError) {
            try catalog.setValue(Setting.lastSuccess, String(now.nanoseconds))
            return outcome
        } catch { return .failure(storeError(error)) }
    }

    private func take(_ event: CatalogEvent) {
        switch event {
        case .reset: publish(CatalogDelta(reset: true, overallFile: true))
        case .damagedRows(let ids): publish(CatalogDelta(changed: ids))
        }
        wake(.poll)
    }

    private static func time(_ catalog: Catalog, _ key: String) -> Timestamp? {
        guard let text = try? catalog.value(key), let nanoseconds = Int64(text) else { return nil }
        return Timestamp(nanoseconds: nanoseconds)
    }
}

extension Result where Failure == any Error {
    /// The outcome of an asynchronous body.
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
