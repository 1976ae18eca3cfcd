import Catalog
import ObjectStore
import Platform
import Testing

@testable import SessionCache

@Suite(.timeLimit(.minutes(5))) struct StagingSendingTests {
    private let bytes = pattern(5000)

    @Test func aSentFileBecomesACachedSession() async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        let reader = try require_(fixture.staging.openContents(id: id))
        try fixture.sendAll()
        #expect(fixture.staging.changes().isEmpty)
        #expect(try fixture.base.catalog.entry(fileName: "x.fastshot")?.id == id)
        #expect(fixture.base.cache.state(id) == .cached)
        #expect(try fixture.staging.openContents(id: id) == nil)
        #expect(try reader.descriptor.read(at: 0, count: 6000) == bytes)
        #expect(fixture.deltas.withLock { $0 }.contains { $0.changed.contains(id) })
        #expect(try Files.names(in: fixture.directory + "/staging").isEmpty)
    }

    @Test func nobodyBeginsAChangeTwice() throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        let change = try fixture.begin(id)
        #expect(fixture.staging.begin(id) == nil && fixture.staging.sendable(limit: 9).isEmpty)
        fixture.staging.postponed(change, reason: "no network")
        #expect(fixture.staging.change(id: id)?.reason == "no network")
        #expect(fixture.staging.begin(id) != nil)
    }

    @Test func contentsStayWhileTheyAreSent() async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        let change = try fixture.begin(id)
        try await fixture.overwrite("x.fastshot", [1, 2])
        #expect(try Files.read(try require_(change.content?.path)) == bytes)
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        try fixture.staging.sent([fixture.sent(change)])
        let rest = try require_(fixture.staging.change(id: id))
        #expect(rest.kind == .edit && rest.remote?.etag == fixture.bucket("x.fastshot")?.etag && rest.state == .ready)
        #expect(try fixture.reads("x.fastshot", [1, 2]))
        #expect(!Files.exists(try require_(change.content?.path)))
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == [1, 2])
    }

    /// A program opens the file at the moment when what it saved before has arrived: whichever comes first, the next
    /// version goes out from what the bucket holds.
    @Test func aFileIsOpenedWhileItArrives() async throws {
        let fixture = try StagingFixture()
        let staging = fixture.staging
        let id = try fixture.save("x.fastshot", bytes)
        var publisher = ModelPublisher(fixture: fixture)
        for round in 0..<150 {
            let change = try fixture.begin(id)
            try publisher.perform(change)
            let sent = fixture.sent(change)
            let end = Task.detached {
                if round % 3 == 0 { await Task.yield() }
                try staging.sent([sent])
            }
            let file = try await fixture.edit(id, truncating: round % 2 == 0)
            try await end.value
            try file.write([UInt8(round), 1, 2].span.bytes, at: 0)
            try file.flush()
            file.close()
            let rest = try require_(staging.change(id: id))
            try #require(rest.remote?.etag == fixture.bucket("x.fastshot")?.etag, "round \(round)")
        }
    }

    @Test func contentsThatMayHaveArrivedAreKnownAgain() async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        let change = try fixture.begin(id)
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        fixture.staging.postponed(change, reason: "no answer")
        try await fixture.overwrite("x.fastshot", [1, 2])
        #expect(fixture.staging.change(id: id)?.attempted.count == 1)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == [1, 2])
    }

    @Test func whatAKilledProcessMayHaveSentIsKnownAgain() async throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(try fixture.begin())
        try fixture.kill()
        _ = try fixture.staging.remove("x.fastshot")
        #expect(try fixture.names().isEmpty)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot") == nil && fixture.staging.changes().isEmpty)
    }

    @Test func aNewFileThatWasNeverSentLeavesNothingBehind() throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        _ = try fixture.staging.remove("x.fastshot")
        #expect(fixture.staging.changes().isEmpty)
        #expect(try Files.names(in: fixture.directory + "/staging").isEmpty)
    }

    @Test func aFileRemovedWhileItIsSentGoesAgain() throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        let change = try fixture.begin()
        _ = try fixture.staging.remove("x.fastshot")
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        try fixture.staging.sent([fixture.sent(change)])
        #expect(try fixture.names().isEmpty)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot") == nil)
        #expect(try fixture.base.catalog.entry(fileName: "x.fastshot") == nil)
    }

    @Test func aFileMadeInPlaceOfARemovedOneIsAnEdit() async throws {
        let fixture = try StagingFixture()
        let old = try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.remove("x.fastshot")
        let file = try fixture.staging.create("x.fastshot")
        // It is not durable yet: a kill must not bring the old one back.
        try fixture.kill()
        #expect(try fixture.names().isEmpty)
        try fixture.save("x.fastshot", [1])
        let change = try require_(fixture.staging.sendable(limit: 9).first)
        #expect(change.kind == .edit && change.replacedID == old && fixture.staging.changes().count == 1)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == [1])
        withExtendedLifetime(file) {}
    }

    @Test func aFileMadeWhileTheOldOneIsBeingRemovedWaits() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.remove("x.fastshot")
        let removal = try fixture.begin()
        try fixture.save("x.fastshot", [1])
        #expect(fixture.staging.sendable(limit: 9).isEmpty)
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(removal)
        try fixture.staging.sent([fixture.sent(removal)])
        let change = try require_(fixture.staging.sendable(limit: 9).first)
        #expect(change.kind == .create && change.replaces == nil)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == [1])
        #expect(try fixture.names() == ["x.fastshot"])
    }

    /// Files of one name that come and go while a removal is on its way.
    @Test(arguments: 1...4) func whoeverHasTheNameInTheEndExpectsNothingThere(files: Int) async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.remove("x.fastshot")
        let removal = try fixture.begin()
        for number in 1...files {
            try fixture.save("x.fastshot", [UInt8(number)])
            if number < files { _ = try fixture.staging.remove("x.fastshot") }
        }
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(removal)
        try fixture.staging.sent([fixture.sent(removal)])
        let change = try require_(fixture.staging.sendable(limit: 9).first)
        #expect(change.replaces == nil && change.kind == .create)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == [UInt8(files)])
    }

    /// A removal whose answer is lost may have taken place: a new file of the name must not miss the old one.
    @Test(arguments: [true, false]) func aNewFileDoesNotMissWhatARemovalTookAway(isKilled: Bool) async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.remove("x.fastshot")
        let removal = try fixture.begin()
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(removal)
        if isKilled { try fixture.kill() } else { fixture.staging.postponed(removal, reason: "no answer") }
        try fixture.save("x.fastshot", [1])
        try fixture.kill()
        let change = try require_(fixture.staging.sendable(limit: 9).first)
        #expect(change.replaces?.mayBeGone == true)
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == [1])
        // Where nothing was begun, a missing object is somebody else's doing.
        _ = try fixture.staging.remove("x.fastshot")
        try fixture.save("x.fastshot", [2])
        #expect(fixture.staging.sendable(limit: 9).first?.replaces?.mayBeGone == false)
    }

    /// The catalog knows the old name under the id of the session whose place was taken.
    @Test func aFileThatTookAnothersPlaceAndIsRenamedLeavesNothingUnderTheOldName() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.remove("x.fastshot")
        try fixture.save("x.fastshot", [1])
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        try fixture.sendAll()
        #expect(try fixture.names() == ["y.fastshot"])
        #expect(fixture.bucket("x.fastshot") == nil && fixture.bucket("y.fastshot")?.bytes == [1])
        #expect(try fixture.base.catalog.entry(fileName: "x.fastshot") == nil)
    }

    @Test func aHalfDoneRenameIsFinishedBeforeTheNext() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        let change = try fixture.begin()
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        fixture.staging.postponed(change, reason: "no answer")
        _ = try fixture.staging.rename("y.fastshot", to: "x.fastshot", replacing: false)
        try fixture.kill()
        #expect(try fixture.names() == ["x.fastshot"])
        #expect(try fixture.begin(id).name == "y.fastshot")
        try fixture.kill()
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot")?.bytes == bytes && fixture.bucket("y.fastshot") == nil)
    }

    @Test func aRefusedRenameIsTakenBack() async throws {
        let fixture = try StagingFixture()
        try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        try fixture.staging.undone(try fixture.begin(), reason: "forbidden")
        #expect(try fixture.names() == ["x.fastshot"])
        #expect(fixture.staging.changes().isEmpty)
        _ = try fixture.staging.remove("x.fastshot")
        try fixture.staging.undone(try fixture.begin(), reason: "forbidden")
        #expect(try fixture.names() == ["x.fastshot"])
    }

    @Test func aRefusedRenameWhoseOldNameIsTakenFails() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", bytes)
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        try fixture.save("x.fastshot", [1])
        try fixture.staging.undone(try fixture.begin(), reason: "forbidden")
        #expect(fixture.staging.change(id: id)?.state == .failed)
        #expect(try fixture.names() == ["x.fastshot", "y.fastshot"])
        #expect(fixture.staging.sendable(limit: 9).isEmpty)
    }

    @Test func whatIsRejectedWaitsForARetryOrAnEdit() async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        try fixture.staging.rejected(try fixture.begin(), .refused, reason: "no session")
        try fixture.kill()
        #expect(fixture.staging.counts.refused == 1 && fixture.staging.sendable(limit: 9).isEmpty)
        #expect(fixture.staging.change(id: id)?.reason == "no session")
        try fixture.staging.retry(refused: false)
        #expect(fixture.staging.sendable(limit: 9).isEmpty)
        try fixture.staging.retry(refused: true)
        #expect(fixture.staging.sendable(limit: 9).count == 1)
        try fixture.staging.rejected(try fixture.begin(), .failed, reason: "forbidden")
        try await fixture.overwrite("x.fastshot", [1])
        #expect(fixture.staging.sendable(limit: 9).count == 1)
    }

    @Test func anUploadInPartsIsRemembered() throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", bytes)
        let progress = MultipartProgress(uploadID: "u1", key: "sessions/x.fastshot", partSize: 8 << 20)
        try fixture.staging.note(try fixture.begin(), multipart: progress)
        try fixture.kill()
        #expect(fixture.staging.change(id: id)?.multipart == progress)
        #expect(try fixture.begin(id).multipart == progress)
    }

    @Test func partsOfSupersededContentsAreGivenUp() async throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        let progress = MultipartProgress(uploadID: "u1", key: "sessions/x.fastshot", partSize: 8 << 20)
        let change = try fixture.begin()
        try fixture.staging.note(change, multipart: progress)
        try await fixture.overwrite("x.fastshot", [1])
        // It may complete still.
        #expect(fixture.staging.abandonedUploads().isEmpty)
        fixture.staging.postponed(change, reason: "no network")
        #expect(fixture.staging.abandonedUploads() == [progress])
        try fixture.kill()
        #expect(fixture.staging.abandonedUploads() == [progress])
        #expect(try fixture.begin().multipart == nil)
        fixture.staging.forgotten([progress])
        #expect(fixture.staging.abandonedUploads().isEmpty)
        try fixture.kill()
        #expect(fixture.staging.abandonedUploads().isEmpty)
    }

    @Test func partsOfARemovedFileAreGivenUp() throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        let progress = MultipartProgress(uploadID: "u1", key: "sessions/x.fastshot", partSize: 8 << 20)
        let change = try fixture.begin()
        try fixture.staging.note(change, multipart: progress)
        fixture.staging.postponed(change, reason: "no network")
        _ = try fixture.staging.remove("x.fastshot")
        #expect(fixture.staging.abandonedUploads() == [progress])
    }

    @Test func anUploadThatCompletedLeavesNoParts() async throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        let change = try fixture.begin()
        try await fixture.overwrite("x.fastshot", [1])
        // It begins, goes on and ends while other contents are wanted already.
        let progress = MultipartProgress(uploadID: "u1", key: "sessions/x.fastshot", partSize: 8 << 20)
        try fixture.staging.note(change, multipart: progress)
        #expect(fixture.staging.abandonedUploads().isEmpty)
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        try fixture.staging.note(change, multipart: nil)
        try fixture.staging.sent([fixture.sent(change)])
        #expect(fixture.staging.abandonedUploads().isEmpty)
        // As when it is killed in the middle.
        let next = try fixture.begin()
        try await fixture.overwrite("x.fastshot", [2])
        try fixture.staging.note(next, multipart: progress)
        try fixture.kill()
        #expect(fixture.staging.abandonedUploads() == [progress])
    }

    /// An upload whose answer was lost, of a session that the catalog never heard of, and a refresh that meets it
    /// just before it is taken away again.
    @Test(arguments: ["y.fastshot", nil]) func aRefreshFromBeforeDoesNotBringBackWhatWasSentInVain(
        newName: String?
    ) async throws {
        let fixture = try StagingFixture()
        try fixture.save("x.fastshot", bytes)
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(fixture.begin(), stopping: 1)
        try fixture.kill()
        if let newName {
            _ = try fixture.staging.rename("x.fastshot", to: newName, replacing: true)
        } else {
            _ = try fixture.staging.remove("x.fastshot")
        }
        var refresh = Sighting(since: try fixture.base.catalog.writeMark())
        let met = try #require(fixture.info("x.fastshot"))
        try fixture.sendAll()
        #expect(fixture.bucket("x.fastshot") == nil)
        let facts = ObjectFacts(size: met.size, etag: met.etag)
        _ = try fixture.base.catalog.apply([.object(fileName: "x.fastshot", facts)], sighting: &refresh)
        #expect(try fixture.names() == [newName].compactMap { $0 })
        // What somebody else puts there later is shown.
        _ = try fixture.base.catalog.apply([.object(fileName: "x.fastshot", facts)])
        #expect(try fixture.names().contains("x.fastshot"))
    }

    @Test func thePublisherHearsWhenThereIsWork() throws {
        let fixture = try StagingFixture()
        let calls = Guarded<Int>(0)
        fixture.staging.onReady { calls.withLock { $0 += 1 } }
        let before = calls.withLock { $0 }
        try fixture.save("x.fastshot", bytes)
        #expect(calls.withLock { $0 } > before)
    }

    @Test func ofAllThatFlushAtOnceEveryOneIsDurable() async throws {
        let fixture = try StagingFixture()
        let staging = fixture.staging
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<24 {
                group.addTask {
                    let file = try staging.create("\(number).fastshot")
                    try file.write(pattern(500, seed: UInt64(number)).span.bytes, at: 0)
                    try file.flush()
                    file.close()
                }
            }
            try await group.waitForAll()
        }
        try fixture.kill()
        for number in 0..<24 {
            #expect(try fixture.reads("\(number).fastshot", pattern(500, seed: UInt64(number))))
        }
        #expect(fixture.staging.counts.pending == 24)
    }
}
