import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

@Suite(.timeLimit(.minutes(2))) struct PublishFlushTests {
    @Test func nothingToDoIsDoneAtOnce() async throws {
        let rig = try PublishRig(conditions: nil)
        #expect(await rig.flush() == [])
        #expect(rig.store.requests == [])
    }

    @Test func progressGrowsToTheEnd() async throws {
        let rig = try PublishRig()
        for number in 0..<10 { try await rig.save(fileName(number), session(number)) }
        let seen = Guarded<[(Int, Int)]>([])
        #expect(
            await rig.publisher.flush(timeout: 60) { done, total in seen.withLock { $0.append((done, total)) } } == [])
        let all = seen.withLock { $0 }
        #expect(all.allSatisfy { $0.0 <= $0.1 && $0.1 == 10 })
        #expect(all.map(\.0) == all.map(\.0).sorted())
        #expect(all.last?.0 == 10)
        #expect(rig.operations.list().contains { $0.kind == .flush && $0.state == .done })
    }

    @Test func offlineItSaysSoAndDoesNotWait() async throws {
        let rig = try PublishRig()
        rig.connectivity.force(true)
        let id = try await rig.save(fileName(1), session(1))
        let left = await rig.flush()
        #expect(left.map(\.name) == [fileName(1)])
        #expect(left.first?.reason.contains("offline") == true)
        #expect(await rig.publisher.outcome(of: id)?.reason.contains("offline") == true)
        #expect(rig.store.requests == [])
        let running = Task { await rig.publisher.run() }
        rig.connectivity.force(false)
        try await eventually { rig.staging.changes().isEmpty }
        running.cancel()
        await running.value
        #expect(rig.disorder == [])
        #expect(await rig.publisher.outcome(of: id) == nil)
    }

    /// Of a file without a name nothing is to be sent: whoever waits for it does not hear of the removal's fate.
    @Test func aRemovedFileIsNotWaitedFor() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<2)
        rig.connectivity.force(true)
        let id = try await rig.save(fileName(1), session(1, "second"))
        #expect(await rig.publisher.outcome(of: id) != nil)
        _ = try rig.staging.remove(fileName(1))
        #expect(rig.staging.change(id: id) != nil)
        #expect(await rig.publisher.outcome(of: id) == nil)
    }

    @Test func whatIsNotSentIsNamedWithItsReason() async throws {
        let rig = try PublishRig()
        rig.store.inject(.fail(.denied), verb: .put, key: bodyKey(1), times: 100)
        rig.store.inject(.fail(.lost), verb: .put, key: bodyKey(2), times: 1000)
        rig.somebodySaves(3, "theirs")
        try await rig.save(fileName(1), session(1))
        try await rig.save(fileName(2), session(2))
        try await rig.save(fileName(3), session(3))
        try await rig.save(fileName(4), Array("junk".utf8))
        try await rig.save("notes.txt", Array("local".utf8))
        try await rig.save(fileName(5), session(5))
        _ = try rig.staging.beginBatch()
        try await rig.save(fileName(6), session(6))
        let open = try rig.staging.create(fileName(7))
        try open.flush()
        let left = await rig.flush(timeout: 5)
        let reasons = Dictionary(left.map { ($0.name, $0.reason) }, uniquingKeysWith: { $1 })
        #expect(reasons.count == left.count)
        #expect(reasons[fileName(1)]?.contains("not allowed") == true)
        #expect(reasons[fileName(2)]?.contains("answer was lost") == true)
        #expect(reasons.values.contains { $0.contains("conflict") })
        #expect(reasons[fileName(4)]?.contains("not a FastShot session") == true)
        #expect(reasons[fileName(5)] == nil)
        #expect(reasons[fileName(6)]?.contains("batch") == true)
        #expect(reasons[fileName(7)]?.contains("open") == true)
        #expect(left.count == 6)
        open.close()
    }

    @Test func aTimeLimitEndsIt() async throws {
        let rig = try PublishRig()
        rig.store.inject(.hang, verb: .put, key: bodyKey(1))
        try await rig.save(fileName(1), session(1))
        let left = await rig.flush(timeout: 0.2)
        #expect(left.map(\.name) == [fileName(1)])
        #expect(await rig.flush() == [])
    }

    @Test func aChangeThatOnlyFailsDoesNotHoldUpTheEnd() async throws {
        let rig = try PublishRig()
        rig.store.inject(.fail(.lost), verb: .put, key: indexKey(1), times: 10_000)
        try await rig.save(fileName(1), session(1))
        try await rig.save(fileName(2), session(2))
        let left = await rig.flush()
        #expect(left.map(\.name) == [fileName(1)])
        #expect(rig.row(2) != nil)
    }

    @Test func outcomesOfSingleChanges() async throws {
        let rig = try PublishRig()
        rig.store.inject(.fail(.broken), verb: .put, key: bodyKey(2), times: 9)
        let running = Task { await rig.publisher.run() }
        let good = try await rig.save(fileName(1), session(1))
        let bad = try await rig.save(fileName(2), session(2))
        let local = try await rig.save("x.part", [1])
        #expect(await rig.publisher.outcome(of: good) == nil)
        #expect(rig.row(1) != nil)
        #expect(await rig.publisher.outcome(of: bad)?.reason.contains("the request is bad") == true)
        #expect(await rig.publisher.outcome(of: local) == nil)
        running.cancel()
        await running.value
    }

    @Test func flushesMayComeTogetherAndBesideARun() async throws {
        let rig = try PublishRig()
        for number in 0..<20 { try await rig.save(fileName(number), session(number)) }
        let running = Task { await rig.publisher.run() }
        async let first = rig.flush()
        async let second = rig.flush()
        #expect(await first == [])
        #expect(await second == [])
        #expect(rig.disorder == [])
        #expect(rig.rows.count == 20)
        running.cancel()
        await running.value
    }

    @Test func newObjectsDoNotWaitForTheWholeProbe() async throws {
        let rig = try PublishRig(conditions: nil)
        let isThere = Guarded(false)
        rig.store.amidProbe { [bucket = rig.bucket] in
            while bucket.peek(indexKey(1)) == nil, !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
            // The row is written under `If-Match`, which is not known yet.
            isThere.withLock { $0 = bucket.peek(indexKey(1)) != nil && bucket.peek("overall_meta.json") == nil }
        }
        try await rig.save(fileName(1), session(1))
        #expect(await rig.flush() == [])
        #expect(isThere.withLock { $0 })
        #expect(rig.publisher.status.conditions == .all)
        #expect(rig.disorder == [])
    }

    @Test func theProbeBeginsWhenASessionIsOpenedForWriting() async throws {
        let rig = try PublishRig(conditions: nil)
        let running = Task { await rig.publisher.run() }
        let local = try rig.staging.create("x.part")
        local.close()
        let open = try await withCheckedContinuation { done in
            rig.staging.openForWriting(id: local.id, truncating: true) { done.resume(returning: $0) }
        }.get()
        #expect(!rig.staging.wasWritten)
        #expect(rig.publisher.status.conditions == nil)
        let file = try rig.staging.create(fileName(1))
        try await eventually { rig.publisher.status.conditions == .all }
        #expect(rig.bucket.keys.isEmpty)
        open.close()
        file.close()
        running.cancel()
        await running.value
    }

    @Test func aProbeThatFailsIsRepeated() async throws {
        let rig = try PublishRig(conditions: nil)
        rig.store.inject(.fail(.lost), verb: .put, times: 5)
        try await rig.save(fileName(1), session(1))
        #expect(await rig.flush() == [])
        #expect(rig.publisher.status.conditions == .all)
        #expect(rig.disorder == [])
    }
}
