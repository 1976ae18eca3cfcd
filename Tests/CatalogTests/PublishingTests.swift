import Catalog
import Foundation
import Platform
import SessionFormat
import Testing

/// What this machine writes to the bucket, and what refreshes from before it say then.
@Suite struct PublishingTests {
    let directory = TemporaryDirectory()
    let catalog: Catalog

    init() throws { catalog = try Catalog.open(directory: directory.path) }

    private let metadata = SessionMetadata(
        name: "n", desc: "d", tags: ["a"], color: "red", sessionClass: "c", imageCount: 3,
        createdAt: "2026-11-21T02:05:32", fileSize: 10)

    private func session(
        _ id: Int64, _ number: Int, size: UInt64 = 10, etag: String = "mine", md5: String? = nil,
        uploaded: Int64 = 2_000_000_000, metadata: SessionMetadata? = nil, indexETag: String? = "i"
    ) -> PublishedSession {
        PublishedSession(
            id: id, fileName: name(number),
            facts: ObjectFacts(size: size, etag: etag, contentMD5: md5, uploaded: Timestamp(seconds: uploaded)),
            sha256: hex("c", 64), metadata: metadata, indexETag: indexETag)
    }

    private func entry(_ number: Int) throws -> SessionEntry? { try catalog.entry(fileName: name(number)) }

    // MARK: Ids

    @Test func reservedIDsAreNobodyElses() throws {
        var seen: Set<Int64> = []
        for number in 0..<200 {
            seen.insert(try catalog.reserveID())
            seen.insert(try #require(try catalog.apply(objects(number..<number + 1)).added.first?.id))
        }
        #expect(seen.count == 400)
        #expect(seen.allSatisfy { $0 > 0 })
        // Neither after a restart, although none of them was ever used.
        catalog.close()
        let again = try Catalog.open(directory: directory.path)
        #expect(!seen.contains(try again.reserveID()))
        #expect(!seen.contains(try #require(try again.apply(objects(900..<901)).added.first?.id)))
    }

    @Test func idsOfTwoProcessesDiffer() throws {
        let other = try Catalog.open(directory: directory.path)
        let mine = try (0..<100).map { _ in try catalog.reserveID() }
        let theirs = try (0..<100).map { _ in try other.reserveID() }
        #expect(Set(mine).isDisjoint(with: theirs))
    }

    @Test(arguments: [false, true]) func idsBeginBehindTheOnesInUseElsewhere(_ hasReserved: Bool) throws {
        if hasReserved { _ = try catalog.reserveID() }
        try catalog.reserveIDs(above: 5000)
        #expect(try catalog.reserveID() > 5000)
        #expect(try #require(try catalog.apply(objects(0..<1)).added.first?.id) > 5000)
        try catalog.reserveIDs(above: 7)
        #expect(try catalog.reserveID() > 5000)
    }

    // MARK: Published

    @Test func aPublishedSessionIsKnownWhole() throws {
        let id = try catalog.reserveID()
        _ = try catalog.apply(objects(0..<3))
        let delta = try catalog.published([session(id, 7, md5: hex("a"), metadata: metadata)])
        #expect(delta.added == [.init(id: id, fileName: name(7))])
        #expect(delta.removed.isEmpty && delta.changed.isEmpty)
        let found = try #require(try entry(7))
        #expect(found.id == id)
        #expect(found.size == 10)
        #expect(found.etag == "mine")
        #expect(found.contentMD5 == hex("a"))
        #expect(found.sha256 == hex("c", 64))
        #expect(found.uploaded == Timestamp(seconds: 2_000_000_000))
        #expect(found.indexState == .known)
        #expect(try catalog.metadata(id: id) == metadata)
        let index = MetadataIndex(
            fileName: name(7), metadata: metadata, createdAt: metadata.createdAt, lastUpdated: metadata.createdAt)
        #expect(try catalog.indexBytes(id: id) == index.encode())
        #expect(UInt64(index.encode().count) == found.indexSize)
        #expect(try catalog.counts.sessions == 4)
        #expect(try catalog.validate().isSound)
        #expect(try catalog.scanned().map(\.id) == catalog.scanned().map(\.id).sorted())
    }

    @Test func whatItsRowAndTheListingSayThenIsNoNews() throws {
        let id = try catalog.reserveID()
        _ = try catalog.published([session(id, 7, md5: hex("a"), metadata: metadata)])
        let uploaded = Timestamp(seconds: 2_000_000_000)
        let facts = ObjectFacts(size: 10, etag: "mine", contentMD5: hex("a"), uploaded: uploaded)
        let created = "2033-05-18T03:33:20+00:00"
        let delta = try catalog.apply([
            row(7, size: 10, md5: hex("a"), created: created, metadata: metadata),
            .object(fileName: name(7), facts), .listedIndex(fileName: name(7), etag: "i"),
        ])
        #expect(delta.isEmpty)
        #expect(try catalog.unknownIndexes(after: 0, limit: 5).isEmpty)
    }

    @Test func withoutMetadataTheIndexIsMissingOrToBeRead() throws {
        let ids = [try catalog.reserveID(), try catalog.reserveID()]
        _ = try catalog.published([session(ids[0], 1, indexETag: nil), session(ids[1], 2, indexETag: "i")])
        #expect(try entry(1)?.indexState == .missing)
        #expect(try entry(2)?.indexState == .unknown)
        #expect(try catalog.unknownIndexes(after: 0, limit: 5).map(\.id) == [ids[1]])
    }

    @Test func anEditChangesTheSessionInPlace() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a"), metadata: metadata)])
        let id = try #require(try entry(1)?.id)
        var newer = metadata
        newer.name = "another"
        let edited = session(id, 1, md5: hex("b"), metadata: newer)
        let delta = try catalog.published([edited])
        #expect(delta == CatalogDelta(changed: [id]))
        #expect(try entry(1)?.contentMD5 == hex("b"))
        #expect(try catalog.metadata(id: id) == newer)
        #expect(try catalog.published([edited]).isEmpty)
    }

