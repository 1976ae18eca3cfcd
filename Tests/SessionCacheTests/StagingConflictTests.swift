import Catalog
import ObjectStore
import Platform
import Testing

@testable import SessionCache

@Suite(.timeLimit(.minutes(5))) struct StagingConflictTests {
    private let bytes = pattern(5000)
    private let mine: [UInt8] = [1, 2, 3]
    private let theirs: [UInt8] = [4, 5, 6, 7]

    /// An edit that meets another writer's.
    private func editConflict(
        _ fixture: StagingFixture, decision: ConflictChoice? = nil
    ) async throws -> (id: Int64, ConflictRecord) {
        let id = try await fixture.base.add("x.fastshot", bytes)
        try await fixture.overwrite("x.fastshot", mine)
        let change = try fixture.begin()
        fixture.base.store.set("sessions/x.fastshot", theirs, etag: "theirs")
        let record = try fixture.staging.conflicted(
            change, .edited, found: fixture.info("x.fastshot"), decision: decision, decider: "test")
        return (id, record)
    }

    @Test func bothVersionsAreShownUntilTheUserDecides() async throws {
        let fixture = try StagingFixture()
        let (id, record) = try await editConflict(fixture)
        #expect(record.localName == "x (conflict \(record.id)).fastshot" && record.decided == nil)
        for _ in 0..<2 {
            #expect(try fixture.names() == ["x (conflict \(record.id)).fastshot", "x.fastshot"])
            #expect(try fixture.reads("x.fastshot", theirs))
            #expect(try fixture.reads(try require_(record.localName), mine))
            #expect(try fixture.staging.entry(fileName: try require_(record.localName))?.id == id)
            #expect(fixture.staging.sendable(limit: 9).isEmpty && fixture.staging.counts.conflicts == 1)
            #expect(try fixture.staging.conflicts(includingDecided: false).map(\.id) == [record.id])
            try fixture.kill()
        }
    }

    /// A directory store has a file for the index, too, whose name is a byte longer.
    @Test func theIndexOfALongNameHasANameToo() async throws {
        let fixture = try StagingFixture()
        let name = String(repeating: "a", count: 245) + ".fastshot"
        try await fixture.base.add(name, bytes)
        try await fixture.overwrite(name, mine)
        let change = try fixture.begin()
        fixture.base.store.set("sessions/" + name, theirs, etag: "theirs")
        let record = try fixture.staging.conflicted(
            change, .edited, found: fixture.info(name), decision: nil, decider: "test")
        let local = try require_(record.localName)
        #expect(local.hasSuffix(" (conflict \(record.id)).fastshot"))
        #expect(local.utf8.count - ".fastshot".utf8.count + ".meta.json".utf8.count <= 255)
    }

    @Test func mineReplacesTheirs() async throws {
        let fixture = try StagingFixture()
        let (_, record) = try await editConflict(fixture)
        let current = try require_(fixture.info("x.fastshot"))
        let decided = try fixture.staging.decide(
            record.id, .mine, by: "user", current: ObjectVersion(etag: current.etag, size: current.size))
        #expect(decided.choice == .mine && decided.decided != nil)
        #expect(try fixture.names() == ["x.fastshot"])
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == mine)
        #expect(throws: StagingError.self) {
            try fixture.staging.decide(record.id, .theirs, by: "user", current: nil)
        }
        #expect(try fixture.staging.conflicts(includingDecided: false).isEmpty)
        #expect(try fixture.staging.conflicts(includingDecided: true).count == 1)
    }

    @Test func theirsKeepsMineAside() async throws {
        let fixture = try StagingFixture()
        let (_, record) = try await editConflict(fixture)
        let decided = try fixture.staging.decide(record.id, .theirs, by: "user", current: nil)
        #expect(try Files.read(try require_(decided.keptPath)) == mine)
        #expect(try fixture.names() == ["x.fastshot"])
        #expect(try fixture.reads("x.fastshot", theirs))
        #expect(fixture.staging.changes().isEmpty)
    }

    @Test func bothAreSent() async throws {
        let fixture = try StagingFixture()
        let (_, record) = try await editConflict(fixture)
        _ = try fixture.staging.decide(record.id, .both, by: "user", current: nil)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == theirs)
        #expect(fixture.bucket(try require_(record.localName))?.bytes == mine)
        #expect(try fixture.names().count == 2)
    }

    @Test(arguments: ConflictChoice.allCases) func strategiesDecideAtOnce(choice: ConflictChoice) async throws {
        let fixture = try StagingFixture()
        let (_, record) = try await editConflict(fixture, decision: choice)
        #expect(record.choice == choice && record.decidedBy == "test" && fixture.staging.counts.conflicts == 0)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == (choice == .mine ? mine : theirs))
        #expect(try fixture.names().count == (choice == .both ? 2 : 1))
        if choice == .theirs { #expect(try Files.read(try require_(record.keptPath)) == mine) }
    }

    @Test func whereTheOtherSideRemovedItTheNameIsGone() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        try await fixture.overwrite("x.fastshot", mine)
        let change = try fixture.begin()
        fixture.base.store.remove("sessions/x.fastshot")
        let record = try fixture.staging.conflicted(
            change, .editedRemoved, found: nil, decision: nil, decider: "manual")
        #expect(try fixture.names() == [try require_(record.localName)])
        _ = try fixture.staging.decide(record.id, .mine, by: "user", current: nil)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == mine)
    }

    @Test func twoSessionsOfOneName() async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", mine)
        let change = try fixture.begin()
        fixture.base.store.set("sessions/x.fastshot", theirs)
        let record = try fixture.staging.conflicted(
            change, .created, found: fixture.info("x.fastshot"), decision: nil, decider: "manual")
        #expect(try fixture.names().count == 2)
        #expect(try fixture.staging.entry(fileName: "x.fastshot")?.id != id)
        // Renaming the local version over the other one is a decision too.
        _ = try fixture.staging.rename(try require_(record.localName), to: "x.fastshot", replacing: true)
        #expect(try fixture.staging.conflict(record.id)?.choice == .mine)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == mine)
    }

    @Test func aRemovalThatMeetsAnEditIsTakenBack() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.remove("x.fastshot")
        let change = try fixture.begin()
        fixture.base.store.set("sessions/x.fastshot", theirs)
        let record = try fixture.staging.conflicted(
            change, .removedEdited, found: fixture.info("x.fastshot"), decision: nil, decider: "manual")
        #expect(try fixture.names() == ["x.fastshot"] && fixture.staging.changes().isEmpty)
        #expect(try fixture.reads("x.fastshot", theirs))
        let current = try require_(fixture.info("x.fastshot"))
        _ = try fixture.staging.decide(
            record.id, .mine, by: "user", current: ObjectVersion(etag: current.etag, size: current.size))
        #expect(try fixture.names().isEmpty)
        #expect(fixture.staging.changes().map(\.conflict) == [record.id])
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot") == nil)
    }

    @Test func aRenameOntoATakenNameIsTakenBack() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        let change = try fixture.begin()
        fixture.base.store.set("sessions/y.fastshot", theirs)
        let record = try fixture.staging.conflicted(
            change, .renamed, found: fixture.info("y.fastshot"), decision: nil, decider: "manual")
        #expect(record.name == "y.fastshot")
        #expect(try fixture.names() == ["x.fastshot", "y.fastshot"])
        #expect(try fixture.reads("y.fastshot", theirs) && fixture.reads("x.fastshot", bytes))
        try fixture.kill()
        #expect(try fixture.staging.conflict(record.id)?.sourceName == "x.fastshot")
        let current = try require_(fixture.info("y.fastshot"))
        _ = try fixture.staging.decide(
            record.id, .mine, by: "user", current: ObjectVersion(etag: current.etag, size: current.size))
        #expect(try fixture.names() == ["y.fastshot"])
        #expect(fixture.staging.changes().map(\.conflict) == [record.id])
        try fixture.sendAll()
        #expect(fixture.bucket("y.fastshot")?.bytes == bytes && fixture.bucket("x.fastshot") == nil)
    }

    @Test func descriptorsGoOnThroughAConflict() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        try await fixture.overwrite("x.fastshot", mine)
        let change = try fixture.begin()
        let file = try await fixture.edit(id)
        try file.write([UInt8]([9]).span.bytes, at: 3)
        fixture.base.store.set("sessions/x.fastshot", theirs, etag: "theirs")
        let record = try fixture.staging.conflicted(
            change, .edited, found: fixture.info("x.fastshot"), decision: nil, decider: "manual")
        #expect { try fixture.staging.decide(record.id, .theirs, by: "user", current: nil) } throws: {
            ($0 as? StagingError)?.kind == .busy
        }
        try file.flush()
        file.close()
        #expect(try fixture.reads(try require_(record.localName), mine + [9]))
        #expect(fixture.staging.change(id: id)?.state == .conflict)
    }

    @Test func aLongNameStaysAName() async throws {
        let fixture = try StagingFixture()
        let name = String(repeating: "é", count: 122) + ".fastshot"
        try fixture.save(name, mine)
        let change = try fixture.begin()
        fixture.base.store.set("sessions/" + name, theirs)
        let record = try fixture.staging.conflicted(
            change, .created, found: fixture.info(name), decision: nil, decider: "manual")
        let local = try require_(record.localName)
        #expect(local.utf8.count <= 255 && local.hasSuffix(" (conflict \(record.id)).fastshot"))
        let decided = try fixture.staging.decide(record.id, .theirs, by: "user", current: nil)
        #expect(try Files.read(try require_(decided.keptPath)) == mine)
    }
}

