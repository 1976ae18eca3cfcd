import ObjectStore
import Platform
import TestSupport
import Testing

/// When the store counts as away, and what becomes of requests then.
@Suite(.timeLimit(.minutes(2))) struct ConnectivityTests {
    private let memory = MemoryStore()
    private let faulty: FaultyStore
    private let connectivity: Connectivity
    private let store: GatedStore
    private let heard = Guarded<[String]>([])

    init() {
        var timing = Connectivity.Timing()
        timing.firstProbe = 0.01
        timing.longestPause = 0.05
        // A busy machine must not look like a dead line.
        timing.silence = 600
        timing.probeTimeout = 600
        faulty = FaultyStore(memory)
        connectivity = Connectivity(timing: timing)
        store = GatedStore(faulty, connectivity)
        memory.set("x", [1, 2, 3])
        connectivity.observe { [heard] state in heard.withLock { $0.append(word(state)) } }
    }

    private func failure(_ request: () async throws(StoreError) -> Void) async -> StoreError.Kind? {
        do throws(StoreError) {
            try await request()
            return nil
        } catch { return error.kind }
    }

    private func head() async -> StoreError.Kind? {
        await failure { () async throws(StoreError) in _ = try await store.head("x") }
    }

    @Test func aStoreThatCannotBeReachedIsAskedUntilItIsBack() async throws {
        faulty.setDown(StoreError(.unreachable, message: "refused"))
        #expect(await head() == .unreachable)
        guard case .offline(_, let reason) = connectivity.state else {
            Issue.record("online")
            return
        }
        #expect(reason.message == "refused")
        #expect(connectivity.refusal?.kind == .offline)
        for _ in 0..<10 { #expect(await head() == .offline) }
        #expect(faulty.count(.head) == 1)
        try await eventually { faulty.count(.list) >= 3 }
        faulty.setDown(nil)
        try await eventually { connectivity.state.isOnline }
        #expect(await head() == nil)
        #expect(connectivity.refusal == nil)
        try await eventually { heard.withLock { $0 } == ["offline", "online"] }
    }

    @Test func everyVerbIsHeldBack() async throws {
        connectivity.force(true)
        let sink = CollectingSink(limit: 100)
        let kinds = [
            await head(),
            await failure { () async throws(StoreError) in _ = try await store.get("x", ReadOptions(), into: sink) },
            await failure { () async throws(StoreError) in _ = try await store.put("x", .bytes([]), .always) },
            await failure { () async throws(StoreError) in try await store.delete("x", ifMatch: nil) },
            await failure { () async throws(StoreError) in _ = try await store.copy("x", to: "y", .always) },
            await failure { () async throws(StoreError) in _ = try await store.list(ListRequest(prefix: "")) },
            await failure { () async throws(StoreError) in try await store.createContainer() },
            await failure { () async throws(StoreError) in _ = try await store.changeMark(prefix: "") },
            await failure { () async throws(StoreError) in _ = try await store.probeConditions() },
        ]
        #expect(kinds == Array(repeating: .offline, count: 9))
        #expect(faulty.requests.isEmpty)
        #expect(memory.keys == ["x"])
    }

    @Test func someRequestsWithoutAnAnswerAreNoLossOfTheStore() async throws {
        let silent = StoreError(.temporary, message: "timed out")
        for _ in 0..<5 {
            faulty.inject(.fail(silent), verb: .head, times: 2)
            #expect(await head() == .temporary)
            #expect(await head() == .temporary)
            #expect(await head() == nil)
        }
        #expect(connectivity.state.isOnline)
        #expect(heard.withLock { $0 }.isEmpty)
        faulty.inject(.fail(silent), times: 4)
        for _ in 0..<3 { #expect(await head() == .temporary) }
        #expect(await head() == .offline)
        try await eventually { connectivity.state.isOnline }
    }

    @Test func aStoreThatAnswersWithErrorsIsThere() async throws {
        for kind in [StoreError.Kind.temporary, .throttled, .permanent, .notFound, .forbidden, .precondition] {
            faulty.inject(.fail(StoreError(kind, message: "no", status: 500)), verb: .head, times: 5)
            for _ in 0..<5 { #expect(await head() == kind) }
        }
        #expect(connectivity.state.isOnline)
        #expect(faulty.count(.list) == 0)
    }

    @Test func withoutGoodCredentialsTheStoreIsAway() async throws {
        faulty.setDown(StoreError(.unauthenticated, message: "expired"))
        #expect(await head() == .unauthenticated)
        #expect(!connectivity.state.isOnline)
        // Whoever asks hears the reason, but no request is made.
        #expect(await head() == .unauthenticated)
        #expect(faulty.count(.head) == 1)
        faulty.setDown(nil)
        try await eventually { connectivity.state.isOnline }
        #expect(await head() == nil)
    }

    @Test func theUsersWishEndsRequestsUnderWay() async throws {
        faulty.inject(.hang, verb: .head)
        let pending = Task { await head() }
        try await eventually { faulty.count(.head) == 1 }
        connectivity.force(true)
        connectivity.force(true)
        #expect(await pending.value == .offline)
        guard case .forced = connectivity.state else {
            Issue.record("not forced")
            return
        }
        connectivity.force(false)
        #expect(await head() == nil)
        #expect(faulty.count(.list) == 0)
        try await eventually { heard.withLock { $0 } == ["forced", "online"] }
    }

    @Test func afterTheUsersWishTheStoreMayStillBeAway() async throws {
        faulty.setDown(StoreError(.unreachable, message: "refused"))
        #expect(await head() == .unreachable)
        connectivity.force(true)
        faulty.setDown(nil)
        connectivity.force(false)
        try await eventually { connectivity.state.isOnline }
        try await eventually { heard.withLock { $0 } == ["offline", "forced", "offline", "online"] }
    }

    @Test func aCallersCancellationSaysNothingOfTheStore() async throws {
        faulty.inject(.hang, verb: .head)
        let pending = Task { await head() }
        try await eventually { faulty.count(.head) == 1 }
        pending.cancel()
        #expect(await pending.value == .cancelled)
        #expect(connectivity.state.isOnline)
    }

    @Test func retriesEndWhenTheStoreIsAway() async throws {
        faulty.setDown(StoreError(.unreachable, message: "refused"))
        let patient = RetryingStore(
            store, policy: RetryPolicy(attempts: .max, base: 0.001, cap: 0.01, budget: .infinity))
        #expect(
            await failure { () async throws(StoreError) in _ = try await patient.head("x") } == .offline)
    }

    @Test func changesAreHeardInOrder() async throws {
        await withDiscardingTaskGroup { group in
            for number in 0..<8 {
                group.addTask { for _ in 0..<50 { connectivity.force(number.isMultiple(of: 2)) } }
            }
        }
        connectivity.force(true)
        connectivity.force(false)
        try await eventually { heard.withLock { $0.last } == "online" }
        let all = heard.withLock { $0 }
        #expect(zip(all, all.dropFirst()).allSatisfy { $0 != $1 })
        #expect(all.first == "forced")
    }

    // MARK: Lines without a sound

    /// A gate that soon wonders.
    private func wondering(
        timeout: Double, _ activity: LineActivity = LineActivity()
    ) -> (Connectivity, GatedStore) {
        var timing = Connectivity.Timing()
        timing.firstProbe = 0.01
        timing.longestPause = 0.05
        timing.silence = 0.05
        timing.probeTimeout = timeout
        let connectivity = Connectivity(timing: timing, activity: activity)
        return (connectivity, GatedStore(faulty, connectivity))
    }

    @Test func aDeadLineIsNoticedWithoutAnError() async throws {
        let (connectivity, store) = wondering(timeout: 0.2)
        faulty.inject(.hang, times: 1000)
        let kind = await failure { () async throws(StoreError) in _ = try await store.head("x") }
        #expect(kind == .offline)
        #expect(!connectivity.state.isOnline)
        faulty.clearFaults()
        try await eventually { connectivity.state.isOnline }
    }

    /// The question about a line is not answered either, but bytes move: a server that is busy with a large upload.
    @Test func aLineOnWhichBytesMoveIsNotDead() async throws {
        let activity = LineActivity()
        let (connectivity, store) = wondering(timeout: 1, activity)
        faulty.inject(.fail(StoreError(.unreachable, message: "refused")), verb: .head)
        faulty.inject(.hang, times: 1_000_000)
        let isMoving = Guarded(true)
        let movement = Task {
            while isMoving.withLock({ $0 }) {
                activity.moved()
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        let pending = Task {
            await failure { () async throws(StoreError) in _ = try await store.put("x", .bytes([1]), .always) }
        }
        try await eventually { faulty.count(.put) == 1 }
        // Another request fails, and the question that follows is not answered.
        #expect(await failure { () async throws(StoreError) in _ = try await store.head("x") } == .unreachable)
        try await eventually { connectivity.state.isOnline }
        for _ in 0..<50 {
            try await Task.sleep(for: .milliseconds(10))
            #expect(connectivity.state.isOnline)
        }
        isMoving.withLock { $0 = false }
        try await movement.value
        #expect(await pending.value == .offline)
        #expect(!connectivity.state.isOnline)
    }

    @Test func aSlowRequestOnALivingLineIsLeftAlone() async throws {
        let (connectivity, store) = wondering(timeout: 600)
        faulty.inject(.hang, verb: .head)
        let pending = Task {
            await failure { () async throws(StoreError) in _ = try await store.head("x") }
        }
        try await eventually { faulty.count(.list) >= 3 }
        #expect(connectivity.state.isOnline)
        // It was not ended by anybody else before.
        pending.cancel()
        #expect(await pending.value == .cancelled)
    }
}

private func word(_ state: Connectivity.State) -> String {
    switch state {
    case .online: "online"
    case .offline: "offline"
    case .forced: "forced"
    }
}
