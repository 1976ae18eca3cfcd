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
        func lines() throws -> Int { try directory.read("rows.json").count { $0 == UInt8(ascii: "\n") } }
        #expect(try lines() == WatchedRows.most)
        // Lines are added, and the file is written anew when most of them are of no use.
        let first = OverallRow(fileName: fileName(0))
        for round in 1...WatchedRows.most + 2000 {
            watch.record([.set(first)], now: .now)
            #expect(try round % 1000 != 0 || lines() <= 2 * (WatchedRows.most + 1) + 1000)
        }
        #expect(try lines() < WatchedRows.most + 2000)
    }

    /// What a process that died was writing does not run into what the next one writes.
    @Test func aTornLineIsLeftOut() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("rows.json")
        func row(_ number: Int) -> RowChange { .set(OverallRow(fileName: fileName(number))) }
        WatchedRows(path: path).record([row(1)], tags: [Array(fileName(1).utf8): "a"], now: .now)
        try directory.write("rows.json", try directory.read("rows.json") + Array(#"{"written":17"#.utf8))
        let next = WatchedRows(path: path)
        #expect(next.has(fileName(1), etag: "a"))
        next.record([row(2)], tags: [Array(fileName(2).utf8): "b"], now: .now)
        let last = WatchedRows(path: path)
        #expect(last.has(fileName(1), etag: "a") && last.has(fileName(2), etag: "b"))
    }
}
