import ObjectStore
import Platform
import TestSupport
import Testing

private let broken = StoreError(.temporary, message: "connection lost")

@Suite struct BackoffTests {
    @Test func ceilingsDoubleUpToTheCap() {
        var backoff = Backoff(RetryPolicy(attempts: 8, base: 0.5, cap: 4, budget: 100))
        let waits = (0..<7).map { _ in backoff.next(after: broken, elapsed: 0, random: 1) }
        #expect(waits == [0.5, 1, 2, 4, 4, 4, 4].map { .retry(after: $0) })
        #expect(backoff.next(after: broken, elapsed: 0, random: 1) == .giveUp)
    }

    @Test func jitterIsFull() {
        var backoff = Backoff(RetryPolicy(attempts: 9, base: 1, cap: 10, budget: 100))
        #expect(backoff.next(after: broken, elapsed: 0, random: 0) == .retry(after: 0))
        #expect(backoff.next(after: broken, elapsed: 0, random: 0.25) == .retry(after: 0.5))
    }

    @Test func theStoresOwnWaitIsTheLeast() {
        var backoff = Backoff(RetryPolicy(attempts: 9, base: 1, cap: 10, budget: 100))
        let busy = StoreError(.throttled, message: "SlowDown", retryAfter: 7)
        #expect(backoff.next(after: busy, elapsed: 0, random: 0.5) == .retry(after: 7))
        #expect(backoff.next(after: busy, elapsed: 94, random: 0.5) == .giveUp)
    }

    @Test func theBudgetEndsIt() {
        var backoff = Backoff(RetryPolicy(attempts: 100, base: 2, cap: 2, budget: 10))
        #expect(backoff.next(after: broken, elapsed: 8, random: 1) == .retry(after: 2))
        #expect(backoff.next(after: broken, elapsed: 8.1, random: 1) == .giveUp)
    }

    @Test(arguments: StoreError.Kind.allCases)
    func onlyPassingFailuresAreRepeated(_ kind: StoreError.Kind) {
        var backoff = Backoff(RetryPolicy())
        let decision = backoff.next(after: StoreError(kind, message: ""), elapsed: 0, random: 0)
        let passing: Set<StoreError.Kind> = [.temporary, .throttled, .unreachable]
        #expect((decision != .giveUp) == passing.contains(kind))
    }
}