@Suite(.timeLimit(.minutes(5))) struct StagingBatchTests {
    private let bytes = pattern(5000)

    @Test func aBatchIsSentWhenItIsCommitted() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("old.fastshot", bytes)
        try fixture.save("before.fastshot", [1])
        let batch = try fixture.staging.beginBatch()
        #expect(throws: StagingError.self) { try fixture.staging.beginBatch() }
        try fixture.save("x.fastshot", bytes)
        _ = try fixture.staging.rename("old.fastshot", to: "new.fastshot", replacing: false)
        try fixture.kill()
        #expect(fixture.staging.batch == batch)
        #expect(fixture.staging.sendable(limit: 9).map(\.name) == ["before.fastshot"])
        #expect(fixture.staging.changes().filter { $0.state == .held && $0.batch == batch }.count == 2)
        #expect(try fixture.staging.commitBatch() == 2)
        #expect(fixture.staging.sendable(limit: 9).count == 3 && fixture.staging.batch == nil)
        #expect(throws: StagingError.self) { try fixture.staging.commitBatch() }
        try fixture.sendAll()
        #expect(try fixture.staging.beginBatch() > batch)
    }

    @Test func aCancelledBatchLeavesNothingButTheContentsAside() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("old.fastshot", bytes)
        _ = try fixture.staging.beginBatch()
        try fixture.save("x.fastshot", bytes)
        _ = try fixture.staging.remove("old.fastshot")
        let file = try fixture.staging.create("open.fastshot")
        #expect { try fixture.staging.cancelBatch() } throws: { ($0 as? StagingError)?.kind == .busy }
        file.close()
        #expect(try fixture.staging.cancelBatch() == 3)
        #expect(try fixture.names() == ["old.fastshot"])
        #expect(fixture.staging.changes().isEmpty && fixture.staging.batch == nil)
        #expect(try Files.names(in: fixture.directory + "/kept").count == 2)
    }

    /// What a batch holds back was never sent, whatever a new process has to assume of other changes.
    @Test func aBatchIsCancelledByTheNextProcess() async throws {
        let fixture = try StagingFixture()
        for name in ["edited", "removed", "renamed"] { try await fixture.base.add(name + ".fastshot", bytes) }
        _ = try fixture.staging.beginBatch()
        try await fixture.overwrite("edited.fastshot", [1])
        _ = try fixture.staging.remove("removed.fastshot")
        _ = try fixture.staging.rename("renamed.fastshot", to: "other.fastshot", replacing: false)
        try fixture.save("new.fastshot", [2])
        try fixture.kill()
        #expect(try fixture.staging.cancelBatch() == 4)
        #expect(fixture.staging.changes().isEmpty && fixture.staging.counts == Staging.Counts())
        #expect(try fixture.names() == ["edited.fastshot", "removed.fastshot", "renamed.fastshot"])
        #expect(try fixture.reads("edited.fastshot", bytes))
    }

    @Test func aCancelledBatchGivesNamesBackInAnyOrder() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        try await fixture.base.add("z.fastshot", [1])
        _ = try fixture.staging.beginBatch()
        try await fixture.overwrite("z.fastshot", [2])
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        _ = try fixture.staging.rename("z.fastshot", to: "x.fastshot", replacing: false)
        #expect(try fixture.staging.cancelBatch() == 2)
        #expect(fixture.staging.changes().isEmpty)
        #expect(try fixture.reads("x.fastshot", bytes) && fixture.reads("z.fastshot", [1]))
    }

    /// Contents that were on their way before the batch began may be in the bucket: they are no other writer's.
    @Test func whatMayHaveArrivedBeforeTheBatchIsKnownAgain() async throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        let change = try fixture.begin()
        _ = try fixture.staging.beginBatch()
        try await fixture.overwrite("x.fastshot", [1])
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        fixture.staging.postponed(change, reason: "no answer")
        #expect(try fixture.staging.cancelBatch() == 1)
        #expect(try fixture.reads("x.fastshot", bytes))
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == bytes && fixture.staging.changes().isEmpty)
    }

    /// Edited, renamed, removed or replaced in the batch: what had been saved before it is wanted again.
    @Test func aCancelledBatchBringsBackWhatWasNotSentBefore() async throws {
        let fixture = try StagingFixture()
        let names = ["edited", "removed", "renamed", "replaced"].map { $0 + ".fastshot" }
        for name in names { try fixture.save(name, Array(name.utf8)) }
        try await fixture.base.add("old.fastshot", bytes)
        _ = try fixture.staging.rename("old.fastshot", to: "new.fastshot", replacing: false)
        _ = try fixture.staging.beginBatch()
        try await fixture.overwrite("edited.fastshot", [1])
        _ = try fixture.staging.remove("removed.fastshot")
        _ = try fixture.staging.rename("renamed.fastshot", to: "other.fastshot", replacing: false)
        try fixture.save("made.fastshot", [2])
        _ = try fixture.staging.rename("made.fastshot", to: "replaced.fastshot", replacing: true)
        _ = try fixture.staging.rename("new.fastshot", to: "newer.fastshot", replacing: false)
        try fixture.kill()
        #expect(try fixture.names().count == 4 && fixture.staging.sendable(limit: 9).isEmpty)
        _ = try fixture.staging.cancelBatch()
        for _ in 0..<2 {
            for name in names { #expect(try fixture.reads(name, Array(name.utf8))) }
            #expect(try fixture.staging.entry(fileName: "new.fastshot") != nil)
            #expect(try fixture.names().count == 5 && fixture.staging.counts.pending == 5)
            try fixture.kill()
        }
        try fixture.sendAll()
        for name in names { #expect(fixture.bucket(name)?.bytes == Array(name.utf8)) }
        #expect(fixture.bucket("new.fastshot")?.bytes == bytes && fixture.bucket("old.fastshot") == nil)
        #expect(fixture.staging.changes().isEmpty)
    }

    @Test func whatWasSavedBeforeGoesWhenTheBatchIsCommitted() async throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        try fixture.save("y.fastshot", bytes)
        _ = try fixture.staging.beginBatch()
        try await fixture.overwrite("x.fastshot", [1])
        _ = try fixture.staging.remove("y.fastshot")
        #expect(try Files.names(in: fixture.directory + "/staging").count == 3)
        #expect(fixture.staging.changes().count == 1 && fixture.staging.counts.pending == 1)
        #expect(try fixture.staging.commitBatch() == 1)
        #expect(try Files.names(in: fixture.directory + "/staging").count == 1)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == [1] && fixture.bucket("y.fastshot") == nil)
    }

    /// A removal that a file took over which was never flushed stood in the journal as held by the batch.
    @Test func aKillAfterTheBatchHoldsNothingBack() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.beginBatch()
        _ = try fixture.staging.remove("x.fastshot")
        let file = try fixture.staging.create("x.fastshot")
        _ = try fixture.staging.commitBatch()
        try fixture.kill()
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot") == nil && fixture.staging.changes().isEmpty)
        withExtendedLifetime(file) {}
    }

    @Test func aDiscardedChangeIsUndone() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        try await fixture.overwrite("x.fastshot", [1])
        let kept = try require_(fixture.staging.discard(id: id))
        #expect(try Files.read(kept) == [1])
        #expect(try fixture.reads("x.fastshot", bytes))
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        #expect(try fixture.staging.discard(id: id) == nil)
        #expect(try fixture.names() == ["x.fastshot"])
        #expect { try fixture.staging.discard(id: id) } throws: { ($0 as? StagingError)?.kind == .notFound }
        let new = try fixture.save("z.fastshot", [2])
        let change = try fixture.begin(new)
        #expect { try fixture.staging.discard(id: new) } throws: { ($0 as? StagingError)?.kind == .busy }
        fixture.staging.postponed(change, reason: "")
        _ = try fixture.staging.discard(id: new)
        #expect(try fixture.names() == ["x.fastshot"])
    }
}
