import Catalog
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

@Suite(.timeLimit(.minutes(2))) struct PublishRemoveTests {
    @Test func rowIndexAndBodyGo() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<4)
        _ = try rig.staging.remove(fileName(2))
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(2)) == nil)
        #expect(rig.bucket.peek(indexKey(2)) == nil)
        #expect(rig.row(2) == nil)
        #expect(rig.rows.count == 2)
        #expect(rig.disorder == [])
        #expect(try rig.catalog.entry(fileName: fileName(2)) == nil)
        #expect(rig.staging.changes() == [])
    }

    @Test func manyRemovalsCostFewOverallWrites() async throws {
        let rig = try PublishRig()
        try await rig.published(0..<60)
        let before = rig.publisher.status.overallWrites
        for number in 0..<50 { _ = try rig.staging.remove(fileName(number)) }
        #expect(await rig.flush() == [])
        #expect(rig.rows.count == 10)
        #expect(rig.publisher.status.overallWrites - before <= 2)
        #expect(rig.disorder == [])
    }

    /// Where removals know no conditions, each is looked at once more, and the rows of all together.
    @Test func manyRemovalsWithoutConditionsAreLookedAtTogether() async throws {
        let rig = try PublishRig(honours: false, conditions: ConditionSupport.none) { $0.pause = { _ in } }
        try await rig.published(0..<60)
        for number in 0..<50 { _ = try rig.staging.remove(fileName(number)) }
        #expect(await rig.flush() == [])
        #expect(rig.rows.count == 10)
        #expect(rig.store.requests.count { $0.verb == .get && $0.key == "overall_meta.json" } <= 12)
        #expect(rig.disorder == [])
    }

    @Test func whatSomebodyRemovedFirstIsNoConflict() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        rig.bucket.unset(bodyKey(1))
        _ = try rig.staging.remove(fileName(1))
        #expect(await rig.flush() == [])
        #expect(rig.disorder == [])
        #expect(rig.rows.count == 1)
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
    }

    @Test(arguments: [1, 5]) func lostAnswersAreNoConflict(times: Int) async throws {
        for key in [bodyKey(1), indexKey(1)] {
            let rig = try PublishRig()
            try await rig.published(1..<3)
            rig.store.inject(.failAfterwards(.lost), verb: .delete, key: key, times: times)
            _ = try rig.staging.remove(fileName(1))
            #expect(await rig.flush() == [])
            #expect(rig.rows.count == 1)
            #expect(rig.disorder == [])
            #expect(try rig.staging.conflicts(includingDecided: true) == [])
        }
    }

    @Test func aSessionThatTheStoreDoesNotLetGoComesBack() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        rig.store.inject(.fail(.denied), verb: .delete, key: bodyKey(1), times: 9)
        _ = try rig.staging.remove(fileName(1))
        _ = await rig.flush()
        #expect(rig.bucket.peek(bodyKey(1)) == session(1))
        #expect(rig.disorder == [])
        #expect(rig.row(1)?.metadata?.name == "session 1")
        #expect(try rig.staging.entry(fileName: fileName(1)) != nil)
        #expect(try rig.bytes(fileName(1)) == session(1))
    }

    /// Somebody puts another version in the moment between our look and our removal.
    @Test(arguments: [true, false]) func aVersionThatComesInTheGapIsLeftWhole(honours: Bool) async throws {
        let rig = try PublishRig(honours: honours, conditions: honours ? .all : ConditionSupport.none)
        try await rig.published(1..<3)
        rig.meddled.once(.delete, indexKey(1)) { rig.somebodySaves(1, "theirs") }
        _ = try rig.staging.remove(fileName(1))
        _ = await rig.flush()
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.disorder == [])
        #expect(rig.index(1)?.metadata.desc == "theirs")
        let conflicts = try rig.staging.conflicts(includingDecided: false)
        #expect(conflicts.map(\.kind) == [.removedEdited])
        #expect(try rig.staging.entry(fileName: fileName(1)) != nil)
    }
}
