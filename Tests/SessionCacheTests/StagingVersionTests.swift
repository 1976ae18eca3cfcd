import Catalog
import Glibc
import Platform
import Testing

@testable import SessionCache

/// Which version of a session a change goes out from: what the program or the user had before him, and no later one
/// that somebody else has made meanwhile.
@Suite(.timeLimit(.minutes(2))) struct StagingVersionTests {
    private let first = pattern(5000)
    private let second = pattern(6000)

    /// Somebody replaces a session, and the catalog learns of it.
    private func replace(_ fileName: String, _ bytes: [UInt8], _ fixture: StagingFixture) throws {
        fixture.base.store.set(SessionCache.keyPrefix + fileName, bytes, etag: "auto", contentMD5: "auto")
        let info = try require_(fixture.info(fileName))
        _ = try fixture.base.catalog.apply([
            .object(fileName: fileName, ObjectFacts(size: info.size, etag: info.etag))
        ])
    }

    @Test func aFileThatIsRenamedWhileItIsOpen() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", first)
        let opened = fixture.bucket("x.fastshot")?.etag
        let file = try await fixture.edit(id)
        try replace("x.fastshot", second, fixture)
        try #require(fixture.bucket("x.fastshot")?.etag != opened)
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        try file.write([UInt8]([1]).span.bytes, at: 0)
        try file.flush()
        file.close()
        let change = try #require(fixture.staging.change(id: id))
        #expect(change.name == "y.fastshot" && change.remoteName == "x.fastshot" && change.content?.size == 5000)
        #expect(change.remote?.etag == opened)
    }

    /// A file that nobody has open is renamed as it is shown.
    @Test func aFileThatIsNotOpen() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", first)
        try await fixture.edit(id).close()
        try replace("x.fastshot", second, fixture)
        _ = try fixture.staging.rename("x.fastshot", to: "y.fastshot", replacing: false)
        #expect(fixture.staging.change(id: id)?.remote?.etag == fixture.bucket("x.fastshot")?.etag)
    }

    @Test func aFileThatIsOpenBecomesOneOfThisMachine() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", first)
        let file = try await fixture.edit(id)
        try file.write([UInt8]([1]).span.bytes, at: 5000)
        await fixture.base.cache.lanes.diskIsIdle()
        _ = try fixture.staging.rename("x.fastshot", to: "x~", replacing: false)
        try file.flush()
        file.close()
        #expect(try fixture.reads("x~", first + [1]))
        #expect(try fixture.names() == ["x~"])
    }

    /// What is removed from the bucket has to be what is kept here.
    @Test func aSessionThatIsReplacedWhileItBecomesAFileOfThisMachine() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", first)
        _ = try await fixture.base.cache.wholeBody(id: id)
        await fixture.base.cache.lanes.diskIsIdle()
        let staging = fixture.staging
        let outcome = Guarded<Result<Staging.Renamed, StagingError>?>(nil)
        // A copy of the cached body needs a name for its file, for which it waits here.
        let renaming = try staging.core.withLock { _ in
            let renaming = WorkerThread(name: "rename") {
                do throws(StagingError) {
                    let done = try staging.rename("x.fastshot", to: "x.fastshot~", replacing: false)
                    outcome.withLock { $0 = .success(done) }
                } catch { outcome.withLock { $0 = .failure(error) } }
            }
            usleep(500_000)
            try replace("x.fastshot", second, fixture)
            return renaming
        }
        renaming.join()
        guard case .failure(let error) = outcome.withLock({ $0 }) else {
            let change = try #require(staging.change(id: id))
            let path = try #require(change.content?.path)
            #expect(try Files.read(path) == second, "the new version is removed, and what is kept is the old one")
            return
        }
        #expect(error.kind == .crossDevice)
        #expect(staging.changes().isEmpty)
        #expect(try Files.names(in: fixture.directory + "/staging").isEmpty)
    }

    /// A program goes on with a file that was removed, and the removal is refused: what is written to the session that
    /// is back has nothing to do with that.
    @Test func aFileWithoutANameIsNotTheOneThatIsBack() async throws {
        let fixture = try StagingFixture()
        let id = try await fixture.base.add("x.fastshot", first)
        let source = try await fixture.base.cache.wholeBody(id: id)
        _ = try fixture.staging.remove("x.fastshot")
        let nameless = try fixture.staging.openNameless(id: id, copying: source)
        let again = try fixture.staging.openNameless(id: id, copying: source)
        try nameless.write([UInt8]([7]).span.bytes, at: 0)
        #expect(try again.descriptor.read(at: 0, count: 1) == [7])
        let reader = try require_(fixture.staging.openContents(id: id))
        #expect(try reader.descriptor.read(at: 0, count: 1) == [7])
        let change = try fixture.begin(id)
        try fixture.staging.undone(change, reason: "refused")
        #expect(try fixture.listing().map(\.size) == [5000])
        #expect(try fixture.staging.openContents(id: id) == nil)
        let file = try await fixture.edit(id, truncating: true)
        try file.write([UInt8]([1, 2]).span.bytes, at: 0)
        try file.flush()
        file.close()
        #expect(fixture.staging.change(id: id)?.content?.size == 2)
        #expect(try fixture.reads("x.fastshot", [1, 2]))
        try nameless.write([UInt8]([8]).span.bytes, at: 0)
        nameless.close()
        again.close()
        #expect(try fixture.reads("x.fastshot", [1, 2]))
        #expect(try Files.names(in: fixture.directory + "/staging").count == 1)
    }
}