@Suite(.timeLimit(.minutes(1))) struct RetryingStoreTests {
    let memory = MemoryStore()
    let faulty: FaultyStore
    let waits = Guarded<[Double]>([])

    init() { faulty = FaultyStore(memory) }

    private func retrying(_ attempts: Int = 4) -> RetryingStore {
        RetryingStore(
            faulty, policy: RetryPolicy(attempts: attempts, base: 1, cap: 8, budget: 1000), random: { 0.5 },
            sleep: { [waits] seconds in
                try Task.checkCancellation()
                waits.withLock { $0.append(seconds) }
            })
    }

    @Test func repeatsUntilItWorks() async throws {
        memory.set("x", [1, 2])
        faulty.inject(.fail(broken), verb: .head, times: 2)
        #expect(try await retrying().head("x").size == 2)
        #expect(faulty.count(.head) == 3)
        #expect(waits.withLock { $0 } == [0.5, 1])
    }

    @Test func reportsTheLastFailure() async throws {
        faulty.inject(.fail(broken), verb: .list, times: .max)
        await #expect(throws: broken) { _ = try await retrying(3).list(ListRequest(prefix: "")) }
        #expect(faulty.count(.list) == 3)
    }

    @Test func doesNotRepeatWhatCannotHelp() async throws {
        await #expect(throws: StoreError.self) { _ = try await retrying().head("missing") }
        #expect(faulty.count(.head) == 1)
        #expect(waits.withLock { $0 }.isEmpty)
    }

    @Test func givesNobodyBytesTwice() async throws {
        memory.set("x", [UInt8](repeating: 1, count: 300_000))
        faulty.inject(.truncate(after: 100_000), verb: .get)
        let sink = RecordingSink()
        await #expect(throws: StoreError.self) { _ = try await retrying().get("x", ReadOptions(), into: sink) }
        #expect(sink.bytes.count == 100_000)
        #expect(faulty.count(.get) == 1)
    }

    @Test func repeatsAReadThatBrokeBeforeItsBody() async throws {
        memory.set("x", [1, 2, 3])
        faulty.inject(.truncate(after: 0), verb: .get)
        let sink = RecordingSink()
        _ = try await retrying().get("x", ReadOptions(), into: sink)
        #expect(sink.bytes == [1, 2, 3])
        #expect(sink.begins == [0, 0])
    }

    @Test func beginsAgainWithASinkThatCan() async throws {
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
        memory.set("x", bytes)
        faulty.inject(.truncate(after: 100_000), verb: .get)
        #expect(try await retrying().bytes("x").bytes == bytes)
    }

    @Test func doesNotRepeatWhatTheSinkRefused() async throws {
        memory.set("x", [1, 2, 3])
        await #expect(throws: broken) {
            _ = try await retrying().get("x", ReadOptions(), into: RecordingSink(refusing: broken))
        }
        #expect(faulty.count(.get) == 1)
    }

    @Test func aWriteWhoseAnswerWasLostHasSucceeded() async throws {
        faulty.inject(.failAfterwards(broken), verb: .put)
        let info = try await retrying().put("x", .bytes([1, 2, 3]), .ifAbsent)
        #expect(try await memory.head("x") == info)
        let directory = try TemporaryDirectory()
        try directory.write("source", [4, 5, 6, 7])
        let file = try FileDescriptor.open(directory.path("source"))
        faulty.inject(.failAfterwards(broken), verb: .put)
        let second = try await retrying().put("x", .file(file, length: 3), .ifMatch(info.etag ?? ""))
        #expect(try await memory.head("x") == second)
        #expect(memory.peek("x") == [4, 5, 6])
    }

    @Test(arguments: [[1, 2, 4], [1, 2], [1, 2, 3, 4], []] as [[UInt8]])
    func aWriteThatSomebodyElseWonHasFailed(_ other: [UInt8]) async throws {
        faulty.inject(.fail(broken), verb: .put)
        let store = RetryingStore(faulty, random: { 0 }, sleep: { [memory] _ in memory.set("x", other) })
        do {
            _ = try await store.put("x", .bytes([1, 2, 3]), .ifAbsent)
            Issue.record("claims to have written what is not there")
        } catch {
            #expect(error.kind == .precondition)
        }
        #expect(memory.peek("x") == other)
    }

    @Test func aDeleteWhoseAnswerWasLostHasSucceeded() async throws {
        let info = memory.set("x", [1])
        faulty.inject(.failAfterwards(broken), verb: .delete)
        try await retrying().delete("x", ifMatch: info.etag)
        #expect(memory.keys.isEmpty)
    }

    @Test func cancellationEndsTheWaiting() async throws {
        faulty.inject(.fail(broken), verb: .head, times: .max)
        let store = RetryingStore(faulty, policy: RetryPolicy(attempts: .max, base: 600, cap: 600, budget: .infinity))
        let task = Task { try await store.head("x") }
        while faulty.count(.head) == 0 { await Task.yield() }
        task.cancel()
        let error = await #expect(throws: StoreError.self) { _ = try await task.value }
        #expect(error?.kind == .cancelled)
    }
}

@Suite(.timeLimit(.minutes(1))) struct MeteredStoreTests {
    @Test func countsWhatPasses() async throws {
        let memory = MemoryStore()
        let faulty = FaultyStore(memory)
        let store = MeteredStore(faulty)
        _ = try await store.put("x", .bytes([UInt8](repeating: 1, count: 1000)), .always)
        _ = try await store.bytes("x")
        _ = try await store.get("x", ReadOptions(range: 0..<10), into: RecordingSink())
        _ = try? await store.head("missing")
        #expect(store.statistics.lastError == nil)
        faulty.inject(.fail(broken), verb: .get)
        _ = try? await store.bytes("x")
        faulty.inject(.truncate(after: 300), verb: .get)
        _ = try? await store.bytes("x")
        let statistics = store.statistics
        #expect(statistics.verbs[.put]?.requests == 1)
        #expect(statistics.verbs[.get]?.requests == 4)
        #expect(statistics.verbs[.get]?.failures == 2)
        #expect(statistics.verbs[.head]?.failures == 1)
        #expect(statistics.verbs[.list] == nil)
        #expect(statistics.requests == 6)
        #expect(statistics.failures == 3)
        #expect(statistics.bytesWritten == 1000)
        #expect(statistics.bytesRead == 1310)
        #expect(statistics.inFlight == 0)
        #expect(statistics.lastError?.kind == .temporary)
        #expect(statistics.lastErrorAt != nil)
        #expect(statistics.lastSuccessAt != nil)
    }

    @Test func showsWhatIsInFlight() async throws {
        let faulty = FaultyStore(MemoryStore())
        faulty.inject(.hang, verb: .head)
        let store = MeteredStore(faulty)
        let task = Task { try await store.head("x") }
        while faulty.count(.head) == 0 { await Task.yield() }
        #expect(store.statistics.inFlight == 1)
        task.cancel()
        _ = await task.result
        #expect(store.statistics.inFlight == 0)
    }
}