    @Test func anEditForgetsTheDigestsOfTheOlderVersion() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a"))])
        let id = try #require(try entry(1)?.id)
        var edited = session(id, 1, size: 7, etag: "e2")
        edited.sha256 = nil
        _ = try catalog.published([edited])
        #expect(try entry(1)?.contentMD5 == nil)
        #expect(try entry(1)?.etag == "e2")
    }

    @Test func aStaleRowOfAnEditedSessionIsNotBelieved() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a"), metadata: metadata)])
        let id = try #require(try entry(1)?.id)
        var newer = metadata
        newer.name = "another"
        _ = try catalog.published([session(id, 1, size: 9, md5: hex("b"), metadata: newer)])
        // Somebody writes an overall file from before the edit: with the row as it was, and with one from still earlier.
        for stale in [
            row(1, size: 7, md5: hex("a"), metadata: metadata),
            row(1, size: 5, md5: hex("9"), created: "2026-01-01T00:00:00+00:00", metadata: metadata),
        ] {
            #expect(try catalog.apply([stale]).isEmpty)
            #expect(try entry(1)?.size == 9)
            #expect(try catalog.metadata(id: id) == newer)
        }
        // A later one is news.
        #expect(
            try catalog.apply([row(1, size: 11, md5: hex("d"), created: "2034-01-01T00:00:00+00:00")]).changed == [id])
        #expect(try entry(1)?.size == 11)
    }

    @Test func anOldRowOfTheSameObjectStillBringsItsMetadata() throws {
        let listed = ObjectFacts(size: 7, etag: hex("a"), uploaded: Timestamp(seconds: 2_000_000_000))
        _ = try catalog.apply([.object(fileName: name(1), listed)])
        _ = try catalog.apply([row(1, size: 7, md5: hex("a"), metadata: metadata)])
        #expect(try entry(1)?.indexState == .known)
    }

    @Test func anotherSessionOfTheNameGivesWay() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a"))])
        let old = try #require(try entry(1)?.id)
        let id = try catalog.reserveID()
        let delta = try catalog.published([session(id, 1, metadata: metadata)])
        #expect(delta.removed == [.init(id: old, fileName: name(1))])
        #expect(delta.added == [.init(id: id, fileName: name(1))])
        #expect(try catalog.scanned().map(\.id) == [id])
        // The replaced session's row does not count for the new one.
        #expect(try catalog.apply([row(1, size: 7, md5: hex("a"))]).isEmpty)
        #expect(try entry(1)?.size == 10)
    }

    @Test func aNameThatWasRefutedIsBack() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a"))])
        _ = try catalog.remove(id: try #require(try entry(1)?.id))
        #expect(try catalog.statistics().refutedRows == 1)
        let id = try catalog.reserveID()
        _ = try catalog.published([session(id, 1, metadata: metadata)])
        #expect(try catalog.statistics().refutedRows == 0)
        #expect(try catalog.apply([row(1, size: 7, md5: hex("a"))]).isEmpty)
        #expect(try entry(1)?.size == 10)
    }

    @Test func aRenamedSessionKeepsItsID() throws {
        _ = try catalog.apply([row(1, size: 10, md5: hex("a"), metadata: metadata)])
        let id = try #require(try entry(1)?.id)
        let delta = try catalog.published([session(id, 2, etag: hex("a"), md5: hex("a"), metadata: metadata)])
        #expect(delta.removed == [.init(id: id, fileName: name(1))])
        #expect(delta.added == [.init(id: id, fileName: name(2))])
        #expect(try entry(1) == nil)
        #expect(try entry(2)?.id == id)
        let index = MetadataIndex(
            fileName: name(2), metadata: metadata, createdAt: metadata.createdAt, lastUpdated: metadata.createdAt)
        #expect(try catalog.indexBytes(id: id) == index.encode())
        // The old name's row, when somebody writes it again, brings nothing back.
        #expect(try catalog.apply([row(1, size: 10, md5: hex("a"), metadata: metadata)]).isEmpty)
        #expect(try catalog.scanned().map(\.name) == [name(2)])
        #expect(try catalog.validate().isSound)
    }

    @Test func namesCanBeExchanged() throws {
        _ = try catalog.apply(objects(1..<4))
        let ids = try (1..<4).map { try #require(try entry($0)?.id) }
        _ = try catalog.published([
            session(ids[0], 2, etag: "a"), session(ids[1], 3, etag: "b"), session(ids[2], 1, etag: "c"),
        ])
        #expect(try (1..<4).map { try entry($0)?.id } == [ids[2], ids[0], ids[1]])
        #expect(try catalog.counts.sessions == 3)
    }

    @Test func anIDFromAnOlderDatabaseIsTaken() throws {
        try catalog.reserveIDs(above: 1_000_000)
        _ = try catalog.apply(objects(0..<1))
        _ = try catalog.published([session(17, 5, metadata: metadata)])
        #expect(try entry(5)?.id == 17)
        #expect(try catalog.scanned().first?.id == 17)
    }

    @Test func aDatabaseOfTheSchemaBeforeIsTakenOver() throws {
        _ = try catalog.apply(objects(0..<3))
        catalog.close()
        try runSQL(directory.database, "DROP TABLE own_write; PRAGMA user_version=1")
        let again = try Catalog.open(directory: directory.path)
        #expect(again.recovered == nil)
        #expect(try again.counts.sessions == 3)
        #expect(try again.published([session(try again.reserveID(), 7)]).added.count == 1)
    }

    // MARK: Unpublished

    @Test func aRemovedSessionStaysAway() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a")), row(2, size: 8, md5: hex("b"))])
        let id = try #require(try entry(1)?.id)
        #expect(try catalog.unpublished([id]).removed == [.init(id: id, fileName: name(1))])
        #expect(try catalog.unpublished([id, 4711]).isEmpty)
        #expect(try catalog.apply([row(1, size: 7, md5: hex("a"))]).isEmpty)
        // Somebody makes one of the name anew.
        let anew = row(1, size: 9, md5: hex("c"), created: "2100-01-01T00:00:00+00:00")
        #expect(try catalog.apply([anew]).added.count == 1)
    }

    /// A client that lists the bucket before a removal and writes its overall file after it.
    @Test func aRowFromBeforeARemovalHasToBeConfirmed() throws {
        _ = try catalog.unpublished([], under: [.init(id: 7, fileName: name(1))])
        let (late, other) = (row(1, size: 9, md5: hex("c")), row(2, size: 8, md5: hex("b")))
        var reading = Sighting(since: try catalog.writeMark())
        #expect(try catalog.apply([late, other], sighting: &reading).added.map(\.fileName) == [name(2)])
        #expect(reading.rowsInDoubt == 1)
        _ = try catalog.finishOverall(reading)
        // The listing does not show it.
        var again = Sighting(since: try catalog.writeMark())
        again.followsListing = true
        #expect(try catalog.apply([late, other], sighting: &again).isEmpty)
        #expect(again.rowsInDoubt == 0)
        #expect(try catalog.finishOverall(again) == 0)
        // That is known from now on.
        var next = Sighting(since: try catalog.writeMark())
        #expect(try catalog.apply([late, other], sighting: &next).isEmpty)
        #expect(next.rowsInDoubt == 0)
        // A listing that shows it is right.
        #expect(try catalog.apply(objects(1..<2)).added.count == 1)
    }

    /// A client that saw the version before this machine's, which is of the same second.
    @Test func aRowOfTheSameSecondHasToBeConfirmed() throws {
        let time = "2023-11-14T22:13:20+00:00"
        _ = try catalog.published([session(try catalog.reserveID(), 1, size: 10, uploaded: 1_700_000_000)])
        _ = try catalog.apply([row(1, size: 10, md5: hex("b"), created: time)])
        let late = row(1, size: 9, md5: hex("a"), created: time)
        var reading = Sighting(since: try catalog.writeMark())
        #expect(try catalog.apply([late], sighting: &reading).changed.isEmpty)
        #expect(reading.rowsInDoubt == 1)
        var again = Sighting(since: try catalog.writeMark())
        again.followsListing = true
        #expect(try catalog.apply([late], sighting: &again).changed.isEmpty)
        #expect(again.rowsInDoubt == 0)
        #expect(try entry(1)?.size == 10)
    }

    // MARK: Passes from before

    @Test func aListingFromBeforeDoesNotDropWhatWasPublishedMeanwhile() throws {
        let early = try catalog.reserveID()
        _ = try catalog.apply(objects(0..<100))
        let mark = try catalog.writeMark()
        var listing = Sighting(since: mark)
        let bound = try catalog.lastID()
        _ = try catalog.apply(objects(0..<50), sighting: &listing)
        _ = try catalog.published([session(early, 500, metadata: metadata)])
        _ = try catalog.apply(objects(50..<100), sighting: &listing)
        #expect(try catalog.finishListing(listing, bound: bound).isEmpty)
        #expect(try entry(500)?.id == early)
        // Nor does the listing of indexes take its metadata.
        var indexes = Sighting(since: mark)
        for number in 0..<100 {
            _ = try catalog.apply([.listedIndex(fileName: name(number), etag: nil)], sighting: &indexes)
        }
        #expect(try catalog.finishIndexListing(indexes, bound: try catalog.lastID()).isEmpty)
        #expect(try entry(500)?.indexState == .known)
        // One that begins now does.
        let fresh = Sighting(since: try catalog.writeMark())
        #expect(try catalog.finishListing(fresh, bound: try catalog.lastID()).removed.count == 101)
    }

    @Test func aListingFromBeforeNeitherChangesNorBringsBack() throws {
        _ = try catalog.apply(objects(1..<4))
        let ids = try (1..<4).map { try #require(try entry($0)?.id) }
        var pass = Sighting(since: try catalog.writeMark())
        _ = try catalog.published([
            session(ids[0], 1, md5: hex("a"), metadata: metadata), session(ids[1], 20, md5: hex("b")),
        ])
        _ = try catalog.unpublished([ids[2]])
        let before = try catalog.scanned().map(\.name)
        let delta = try catalog.apply(
            objects(1..<4) + [
                row(1, size: 2, md5: hex("e")), row(2, size: 3, md5: hex("e")), row(3, size: 4, md5: hex("e")),
                .listedIndex(fileName: name(1), etag: "old"), .index(id: ids[0], .missing), .gone(id: ids[0]),
            ], sighting: &pass)
        #expect(delta.isEmpty)
        #expect(try catalog.scanned().map(\.name) == before)
        #expect(try entry(1)?.contentMD5 == hex("a"))
        #expect(try catalog.metadata(id: ids[0]) == metadata)
        #expect(try catalog.finishListing(pass, bound: try catalog.lastID()).isEmpty)
        // What others say of other sessions it takes.
        #expect(try catalog.apply(objects(9..<10), sighting: &pass).added.count == 1)
        // The same things said later are news.
        var later = Sighting(since: try catalog.writeMark())
        #expect(!(try catalog.apply(objects(1..<4), sighting: &later).isEmpty))
    }

    @Test func anOverallFileFromBeforeDoesNotForget() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a")), row(2, size: 7, md5: hex("b"))])
        let ids = try (1..<3).map { try #require(try entry($0)?.id) }
        let id = try catalog.reserveID()
        let pass = Sighting(since: try catalog.writeMark())
        _ = try catalog.published([session(id, 3, md5: hex("d")), session(ids[0], 1, md5: hex("e"))])
        _ = try catalog.unpublished([ids[1]])
        #expect(try catalog.finishOverall(pass) == 0)
        // The removed session's row is still known for what it is.
        #expect(try catalog.apply([row(2, size: 7, md5: hex("b"))]).isEmpty)
        #expect(try entry(2) == nil)
    }

    @Test func whatAnOldAnswerSaysOfARenamedSessionIsNotHeard() throws {
        _ = try catalog.apply(objects(1..<2))
        let id = try #require(try entry(1)?.id)
        let mark = try catalog.writeMark()
        _ = try catalog.published([session(id, 2, metadata: metadata)])
        #expect(try catalog.remove(id: id, fileName: name(1), since: mark).isEmpty)
        #expect(try catalog.update(id: id, facts: ObjectFacts(size: 99), fileName: name(2), since: mark).isEmpty)
        #expect(try catalog.update(id: id, facts: ObjectFacts(size: 99), fileName: name(1)).isEmpty)
        #expect(try entry(2)?.size == 10)
        let now = try catalog.writeMark()
        #expect(try catalog.remove(id: id, fileName: name(2), since: now).removed.count == 1)
    }

    @Test func anotherProcessHearsOfIt() throws {
        let reader = try Catalog.open(directory: directory.path)
        _ = try catalog.apply(objects(0..<2))
        _ = try reader.othersChangedSessions()
        let early = try catalog.reserveID()
        _ = try catalog.apply(objects(2..<3))
        let pass = Sighting(since: try reader.writeMark())
        let bound = try reader.lastID()
        _ = try catalog.published([session(early, 9)])
        #expect(try reader.othersChangedSessions())
        #expect(try reader.finishListing(pass, bound: bound).removed.count == 3)
        #expect(try reader.entry(fileName: name(9))?.id == early)
    }

    @Test func aPassFromBeforeANewDatabaseDoesNoHarm() throws {
        for number in 0..<20 { _ = try catalog.published([session(try catalog.reserveID(), number)]) }
        let pass = Sighting(since: try catalog.writeMark())
        try FileManager.default.removeItem(atPath: directory.path)
        try Files.makePrivateDirectory(directory.path)
        let id = try catalog.reserveID()
        _ = try catalog.published([session(id, 30)])
        #expect(try catalog.finishListing(pass, bound: .max).isEmpty)
        #expect(try entry(30)?.id == id)
    }

    // MARK: Rows for scans

    @Test func aRowMadeByHandIsLikeOneOfAScan() throws {
        let text = CatalogRow.with(
            id: 5, size: 6, modified: Timestamp(seconds: 7), indexSize: 8, fileName: Array("é.fastshot".utf8)
        ) { row in
            let name = row.withFileName { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
            return row.with(size: 60, modified: Timestamp(seconds: 70), indexSize: 0) { other in
                let again = other.withFileName { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
                return "\(row.id) \(row.size) \(row.modifiedNanoseconds) \(row.indexSize) \(name) "
                    + "\(other.id) \(other.size) \(other.modifiedNanoseconds) \(other.indexSize) \(again)"
            }
        }
        #expect(text == "5 6 7000000000 8 é.fastshot 5 60 70000000000 0 é.fastshot")
        #expect(
            CatalogRow.with(id: 1, size: 0, modified: Timestamp(seconds: 0), indexSize: 0, fileName: []) { row in
                row.withFileName { $0.byteCount }
            } == 0)
    }
}
