import JSON
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// Somebody else changes a session between the steps of a job that then fails, and is tried again or taken back.
@Suite(.timeLimit(.minutes(2))) struct PublishOvertakenTests {
    @Test func aRepeatedEditGivesTheIndexBackThatItWroteOver() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try await rig.save(fileName(1), session(1, "mine"))
        rig.meddled.once(.put, indexKey(1)) { rig.somebodySaves(1, "theirs") }
        rig.store.inject(.fail(.lost), verb: .get, key: "overall_meta.json", times: 5)
        _ = await rig.flush()
        #expect(try rig.staging.conflicts(includingDecided: false).map(\.kind) == [.edited])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.index(1)?.metadata.desc == "theirs")
        #expect(rig.disorder == [])
    }

    @Test func aRepeatedRemovalGivesBackWhatItTook() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        _ = try rig.staging.remove(fileName(1))
        rig.meddled.once(.delete, indexKey(1)) { rig.somebodySaves(1, "theirs") }
        rig.store.inject(.fail(.lost), verb: .delete, key: bodyKey(1), times: 5)
        _ = await rig.flush()
        #expect(try rig.staging.conflicts(includingDecided: false).map(\.kind) == [.removedEdited])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.disorder == [])
    }

    @Test func whatIsTakenBackIsNotSomebodyElses() async throws {
        let rig = try PublishRig()
        try await rig.published(2..<3)
        try await rig.save(fileName(1), session(1, "mine"))
        rig.meddled.once(.put, indexKey(1)) { rig.somebodySaves(1, "theirs") }
        rig.store.inject(.fail(.denied), verb: .put, key: "overall_meta.json", times: 9)
        _ = await rig.flush()
        #expect(rig.staging.changes().map(\.state) == [.failed])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.index(1)?.metadata.desc == "theirs")
        #expect(rig.disorder == [])
    }

    /// A body that is gone when we look, and put there again before its index goes.
    @Test func aSessionThatComesWhileAnAbsentOneIsRemovedIsLeftWhole() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        rig.somebodyRemoves(1)
        _ = try rig.staging.remove(fileName(1))
        rig.meddled.once(.delete, indexKey(1)) { rig.somebodySaves(1, "theirs") }
        _ = await rig.flush()
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.index(1)?.metadata.desc == "theirs")
        #expect(rig.disorder == [])
    }

    /// A server that refuses every request with a condition.
    @Test func removalsAreTakenBackWithoutConditions() async throws {
        let rig = try PublishRig(conditions: ConditionSupport.none)
        try await rig.published(1..<3)
        rig.store.inject(.fail(.denied), verb: .delete, key: bodyKey(1), times: 9)
        let refusal = StoreError(.unsupported, message: "no conditions", status: 501)
        rig.meddled.refuseConditions(with: refusal)
        _ = try rig.staging.remove(fileName(1))
        _ = await rig.flush()
        #expect(rig.bucket.peek(bodyKey(1)) == session(1))
        #expect(rig.disorder == [])
    }

    @Test func manyLostRowsAreLookedForTogether() async throws {
        let rig = try PublishRig()
        try await rig.published(0..<60)
        rig.bucket.unset(bodyKey(7))
        rig.bucket.unset(indexKey(7))
        rig.bucket.set("overall_meta.json", OverallFile.encode([], lastUpdated: "2026-01-01T00:00:00"))
        let running = Task { await rig.publisher.run() }
        rig.publisher.overallFileChanged()
        try await eventually { rig.rows.count == 59 }
        running.cancel()
        await running.value
        #expect(rig.disorder == [])
        #expect(rig.store.count(.list) + rig.store.count(.head) <= 6)
    }

    @Test func notMoreRowsAreWatchedThanAreBearable() throws {
        let directory = try TemporaryDirectory()
        let watch = WatchedRows(path: directory.path("rows.json"))
        let rows = (0..<WatchedRows.most * 2).map { OverallRow(fileName: fileName($0)) }
        watch.record(rows.map { .set($0) }, now: .now)
        let document = try JSONValue.parse(try directory.read("rows.json"))
        #expect(document["rows"]?.array?.count == WatchedRows.most)
    }
}
