import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// Conflicts by the hundred, and conflicts again and again.
@Suite(.timeLimit(.minutes(4))) struct PublishManyConflictsTests {
    /// Makes so many conflicts and tells what they cost: requests, and looks through all that is pending.
    private func cost(_ count: Int) async throws -> (rig: PublishRig, requests: Int, looks: UInt64) {
        let rig = try PublishRig()
        _ = try rig.staging.beginBatch()
        for number in 0..<count {
            try await rig.save(fileName(number), session(number, "mine"))
            rig.bucket.set(bodyKey(number), session(number, "somebody else's"))
        }
        _ = try rig.staging.commitBatch()
        let looks = rig.publisher.looks
        _ = await rig.flush()
        #expect(rig.staging.counts.conflicts == count)
        return (rig, rig.store.requests.count, rig.publisher.looks - looks)
    }

    @Test func manyCostNoMoreThanAsManySingleOnes() async throws {
        let few = try await cost(50)
        let many = try await cost(500)
        #expect(many.requests <= 10 * few.requests + 10)
        #expect(many.requests <= 3 * 500)
        #expect(many.looks <= few.looks + 64)
        let rig = many.rig
        // While they wait, nothing is asked for them, and others go their way.
        rig.store.clearRequests()
        let left = await rig.flush()
        #expect(left.count == 500)
        #expect(rig.store.requests == [])
        try await rig.save(fileName(1000), session(1000))
        _ = await rig.flush()
        #expect(rig.requests == ["put \(bodyKey(1000))", "put \(indexKey(1000))", "head \(bodyKey(1000))"])
        // Every one of them can be decided.
        for conflict in try rig.staging.conflicts(includingDecided: false) {
            let current = try await rig.publisher.current(conflict.name).map { ObjectVersion($0) }
            _ = try rig.staging.decide(conflict.id, .mine, by: "user", current: current)
        }
        #expect(await rig.flush() == [])
        #expect(rig.disorder == [])
        #expect(rig.rows.count == 501)
        #expect(rig.kept.count { $0.contains("-bucket-") } == 500)
    }

    @Test func aVersionThatWasDecidedOverIsNoNewConflict() {
        let board = PublishBoard(parallel: 1)
        let change = PendingChange(id: 7, generation: 3, sequence: 12, name: fileName(1))
        let found = ObjectInfo(key: bodyKey(1), size: 9, etag: "a")
        #expect(!board.wasBeaten(change, found))
        board.noteBeaten(change, found, isBeaten: true)
        #expect(board.wasBeaten(change, found))
        #expect(!board.wasBeaten(change, nil))
        #expect(!board.wasBeaten(change, ObjectInfo(key: bodyKey(1), size: 9, etag: "b")))
        var later = change
        later.generation += 1
        #expect(!board.wasBeaten(later, found), "the user wants something else by now")
        board.noteBeaten(change, found, isBeaten: false)
        #expect(!board.wasBeaten(change, found))
    }

    /// Two machines that both insist on their version: each new one is a conflict of its own, with a rest in between.
    @Test func whoInsistsTooIsMetWithPauses() async throws {
        let rig = try PublishRig { $0.strategy = .localPreferred }
        try await rig.published(1..<2)
        for round in 0..<4 {
            rig.meddled.once(.put, bodyKey(1)) { rig.somebodySaves(1, "theirs \(round)") }
        }
        try await rig.save(fileName(1), session(1, "mine"))
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "mine"))
        #expect(rig.disorder == [])
        let records = try rig.staging.conflicts(includingDecided: true)
        #expect(records.count <= 4)
        #expect(Set(records.map { $0.found?.etag }).count == records.count)
    }
}
