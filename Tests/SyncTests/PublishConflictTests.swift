import Catalog
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

@Suite(.timeLimit(.minutes(2))) struct PublishConflictTests {
    /// Makes a conflict of a kind, in which both sides' versions differ, and sends.
    private func collide(_ rig: PublishRig, _ kind: ConflictKind) async throws {
        try await rig.published(kind == .created ? 2..<4 : 1..<4)
        switch kind {
        case .created:
            try await rig.save(fileName(1), session(1, "mine"))
            rig.somebodySaves(1, "theirs")
        case .edited:
            try await rig.save(fileName(1), session(1, "mine"))
            rig.somebodySaves(1, "theirs")
        case .editedRemoved:
            try await rig.save(fileName(1), session(1, "mine"))
            rig.somebodyRemoves(1)
        case .removedEdited:
            _ = try rig.staging.remove(fileName(1))
            rig.somebodySaves(1, "theirs")
        case .renamed:
            _ = try rig.staging.rename(fileName(1), to: fileName(9), replacing: false)
            rig.somebodySaves(9, "theirs")
        }
        _ = await rig.flush()
    }

    @Test(arguments: ConflictKind.allCases) func theBucketsVersionStaysUntilTheUserDecides(kind: ConflictKind)
        async throws
    {
        let rig = try PublishRig()
        try await collide(rig, kind)
        let conflicts = try rig.staging.conflicts(includingDecided: false)
        #expect(conflicts.map(\.kind) == [kind])
        let conflict = try #require(conflicts.first)
        #expect(rig.disorder == [])
        switch kind {
        case .created, .edited:
            #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
            let local = try #require(conflict.localName)
            #expect(try rig.bytes(local) == session(1, "mine"))
        case .editedRemoved:
            #expect(rig.bucket.peek(bodyKey(1)) == nil)
            let local = try #require(conflict.localName)
            #expect(try rig.bytes(local) == session(1, "mine"))
        case .removedEdited: #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        case .renamed:
            #expect(rig.bucket.peek(bodyKey(9)) == session(9, "theirs"))
            #expect(rig.bucket.peek(bodyKey(1)) == session(1))
        }
        #expect(rig.staging.counts.conflicts == 1)
        let left = await rig.flush()
        #expect(left.isEmpty || left.allSatisfy { !$0.reason.isEmpty })
    }

    @Test(arguments: ConflictKind.allCases) func serverPreferred(kind: ConflictKind) async throws {
        let rig = try PublishRig { $0.strategy = .serverPreferred }
        try await collide(rig, kind)
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: false) == [])
        let decided = try rig.staging.conflicts(includingDecided: true)
        #expect(decided.map(\.choice) == [.theirs])
        #expect(decided.map(\.decidedBy) == ["server_preferred"])
        #expect(rig.disorder == [])
        switch kind {
        case .created, .edited, .removedEdited: #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        case .editedRemoved: #expect(rig.bucket.peek(bodyKey(1)) == nil)
        case .renamed: #expect(rig.bucket.peek(bodyKey(9)) == session(9, "theirs"))
        }
        if kind == .created || kind == .edited || kind == .editedRemoved {
            let path = try #require(decided.first?.keptPath)
            #expect(try Files.read(path) == session(1, "mine"))
        }
    }

    @Test(arguments: ConflictKind.allCases) func localPreferred(kind: ConflictKind) async throws {
        let rig = try PublishRig { $0.strategies = [kind: .localPreferred] }
        try await collide(rig, kind)
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: false) == [])
        #expect(try rig.staging.conflicts(includingDecided: true).map(\.choice) == [.mine])
        #expect(rig.disorder == [])
        switch kind {
        case .created, .edited, .editedRemoved: #expect(rig.bucket.peek(bodyKey(1)) == session(1, "mine"))
        case .removedEdited: #expect(rig.bucket.peek(bodyKey(1)) == nil)
        case .renamed:
            #expect(rig.bucket.peek(bodyKey(9)) == session(1))
            #expect(rig.bucket.peek(bodyKey(1)) == nil)
        }
        if kind == .created || kind == .edited || kind == .removedEdited {
            let kept = rig.kept.filter { $0.contains("-bucket-") }
            #expect(kept.count == 1)
            for name in kept { #expect(try rig.directory.read("state/kept/" + name) == session(1, "theirs")) }
        }
    }

    @Test(arguments: [true, false]) func theLaterWins(mineIsLater: Bool) async throws {
        let rig = try PublishRig { $0.strategy = .lastWriteWins }
        try await rig.published(1..<3)
        try await rig.save(fileName(1), session(1, "mine"))
        rig.bucket.set(bodyKey(1), session(1, "theirs"), modified: mineIsLater ? 1_000_000_000 : 4_000_000_000)
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, mineIsLater ? "mine" : "theirs"))
        #expect(try rig.staging.conflicts(includingDecided: true).map(\.choice) == [mineIsLater ? .mine : .theirs])
    }

    @Test(arguments: ConflictChoice.allCases) func theUserDecides(choice: ConflictChoice) async throws {
        let rig = try PublishRig()
        try await collide(rig, .edited)
        let conflict = try #require(try rig.staging.conflicts(includingDecided: false).first)
        let current = try await rig.publisher.current(conflict.name).map { ObjectVersion($0) }
        _ = try rig.staging.decide(conflict.id, choice, by: "user", current: current)
        #expect(await rig.flush() == [])
        #expect(rig.disorder == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, choice == .mine ? "mine" : "theirs"))
        if choice == .both {
            let local = try #require(conflict.localName)
            #expect(rig.bucket.peek("sessions/" + local) == session(1, "mine"))
        }
    }

    /// Whatever the bucket held is at hand afterwards.
    @Test(arguments: ConflictKind.allCases) func decidedForThisMachine(kind: ConflictKind) async throws {
        let rig = try PublishRig()
        try await collide(rig, kind)
        let conflict = try #require(try rig.staging.conflicts(includingDecided: false).first)
        let current = try await rig.publisher.current(conflict.name).map { ObjectVersion($0) }
        _ = try rig.staging.decide(conflict.id, .mine, by: "user", current: current)
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: true).map(\.choice) == [.mine])
        #expect(rig.disorder == [])
        let kept = try rig.kept.filter { $0.contains("-bucket-") }.map { try rig.directory.read("state/kept/" + $0) }
        switch kind {
        case .created, .edited:
            #expect(rig.bucket.peek(bodyKey(1)) == session(1, "mine"))
            #expect(kept == [session(1, "theirs")])
        case .editedRemoved: #expect(rig.bucket.peek(bodyKey(1)) == session(1, "mine"))
        case .removedEdited:
            #expect(rig.bucket.peek(bodyKey(1)) == nil)
            #expect(kept == [session(1, "theirs")])
        case .renamed:
            #expect(rig.bucket.peek(bodyKey(9)) == session(1))
            #expect(rig.bucket.peek(bodyKey(1)) == nil)
            #expect(kept == [session(9, "theirs")])
        }
    }

    @Test func theSameContentsAreNoConflict() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try await rig.save(fileName(1), session(1, "same"))
        try await rig.save(fileName(5), session(5, "same"))
        rig.somebodySaves(1, "same")
        rig.somebodySaves(5, "same")
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
        #expect(rig.disorder == [])
    }

    @Test func aVersionRenewedWithTheSameContentsIsNoConflict() async throws {
        let rig = try PublishRig(tellsMD5: true)
        try await rig.published(1..<3)
        try await rig.save(fileName(1), session(1, "mine"))
        rig.somebodySaves(1, "first")
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "mine"))
        #expect(rig.disorder == [])
    }

    @Test(arguments: [false, true]) func withoutConditionsALostRaceIsNoticed(probes: Bool) async throws {
        let rig = try PublishRig(honours: false, conditions: probes ? nil : ConditionSupport.none)
        try await rig.published(2..<3)
        #expect(rig.publisher.status.conditions == ConditionSupport.none)
        // Between our write and our second look.
        rig.meddled.once(.put, bodyKey(1), before: false) { rig.somebodySaves(1, "theirs") }
        try await rig.save(fileName(1), session(1, "mine"))
        _ = await rig.flush()
        #expect(try rig.staging.conflicts(includingDecided: false).map(\.kind) == [.created])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.disorder == [])
    }

    @Test(arguments: ConflictKind.allCases) func withoutConditionsConflictsAreSeenBefore(kind: ConflictKind)
        async throws
    {
        let rig = try PublishRig(honours: false, conditions: ConditionSupport.none)
        try await collide(rig, kind)
        #expect(try rig.staging.conflicts(includingDecided: false).map(\.kind) == [kind])
        #expect(rig.disorder == [])
    }

    @Test func withoutConditionsEverythingWorks() async throws {
        let rig = try PublishRig(honours: false, conditions: nil)
        try await rig.published(1..<6)
        try await rig.save(fileName(1), session(1, "second"))
        _ = try rig.staging.remove(fileName(2))
        _ = try rig.staging.rename(fileName(3), to: fileName(9), replacing: false)
        #expect(await rig.flush() == [])
        #expect(rig.disorder == [])
        #expect(rig.rows.count == 4)
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "second"))
        #expect(rig.bucket.keys.allSatisfy { !$0.contains("probe") })
    }
}
