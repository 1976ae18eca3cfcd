import Catalog
import ObjectStore
import Platform
import SessionFormat
import TestSupport
import Testing

@testable import SessionCache
@testable import Sync

/// The line goes in the middle of a job, something else is wanted by then, and somebody else has changed the session:
/// what the job has left in the bucket comes in order all the same.
@Suite(.timeLimit(.minutes(2))) struct PublishLeftoverTests {
    /// Sends until right after a request, and stays offline.
    private func send(_ rig: PublishRig, until verb: StoreVerb, _ key: String) async {
        rig.meddled.once(verb, key, before: false) { rig.connectivity.force(true) }
        _ = await rig.flush()
    }

    private func goOn(_ rig: PublishRig) async {
        rig.connectivity.force(false)
        _ = await rig.flush()
    }

    /// An edit is cut off right behind its index, and edited once more. What somebody does in between came before that
    /// index.
    private func cutOffAfterTheIndex(_ somebody: (PublishRig) -> Void) async throws -> PublishRig {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try await rig.save(fileName(1), session(1, "second"))
        await send(rig, until: .put, indexKey(1))
        try await rig.save(fileName(1), session(1, "third"))
        let index = rig.bucket.peek(indexKey(1))
        somebody(rig)
        rig.bucket.set(indexKey(1), try #require(index))
        await goOn(rig)
        return rig
    }

    /// The user gives up what could not be sent and edits the session once more: nothing that was found out of the first
    /// contents is taken for the second ones'.
    @Test func whatWasGivenUpTellsNothingOfTheNext() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<2)
        let id = try await rig.save(fileName(1), session(1, "given up"))
        rig.store.inject(.fail(.lost), verb: .put, key: bodyKey(1), times: 1000)
        #expect(await rig.flush(timeout: 0.5).count == 1)
        _ = try rig.staging.discard(id: id)
        rig.store.clearFaults()
        try await rig.save(fileName(1), session(1, "kept"))
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "kept"))
        #expect(rig.index(1)?.metadata.desc == "kept")
        #expect(rig.disorder == [])
    }

    /// Somebody's removal came between our body and our index.
    @Test func anIndexBesideNoBody() async throws {
        let rig = try await cutOffAfterTheIndex { $0.somebodyRemoves(1) }
        #expect(try rig.staging.conflicts(includingDecided: false).map(\.kind) == [.editedRemoved])
        #expect(rig.disorder == [])
    }

    /// Somebody's edit came between our body and our index.
    @Test func anIndexBesideSomebodysBody() async throws {
        let rig = try await cutOffAfterTheIndex { $0.somebodySaves(1, "theirs") }
        #expect(try rig.staging.conflicts(includingDecided: false).map(\.kind) == [.edited])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.index(1)?.metadata.desc == "theirs")
        #expect(rig.disorder == [])
    }

    /// The process dies there, and the clock is set back before the next one goes on.
    @Test func anIndexOfAProcessWhoseClockWasAhead() async throws {
        let (directory, bucket) = (try TemporaryDirectory(), MemoryStore())
        let first = try PublishRig(bucket: bucket, directory: directory)
        try await first.published(1..<3)
        let id = try await first.save(fileName(1), session(1, "second"))
        await send(first, until: .put, indexKey(1))
        try first.staging.commit { core throws(TableError) in
            guard var row = core.table.rows[id] else { return }
            row.change.changed = .now.later(by: 86_400)
            core.table.put(row)
        }
        first.staging.close()
        let index = try #require(bucket.peek(indexKey(1)))
        let next = try PublishRig(bucket: bucket, directory: directory)
        next.somebodySaves(1, "theirs")
        bucket.set(indexKey(1), index)
        _ = await next.flush()
        #expect(try next.staging.conflicts(includingDecided: false).map(\.kind) == [.edited])
        #expect(next.index(1)?.metadata.desc == "theirs")
        #expect(next.disorder == [])
    }

    /// A new session is removed before it was sent as a whole, and somebody has put another one there.
    @Test func anIndexOfASessionThatIsNotWantedAnyMore() async throws {
        let rig = try PublishRig()
        try await rig.published(2..<3)
        try await rig.save(fileName(1), session(1))
        await send(rig, until: .put, indexKey(1))
        _ = try rig.staging.remove(fileName(1))
        let index = rig.bucket.peek(indexKey(1))
        rig.somebodySaves(1, "theirs")
        rig.bucket.set(indexKey(1), try #require(index))
        await goOn(rig)
        #expect(rig.staging.changes() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.disorder == [])
    }

    /// A copy under the new name is there, and the session has changed under the old one. Somebody may have taken the
    /// copy for his own by now: it stays, as a session like others.
    @Test(arguments: [false, true]) func aCopyOfASessionThatHasChanged(_ isRemoved: Bool) async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        _ = try rig.staging.rename(fileName(1), to: fileName(9), replacing: false)
        await send(rig, until: .put, indexKey(9))
        #expect(rig.bucket.peek(bodyKey(9)) == session(1))
        if isRemoved {
            rig.somebodyRemoves(1)
            rig.bucket.unset(bodyKey(9))
        } else {
            rig.somebodySaves(1, "theirs")
        }
        await goOn(rig)
        #expect(try rig.staging.conflicts(includingDecided: false).map(\.kind) == [.renamed])
        #expect(rig.bucket.peek(bodyKey(1)) == (isRemoved ? nil : session(1, "theirs")))
        #expect(rig.bucket.peek(bodyKey(9)) == (isRemoved ? nil : session(1)))
        #expect(rig.disorder == [])
    }

    /// A removal has taken the row away, and the user has made the session anew.
    @Test func aRowThatARemovalTookAwayWhichIsNotWantedAnyMore() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        _ = try rig.staging.remove(fileName(1))
        await send(rig, until: .delete, indexKey(1))
        #expect(rig.row(1) == nil)
        try await rig.save(fileName(1), session(1, "mine"))
        // Whose row went with that of the body before.
        rig.bucket.set(bodyKey(1), session(1, "theirs"))
        await goOn(rig)
        #expect(try rig.staging.conflicts(includingDecided: false).map(\.kind) == [.edited])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.disorder == [])
    }

    // MARK: Sessions that others have replaced

    /// Replaced by somebody who died before his index, as the catalog has learnt.
    private func overtaken() async throws -> PublishRig {
        let rig = try PublishRig()
        try await rig.published(1..<4)
        rig.bucket.set(bodyKey(1), session(1, "theirs"))
        rig.bucket.unset(indexKey(1))
        let info = try await rig.bucket.head(bodyKey(1))
        _ = try rig.catalog.apply([
            .object(fileName: fileName(1), ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified))
        ])
        rig.publisher.objectsChanged()
        return rig
    }

    @Test func aSessionThatIsRemovedWhileItIsGivenAnIndex() async throws {
        let rig = try await overtaken()
        rig.meddled.once(.put, indexKey(1)) { rig.somebodyRemoves(1) }
        await rig.publisher.watch.look(rig.publisher.writer, rig.publisher.context)
        #expect(rig.bucket.peek(bodyKey(1)) == nil)
        #expect(rig.disorder == [])
    }

    @Test func aSessionThatIsMadeAnewWhileItsIndexIsTakenAway() async throws {
        let rig = try await overtaken()
        rig.meddled.once(.put, indexKey(1)) { rig.somebodyRemoves(1) }
        rig.meddled.once(.delete, indexKey(1)) { rig.somebodySaves(1, "anew") }
        await rig.publisher.watch.look(rig.publisher.writer, rig.publisher.context)
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "anew"))
        #expect(rig.disorder == [])
    }

    @Test func aSessionThatIsReplacedAgainWhileItIsGivenARow() async throws {
        let rig = try await overtaken()
        rig.meddled.once(.put, "overall_meta.json") { rig.bucket.set(bodyKey(1), session(1, "others")) }
        await rig.publisher.watch.look(rig.publisher.writer, rig.publisher.context)
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "others"))
        #expect(rig.disorder == [])
    }
}
