import Catalog
import ObjectStore
import Platform
import Testing

@testable import SessionCache

/// Files and objects that were one session and are two now, or are taken for two for a while.
@Suite(.timeLimit(.minutes(2))) struct StagingIdentityTests {
    private let bytes = pattern(5000)
    private let mine: [UInt8] = [1, 2, 3]
    private let theirs: [UInt8] = [4, 5, 6, 7]

    /// `a` was edited and renamed to `b`, where somebody else has put a session meanwhile.
    private func setAside(_ fixture: StagingFixture) async throws -> ConflictRecord {
        try await fixture.base.add("a.fastshot", bytes)
        try await fixture.overwrite("a.fastshot", mine)
        _ = try fixture.staging.rename("a.fastshot", to: "b.fastshot", replacing: false)
        let change = try fixture.begin()
        fixture.base.store.set("sessions/b.fastshot", theirs)
        return try fixture.staging.conflicted(
            change, .created, found: fixture.info("b.fastshot"), decision: nil, decider: "manual")
    }

    /// The bucket still has the session under its old name.
    @Test func whatIsSetAsideDoesNotHideTheObjectUnderItsOldName() async throws {
        let fixture = try StagingFixture()
        let record = try await setAside(fixture)
        let local = try require_(record.localName)
        for _ in 0..<2 {
            #expect(try fixture.names() == ["a.fastshot", local, "b.fastshot"])
            #expect(try fixture.reads("a.fastshot", bytes))
            #expect(try fixture.reads("b.fastshot", theirs))
            #expect(try fixture.reads(local, mine))
            try fixture.kill()
        }
    }

    /// What becomes of the session under the old name has nothing to do with the contents that were set aside.
    @Test func whatIsSetAsideOutlivesTheObjectUnderItsOldName() async throws {
        let fixture = try StagingFixture()
        let local = try require_(try await setAside(fixture).localName)
        _ = try fixture.staging.remove("a.fastshot")
        let change = try fixture.begin()
        fixture.base.store.set("sessions/a.fastshot", theirs, etag: "theirs")
        let record = try fixture.staging.conflicted(
            change, .removedEdited, found: fixture.info("a.fastshot"), decision: nil, decider: "manual")
        let current = try require_(fixture.info("a.fastshot"))
        _ = try fixture.staging.decide(
            record.id, .mine, by: "user", current: ObjectVersion(etag: current.etag, size: current.size))
        #expect(try fixture.names() == [local, "b.fastshot"])
        try fixture.sendAll()
        #expect(fixture.bucket("a.fastshot") == nil)
        #expect(try fixture.reads(local, mine))
    }

    /// A session that got a foreign name is removed from the bucket, where somebody has edited it.
    @Test(arguments: [false, true]) func aLocalFileDoesNotHideTheSessionThatItWas(_ isDiscarded: Bool) async throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", mine)
        try fixture.sendAll()
        _ = try fixture.staging.rename("x.fastshot", to: "x~", replacing: false)
        if isDiscarded {
            let removal = try #require(fixture.staging.changes().first { $0.name == nil })
            _ = try fixture.staging.discard(id: removal.id)
        } else {
            let change = try fixture.begin()
            fixture.base.store.set("sessions/x.fastshot", theirs, etag: "theirs")
            _ = try fixture.staging.conflicted(
                change, .removedEdited, found: fixture.info("x.fastshot"), decision: nil, decider: "manual")
        }
        for _ in 0..<2 {
            #expect(try fixture.names() == ["x.fastshot", "x~"])
            #expect(try fixture.reads("x.fastshot", isDiscarded ? mine : theirs))
            #expect(try fixture.reads("x~", mine))
            try fixture.kill()
        }
    }

    /// A process died right after the journal knew of it.
    @Test func theNextProcessPartsThem() async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", mine)
        try fixture.sendAll()
        _ = try fixture.staging.rename("x.fastshot", to: "x~", replacing: false)
        let removal = try #require(fixture.staging.changes().first { $0.name == nil })
        #expect(try fixture.base.catalog.entry(fileName: "x.fastshot")?.id == removal.id)
        _ = try fixture.base.catalog.renumber(removal.id, as: id)
        try fixture.kill()
        #expect(try fixture.base.catalog.entry(fileName: "x.fastshot")?.id == removal.id)
        #expect(try fixture.names() == ["x~"])
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot") == nil)
        #expect(try fixture.base.catalog.entry(fileName: "x.fastshot") == nil)
    }

    /// A body had arrived under the first name when the file was renamed, and index and row had not.
    @Test(arguments: [nil, ConflictChoice.theirs, .both], [false, true])
    func whatHadArrivedUnderAnotherNameGoes(_ decision: ConflictChoice?, _ isEdit: Bool) async throws {
        let fixture = try StagingFixture()
        if isEdit {
            try await fixture.base.add("a.fastshot", bytes)
            _ = try fixture.staging.remove("a.fastshot")
        }
        try fixture.save("a.fastshot", mine)
        let first = try fixture.begin()
        fixture.base.store.set("sessions/a.fastshot", mine)
        fixture.staging.postponed(first, reason: "the line has gone")
        _ = try fixture.staging.rename("a.fastshot", to: "b.fastshot", replacing: false)
        let change = try fixture.begin()
        fixture.base.store.set("sessions/b.fastshot", theirs)
        let record = try fixture.staging.conflicted(
            change, .created, found: fixture.info("b.fastshot"), decision: decision, decider: "test")
        try fixture.sendAll()
        #expect(fixture.bucket("a.fastshot") == nil)
        #expect(fixture.bucket("b.fastshot")?.bytes == theirs)
        let local = [record.localName].compactMap { $0 }
        #expect(try fixture.names() == local + ["b.fastshot"])
        for name in local { #expect(try fixture.reads(name, mine)) }
    }

    /// A listing finds the object under the new name, and takes it for another session.
    @Test func aListingMeetsARenameHalfDone() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("a.fastshot", bytes)
        _ = try fixture.staging.rename("a.fastshot", to: "b.fastshot", replacing: false)
        let change = try fixture.begin()
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        let info = try require_(fixture.info("b.fastshot"))
        _ = try fixture.base.catalog.apply([
            .object(fileName: "b.fastshot", ObjectFacts(size: info.size, etag: info.etag)), .gone(id: id),
        ])
        #expect(try fixture.names() == ["b.fastshot"])
        let file = try await fixture.edit(id)
        #expect(try file.descriptor.read(at: 0, count: 9000) == bytes)
        file.close()
        try fixture.staging.sent([fixture.sent(change)])
        #expect(try fixture.base.catalog.entry(fileName: "b.fastshot")?.id == id)
    }

    /// The object has just left its old name, and the catalog has not heard of that.
    @Test func anEditMeetsARenameHalfDone() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("a.fastshot", bytes)
        _ = try fixture.staging.rename("a.fastshot", to: "b.fastshot", replacing: false)
        let change = try fixture.begin()
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        #expect(fixture.bucket("a.fastshot") == nil)
        let file = try await fixture.edit(id)
        #expect(try file.descriptor.read(at: 0, count: 9000) == bytes)
        file.close()
        try fixture.staging.sent([fixture.sent(change)])
        #expect(try fixture.reads("b.fastshot", bytes))
    }

    /// What the rename is to replace is not taken for the session.
    @Test func aListingMeetsARenameBeforeItsCopy() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("a.fastshot", bytes)
        try await fixture.base.add("b.fastshot", pattern(5000).reversed())
        _ = try fixture.staging.rename("a.fastshot", to: "b.fastshot", replacing: true)
        _ = try fixture.base.catalog.apply([.gone(id: id)])
        let file = try await fixture.edit(id)
        #expect(try file.descriptor.read(at: 0, count: 9000) == bytes)
    }
}
