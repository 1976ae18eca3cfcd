import Catalog
import ObjectStore
import Platform
import Testing

@testable import SessionCache

@Suite(.timeLimit(.minutes(5))) struct StagingTests {
    private let bytes = pattern(5000)

    @Test func aNewFileIsListedAtOnceAndReady() throws {
        let fixture = try StagingFixture()
        let file = try fixture.staging.create("x.fastshot")
        #expect(try fixture.names() == ["x.fastshot"])
        #expect(try fixture.staging.entry(fileName: "x.fastshot")?.size == 0)
        try file.write(bytes.span.bytes, at: 0)
        #expect(try fixture.staging.entry(id: file.id)?.size == 5000)
        #expect(fixture.staging.sendable(limit: 9).isEmpty)
        try file.flush()
        #expect(fixture.staging.change(id: file.id)?.state == .open)
        file.close()
        let change = try require_(fixture.staging.sendable(limit: 9).first)
        #expect(change.kind == .create)
        #expect(change.content?.size == 5000)
        #expect(fixture.staging.counts.pending == 1 && fixture.staging.counts.pendingBytes == 5000)
    }

    @Test func aFileIsMadeOnce() throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        #expect(throws: StagingError(.exists, "x.fastshot")) { try fixture.staging.create("x.fastshot") }
        let long = String(repeating: "a", count: 256)
        #expect { try fixture.staging.create(long) } throws: { ($0 as? StagingError)?.kind == .nameTooLong }
        #expect { try fixture.staging.create("a/b") } throws: { ($0 as? StagingError)?.kind == .invalidName }
    }

    @Test func namesAreTheirBytes() throws {
        let fixture = try StagingFixture()
        try fixture.save("\u{e9}.fastshot", bytes)
        try fixture.save("e\u{301}.fastshot", [1])
        #expect(try fixture.listing().count == 2)
        #expect(try fixture.staging.entry(fileName: "e\u{301}.fastshot")?.size == 1)
    }

    @Test(arguments: ["x.part", ".x.fastshot", "x~", ".goutputstream-1", "#x#", "notes.txt"])
    func otherNamesAreNeverSent(name: String) throws {
        let fixture = try StagingFixture()
        try fixture.save(name, bytes)
        #expect(fixture.staging.sendable(limit: 9).isEmpty)
        #expect(fixture.staging.counts.local == 1 && fixture.staging.counts.pending == 0)
        try fixture.kill()
        #expect(try fixture.names() == [name])
        #expect(try fixture.reads(name, bytes))
    }

    @Test func whatWasFlushedSurvivesAndOnlyThat() throws {
        let fixture = try StagingFixture()
        try fixture.save("closed.fastshot", bytes)
        let flushed = try fixture.staging.create("flushed.fastshot")
        try flushed.write(bytes.span.bytes, at: 0)
        try flushed.flush()
        let never = try fixture.staging.create("never.fastshot")
        try never.write(bytes.span.bytes, at: 0)
        try fixture.kill()
        #expect(try fixture.names() == ["closed.fastshot", "flushed.fastshot"])
        #expect(try fixture.reads("flushed.fastshot", bytes))
        #expect(fixture.staging.sendable(limit: 9).count == 2)
        // The other's bytes are not kept.
        #expect(try Files.names(in: fixture.directory + "/staging").count == 2)
        #expect { try never.flush() } throws: { ($0 as? StagingError)?.kind == .io }
    }

    @Test func anEditThatWasNeverFlushedLeavesTheOldContents() async throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        let id = try require_(fixture.staging.entry(fileName: "x.fastshot")?.id)
        let file = try await fixture.edit(id, truncating: true)
        #expect(try fixture.staging.entry(id: id)?.size == 0)
        try fixture.kill()
        #expect(try fixture.reads("x.fastshot", bytes))
        withExtendedLifetime(file) {}
    }

    @Test func writersShareTheirContents() async throws {
        let fixture = try StagingFixture()
        let first = try fixture.staging.create("x.fastshot")
        try first.write(bytes.span.bytes, at: 0)
        let second = try await fixture.edit(first.id)
        try second.write([UInt8]([9, 9]).span.bytes, at: 0)
        let reader = try require_(fixture.staging.openContents(id: first.id))
        #expect(try reader.descriptor.read(at: 0, count: 3) == [9, 9, bytes[2]])
        try first.flush()
        first.close()
        #expect(fixture.staging.sendable(limit: 9).isEmpty)
        second.close()
        #expect(fixture.staging.sendable(limit: 9).count == 1)
        #expect { try reader.write([UInt8]([1]).span.bytes, at: 0) } throws: {
            ($0 as? StagingError)?.kind == .notPermitted
        }
    }

    @Test func openingForWritingWithoutWritingChangesNothing() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        let file = try await fixture.edit(id)
        #expect(file.size == 5000)
        try file.flush()
        file.close()
        #expect(fixture.staging.changes().isEmpty)
        #expect(try Files.names(in: fixture.directory + "/staging").isEmpty)
    }

    @Test func anEditBeginsWithTheBucketsContentsAndKnowsTheirVersion() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        let file = try await fixture.edit(id)
        try file.write([UInt8]([7]).span.bytes, at: 5000)
        try file.flush()
        file.close()
        let change = try require_(fixture.staging.sendable(limit: 1).first)
        #expect(change.kind == .edit && change.id == id)
        #expect(change.remote?.etag == fixture.bucket("x.fastshot")?.etag)
        #expect(try fixture.reads("x.fastshot", bytes + [7]))
    }

    @Test func anUnlinkedFileIsNotSentAndItsDescriptorsGoOn() throws {
        let fixture = try StagingFixture()
        let file = try fixture.staging.create("x.fastshot")
        try file.write(bytes.span.bytes, at: 0)
        try file.flush()
        #expect(try fixture.staging.remove("x.fastshot") == file.id)
        try file.write([UInt8]([1]).span.bytes, at: 0)
        try file.flush()
        #expect(try file.descriptor.read(at: 0, count: 2) == [1, bytes[1]])
        file.close()
        #expect(try fixture.names().isEmpty && fixture.staging.changes().isEmpty)
        #expect(try Files.names(in: fixture.directory + "/staging").isEmpty)
    }

    @Test func anEditorSavesByRenamingOver() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        let new = try fixture.save(".x.fastshot.swp", [1, 2, 3])
        let done = try fixture.staging.rename(".x.fastshot.swp", to: "x.fastshot", replacing: true)
        #expect(done == Staging.Renamed(id: new, replaced: id))
        let change = try require_(fixture.staging.sendable(limit: 1).first)
        #expect(change.kind == .edit && change.replacedID == id)
        #expect(change.replaces?.etag == fixture.bucket("x.fastshot")?.etag)
        #expect(try fixture.names() == ["x.fastshot"])
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == [1, 2, 3])
        #expect(try fixture.base.catalog.entry(fileName: "x.fastshot")?.id == new)
        #expect(try fixture.base.catalog.entry(id: id) == nil)
    }

    @Test func aBackupByRenameNeedsTheBody() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        #expect { try fixture.staging.rename("x.fastshot", to: "x~", replacing: true) } throws: {
            ($0 as? StagingError)?.kind == .crossDevice
        }
        #expect(try fixture.names() == ["x.fastshot"])
        _ = try await fixture.base.cache.open(id).everything()
        await fixture.base.cache.drain()
        _ = try fixture.staging.rename("x.fastshot", to: "x~", replacing: true)
        #expect(try fixture.names() == ["x~"])
        #expect(try fixture.reads("x~", bytes))
        try fixture.kill()
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot") == nil)
        #expect(try fixture.reads("x~", bytes))
    }

    @Test func aRenameThatIsTakenBackVanishes() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        #expect(try fixture.names() == ["y.fastshot"])
        _ = try fixture.staging.rename("y.fastshot", to: "x.fastshot", replacing: false)
        #expect(fixture.staging.changes().isEmpty)
        #expect(try fixture.names() == ["x.fastshot"])
    }

    /// By way of a published name, and of one that is never sent; all renames are still pending.
    @Test(arguments: ["t.fastshot", "t.part"]) func namesAreExchanged(between: String) async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        try await fixture.base.add("y.fastshot", [1])
        _ = try await fixture.base.cache.open(id).everything()
        await fixture.base.cache.drain()
        _ = try fixture.staging.rename("x.fastshot", to: between, replacing: false)
        _ = try fixture.staging.rename("y.fastshot", to: "x.fastshot", replacing: false)
        _ = try fixture.staging.rename(between, to: "y.fastshot", replacing: false)
        try fixture.kill()
        #expect(try fixture.names() == ["x.fastshot", "y.fastshot"])
        try fixture.sendAll()
        #expect(fixture.staging.changes().isEmpty)
        #expect(fixture.bucket("x.fastshot")?.bytes == [1] && fixture.bucket("y.fastshot")?.bytes == bytes)
        #expect(fixture.bucket(between) == nil)
    }

    @Test func editedFilesExchangeTheirNames() async throws {
        let fixture = try StagingFixture()
        for name in ["x.fastshot", "y.fastshot"] {
            try await fixture.base.add(name, bytes)
            try await fixture.overwrite(name, Array(name.utf8))
        }
        _ = try fixture.staging.rename("x.fastshot", to: "t.fastshot", replacing: false)
        _ = try fixture.staging.rename("y.fastshot", to: "x.fastshot", replacing: false)
        _ = try fixture.staging.rename("t.fastshot", to: "y.fastshot", replacing: false)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == Array("y.fastshot".utf8))
        #expect(fixture.bucket("y.fastshot")?.bytes == Array("x.fastshot".utf8))
        #expect(fixture.bucket("t.fastshot") == nil && fixture.staging.changes().isEmpty)
    }

    /// The name between is needed still by the first exchange.
    @Test func aSecondExchangeWaitsForTheFirst() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        try await fixture.base.add("y.fastshot", [1])
        let exchange = [("x", "t"), ("y", "x"), ("t", "y")]
        for (old, new) in exchange {
            _ = try fixture.staging.rename(old + ".fastshot", to: new + ".fastshot", replacing: false)
        }
        #expect { try fixture.staging.rename("x.fastshot", to: "t.fastshot", replacing: false) } throws: {
            ($0 as? StagingError)?.kind == .busy
        }
        try fixture.sendAll()
        for (old, new) in exchange {
            _ = try fixture.staging.rename(old + ".fastshot", to: new + ".fastshot", replacing: false)
        }
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == bytes && fixture.bucket("y.fastshot")?.bytes == [1])
    }

    /// A program goes on writing into it.
    @Test func aFileThatIsOpenIsNotSentUnderItsNewName() throws {
        let fixture = try StagingFixture()
        let file = try fixture.staging.create("x.part")
        try file.write(bytes.span.bytes, at: 0)
        try file.flush()
        _ = try fixture.staging.rename("x.part", to: "x.fastshot", replacing: false)
        #expect(fixture.staging.sendable(limit: 9).isEmpty && fixture.staging.counts.pending == 1)
        try file.write([UInt8]([7]).span.bytes, at: 5000)
        file.close()
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == bytes + [7])
    }

    /// What an upload from here has made of a session is no other writer's version to who opened it meanwhile.
    @Test func anUploadMayEndWhileItsFileIsBeingOpened() async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        for round in 0..<60 {
            let change = try fixture.begin(id)
            var publisher = ModelPublisher(fixture: fixture)
            try publisher.perform(change)
            let sent = fixture.sent(change)
            let staging = fixture.staging
            async let ended: Void = Task.detached { try staging.sent([sent]) }.value
            let file = try await fixture.edit(id, truncating: true)
            try await ended
            try file.write([UInt8(round)].span.bytes, at: 0)
            try file.flush()
            file.close()
            #expect(fixture.staging.change(id: id)?.remote?.etag == fixture.bucket("x.fastshot")?.etag)
        }
    }

    @Test func aTakenNameIsKeptUnlessItMayBeReplaced() throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        try fixture.save("y.fastshot", [1])
        #expect { try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false) } throws: {
            ($0 as? StagingError)?.kind == .exists
        }
        #expect { try fixture.staging.rename("z.fastshot", to: "y.fastshot", replacing: true) } throws: {
            ($0 as? StagingError)?.kind == .notFound
        }
    }

    @Test func oneProcessHoldsTheJournal() throws {
        let fixture = try StagingFixture()
        let second = try Staging.open(
            directory: fixture.directory, catalog: fixture.base.catalog, cache: fixture.base.cache
        ) { _ in }
        #expect(second == nil)
    }

    @Test func theTimeSetByAProgramIsShownUntilTheUpload() throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        let time = Timestamp(seconds: 1_600_000_000)
        try fixture.staging.setModified(id: id, time)
        try fixture.kill()
        #expect(try fixture.staging.entry(id: id)?.modified == time)
    }

    @Test func aListingBeginsBehindAnyID() async throws {
        let fixture = try StagingFixture()
        for name in ["a", "b", "c"] { try await fixture.base.add(name + ".fastshot", bytes) }
        let new = try fixture.save("d.fastshot", [1])
        _ = try fixture.staging.remove("b.fastshot")
        let all = try fixture.listing()
        #expect(all.map(\.name) == ["a.fastshot", "c.fastshot", "d.fastshot"])
        for start in 0..<all.count {
            var rest: [Int64] = []
            try fixture.staging.scan(after: all[start].id) { row in
                rest.append(row.id)
                return rest.count < 1
            }
            #expect(rest == all[(start + 1)...].prefix(1).map(\.id))
        }
        #expect(all.last?.id == new)
    }

    @Test func idsOfPendingFilesAreNeverGivenAgain() async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        try fixture.kill()
        let other = try await fixture.base.add("y.fastshot", [1])
        #expect(other > id)
        #expect(try fixture.names() == ["x.fastshot", "y.fastshot"])
    }
}
