import Catalog
import Foundation
import Platform
import SessionFormat
import Testing

/// Who is believed: the store, the overall file, the index.
@Suite struct LearningTests {
    let directory = TemporaryDirectory()
    let catalog: Catalog

    init() throws { catalog = try Catalog.open(directory: directory.path) }

    private func id() throws -> Int64 { try #require(try catalog.entry(fileName: name(1))?.id) }
    private func entry() throws -> SessionEntry { try #require(try catalog.entry(fileName: name(1))) }
    private func listed(_ size: UInt64, _ etag: String?, md5: String? = nil) -> CatalogChange {
        .object(fileName: name(1), ObjectFacts(size: size, etag: etag, contentMD5: md5))
    }

    @Test func rowAloneIsBelieved() throws {
        let delta = try catalog.apply([row(1, size: 7, md5: hex("a"))])
        #expect(delta.added.map(\.fileName) == [name(1)])
        let found = try entry()
        #expect(found.size == 7)
        #expect(found.etag == hex("a"))
        #expect(found.contentMD5 == hex("a"))
        #expect(found.uploaded == Timestamp.utc(year: 2026, month: 11, day: 21, hour: 2, minute: 5, second: 32))
        #expect(found.indexState == .unknown)
        #expect(try catalog.apply([row(1, size: 7, md5: hex("a"))]).isEmpty)
    }

    @Test func etagIsTakenOnlyWhereItIsAnMD5() throws {
        let named = OverallRow(fileName: name(1), fileSize: 7, checksum: .etag(hex("a")))
        _ = try catalog.apply([.row(named, etagIsContentMD5: false)])
        #expect(try entry().etag == nil)
        #expect(try entry().contentMD5 == hex("a"))
    }

    @Test func listingBeatsTheRowUntilTheRowChanges() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a"))])
        #expect(try catalog.apply([listed(9, "new")]).changed == [try id()])
        #expect(try entry().size == 9)
        #expect(try entry().etag == "new")
        #expect(try entry().contentMD5 == nil)
        // The same stale row again, as every refresh of a changed overall file brings it.
        #expect(try catalog.apply([row(1, size: 7, md5: hex("a"))]).isEmpty)
        #expect(try entry().size == 9)
        // Only when its own content is another, it is news.
        #expect(try catalog.apply([row(1, size: 11, md5: hex("b"))]).changed == [try id()])
        #expect(try entry().size == 11)
        #expect(try entry().etag == hex("b"))
    }

    @Test func rowThatComesAfterTheListingAddsOnlyWhatIsMissing() throws {
        _ = try catalog.apply([listed(9, "tag-2")])
        _ = try catalog.apply([row(1, size: 9, sha256: hex("c", 64))])
        #expect(try entry().etag == "tag-2")
        #expect(try entry().sha256 == hex("c", 64))

        let other = name(2)
        _ = try catalog.apply([.object(fileName: other, ObjectFacts(size: 9, etag: "tag"))])
        _ = try catalog.apply([row(2, size: 8, md5: hex("d"))])
        let kept = try #require(try catalog.entry(fileName: other))
        #expect(kept.size == 9)
        #expect(kept.etag == "tag")
        #expect(kept.contentMD5 == nil)
    }

    @Test func agreeingListingChangesNothing() throws {
        _ = try catalog.apply([row(1, size: 7, md5: hex("a"))])
        let uploaded = Timestamp.utc(
            year: 2026, month: 11, day: 21, hour: 2, minute: 5, second: 32, nanoseconds: 123_000_000)
        let facts = ObjectFacts(size: 7, etag: hex("a"), uploaded: uploaded)
        #expect(try catalog.apply([.object(fileName: name(1), facts)]).isEmpty)
    }

    @Test func newVersionForgetsTheOldDigests() throws {
        _ = try catalog.apply([listed(9, "one", md5: hex("a"))])
        let id = try id()
        _ = try catalog.update(id: id, facts: ObjectFacts(size: 9, etag: "two"))
        #expect(try entry().contentMD5 == nil)
        #expect(try entry().etag == "two")
        #expect(try catalog.update(id: 999, facts: ObjectFacts(size: 1)).isEmpty)
    }

    @Test func refutedRowIsNotBelievedAgain() throws {
        var sighting = Sighting()
        _ = try catalog.apply([row(1), row(2)], sighting: &sighting)
        _ = try catalog.remove(id: id())
        #expect(try catalog.statistics().refutedRows == 1)
        // The overall file goes on naming it.
        sighting = Sighting()
        #expect(try catalog.apply([row(1), row(2)], sighting: &sighting).isEmpty)
        #expect(try catalog.finishOverall(sighting) == 0)
        #expect(try catalog.entry(fileName: name(1)) == nil)
        // Uploaded anew under the same name: the row says something else.
        #expect(
            try catalog.apply([row(1, created: "2026-11-22T00:00:00+00:00")]).added.map(\.fileName) == [name(1)])
        // And a listing is believed whatever the row says.
        _ = try catalog.remove(id: id())
        #expect(try catalog.apply([listed(3, "x")]).added.count == 1)
    }

    @Test func refutationGoesWithTheRow() throws {
        _ = try catalog.apply([row(1), row(2)])
        _ = try catalog.remove(id: id())
        var sighting = Sighting()
        _ = try catalog.apply([row(2)], sighting: &sighting)
        _ = try catalog.finishOverall(sighting)
        #expect(try catalog.statistics().refutedRows == 0)
    }

    @Test func vanishedRowsStayUntilAListingRefutesThem() throws {
        _ = try catalog.apply([row(1), row(2), row(3)])
        var sighting = Sighting()
        _ = try catalog.apply([row(2)], sighting: &sighting)
        #expect(try catalog.finishOverall(sighting) == 2)
        #expect(try catalog.counts.sessions == 3)

        let bound = try catalog.lastID()
        var listing = Sighting()
        _ = try catalog.apply(objects(2..<4), sighting: &listing)
        // Learnt while the listing went on: it cannot refute what came behind it.
        _ = try catalog.apply([row(9)])
        let delta = try catalog.finishListing(listing, bound: bound)
        #expect(delta.removed.map(\.fileName) == [name(1)])
        #expect(try catalog.counts.sessions == 3)
        // Not named and there: no reason to list again.
        sighting = Sighting()
        _ = try catalog.apply([row(2), row(9)], sighting: &sighting)
        #expect(try catalog.finishOverall(sighting) == 0)
    }

    // MARK: Indexes

    private let metadata = SessionMetadata(
        name: "n", desc: "d", tags: ["x"], color: "red", sessionClass: "c", imageCount: 2,
        createdAt: "2025-03-04T05:06:07.5", fileSize: 100)

    @Test func rowWithMetadataTeachesEverything() throws {
        let delta = try catalog.apply([row(1, metadata: metadata)])
        #expect(delta.added.count == 1)
        #expect(try entry().indexState == .known)
        #expect(try catalog.metadata(id: id()) == metadata)
        #expect(try catalog.unknownIndexes(after: 0, limit: 10).isEmpty)
        #expect(try catalog.counts.indexed == 1)
        // An older client wrote the file anew and left the key out.
        #expect(try catalog.apply([row(1)]).isEmpty)
        #expect(try catalog.metadata(id: id()) == metadata)
        // The row says something else now.
        var edited = metadata
        edited.desc = "edited"
        #expect(try catalog.apply([row(1, metadata: edited)]).changed == [try id()])
        #expect(try catalog.metadata(id: id()) == edited)
    }

    @Test func foreignIndexKeepsItsBytes() throws {
        _ = try catalog.apply([row(1)])
        #expect(try catalog.unknownIndexes(after: 0, limit: 10).map(\.fileName) == [name(1)])
        let legacy = Array(#"{"name": "old", "tags": "one", "created_at": "2024-01-02T03:04:05"}"#.utf8)
        let index = try MetadataIndex.decode(legacy)
        let delta = try catalog.apply([.index(id: id(), .known(index, bytes: legacy, etag: "i1"))])
        #expect(delta.changed == [try id()])
        #expect(try catalog.indexBytes(id: id()) == legacy)
        #expect(try entry().indexSize == UInt64(legacy.count))
        #expect(try catalog.metadata(id: id())?.name == "old")
        // Metadata that comes later with the row does not beat the object, until the row changes.
        _ = try catalog.apply([row(1, metadata: metadata)])
        #expect(try catalog.metadata(id: id())?.name == "old")
        var edited = metadata
        edited.name = "edited"
        _ = try catalog.apply([row(1, metadata: edited)])
        #expect(try catalog.metadata(id: id())?.name == "edited")
    }

    @Test func listedIndexesDecideWhatIsFetched() throws {
        _ = try catalog.apply(objects(0..<5))
        let ids = try catalog.scanned().map(\.id)
        let bytes = Array("{}".utf8)
        let index = try MetadataIndex.decode(bytes)
        _ = try catalog.apply([
            .index(id: ids[0], .known(index, bytes: bytes, etag: "same")),
            .index(id: ids[1], .known(index, bytes: bytes, etag: "old")), .index(id: ids[2], .missing),
            .index(id: ids[3], .corrupt(reason: "not JSON", etag: "bad")),
        ])
        #expect(try catalog.indexProblem(id: ids[3]) == "not JSON")
        #expect(try catalog.counts.corruptIndexes == 1)
        var sighting = Sighting()
        _ = try catalog.apply(
            [
                .listedIndex(fileName: name(0), etag: "same"), .listedIndex(fileName: name(1), etag: "new"),
                .listedIndex(fileName: name(2), etag: "came"), .listedIndex(fileName: name(3), etag: "bad"),
                .listedIndex(fileName: "stranger.fastshot", etag: "x"),
            ], sighting: &sighting)
        #expect(sighting.takeUnknown().map(\.id) == [ids[1], ids[2]])
        // The fifth was not listed, so it costs no request.
        _ = try catalog.finishIndexListing(sighting, bound: try catalog.lastID())
        #expect(try catalog.unknownIndexes(after: 0, limit: 10).map(\.id) == [ids[1], ids[2]])
        #expect(try catalog.entry(id: ids[4])?.indexState == .missing)
        // What was known of the second is shown until the new one is there.
        #expect(try catalog.indexBytes(id: ids[1]) == bytes)
    }

    @Test func indexThatIsGoneTakesItsMetadataAlong() throws {
        _ = try catalog.apply([row(1), row(2, metadata: metadata)])
        let bytes = Array("{}".utf8)
        _ = try catalog.apply([.index(id: id(), .known(try MetadataIndex.decode(bytes), bytes: bytes, etag: "e"))])
        _ = try catalog.finishIndexListing(Sighting(), bound: try catalog.lastID())
        #expect(try entry().indexState == .missing)
        #expect(try catalog.indexBytes(id: id()) == nil)
        // The row itself carries this one.
        #expect(try catalog.entry(fileName: name(2))?.indexState == .known)
        // A client writes the index before the row, so a row that is new makes one look again.
        _ = try catalog.apply(objects(7..<8))
        let seventh = try #require(try catalog.entry(fileName: name(7))?.id)
        _ = try catalog.apply([.index(id: seventh, .missing)])
        _ = try catalog.apply([row(7, size: 8)])
        #expect(try catalog.entry(id: seventh)?.indexState == .unknown)
    }

    // MARK: Time and names

    /// Anybody may put any name into the bucket.
    @Test(
        arguments: [
            "16770921001243", "16770921120000", "22620411120000", "22620411234717", "28461031000000", "99991231235959",
            "00010101000000",
        ])
    func timesOutsideOfWhatCanBeTold(stamp: String) throws {
        let fileName = "\(stamp)_x.fastshot"
        _ = try catalog.apply([.object(fileName: fileName, ObjectFacts(size: 1))])
        let shown = try #require(try catalog.entry(fileName: fileName)?.modified)
        // The first and the last moment differ by the zone.
        let edge = Timestamp(nanoseconds: stamp < "2000" ? .min : .max)
        #expect(abs(shown.seconds(since: edge)) < 2 * 86_400)
        #expect((0..<1_000_000_000).contains(shown.fraction))
    }

    @Test func shownTimeIsTheBestThatIsKnown() throws {
        let naive = Timestamp.local(
            year: 2025, month: 3, day: 4, hour: 5, minute: 6, second: 7, nanoseconds: 500_000_000)
        _ = try catalog.apply([row(1, metadata: metadata)])
        #expect(try entry().modified == naive)

        var aware = metadata
        aware.createdAt = "2025-03-04T05:06:07+02:00"
        _ = try catalog.apply([row(2, metadata: aware)])
        #expect(
            try catalog.entry(fileName: name(2))?.modified
                == Timestamp.utc(year: 2025, month: 3, day: 4, hour: 3, minute: 6, second: 7))

        var garbled = metadata
        garbled.createdAt = "yesterday"
        _ = try catalog.apply([row(3, metadata: garbled)])
        #expect(
            try catalog.entry(fileName: name(3))?.modified
                == Timestamp.local(year: 2025, month: 1, day: 1, hour: 0, minute: 0, second: 3))

        let plain = "plain.fastshot"
        _ = try catalog.apply([.object(fileName: plain, ObjectFacts(size: 1, uploaded: Timestamp(seconds: 77)))])
        #expect(try catalog.entry(fileName: plain)?.modified == Timestamp(seconds: 77))
        _ = try catalog.apply([.object(fileName: "bare.fastshot", ObjectFacts(size: 1))])
        #expect(try catalog.entry(fileName: "bare.fastshot")?.modified == Timestamp(nanoseconds: 0))
    }

    /// Every half hour of a year, the days on which clocks change included where the zone has such.
    @Test func shownTimeFollowsTheLocalClock() throws {
        var changes: [CatalogChange] = []
        var expected: [String: Timestamp?] = [:]
        for month in 1...12 {
            for day in 1...28 + (month == 2 ? 0 : 2) {
                for half in 0..<48 {
                    let time = [2025, month, day, half / 2, half % 2 * 30, 17]
                    let digits = time.map { ($0 < 10 ? "0" : "") + String($0) }.joined()
                    let name = digits + ".fastshot"
                    changes.append(.object(fileName: name, ObjectFacts(size: 1)))
                    expected[name] = Timestamp.local(
                        year: 2025, month: month, day: day, hour: half / 2, minute: half % 2 * 30, second: 17)
                }
            }
        }
        let added = try catalog.apply(changes).added
        #expect(added.count == expected.count)
        // An hour that comes twice is either of both to the C library, by what it was asked before.
        var ambiguous = 0
        for item in added {
            let shown = try #require(try catalog.entry(id: item.id)?.modified)
            let wanted = try #require(expected[item.fileName] ?? nil)
            if shown == wanted { continue }
            ambiguous += 1
            #expect(abs(shown.seconds(since: wanted)) <= 3600)
        }
        #expect(ambiguous <= 4)
    }

    @Test func namesThatCannotBeFilesAreKeptApart() throws {
        let long = String(repeating: "x", count: 250) + ".fastshot"
        var sighting = Sighting()
        let facts = ObjectFacts(size: 1, etag: "e")
        let delta = try catalog.apply(
            [
                .object(fileName: "deep/below.fastshot", facts), .object(fileName: long, facts),
                .object(fileName: "readme.txt", facts), .object(fileName: "sub/", facts),
                .object(fileName: "..", facts), .object(fileName: "a\0b.fastshot", facts),
                .object(fileName: ".fastshot", facts), .object(fileName: "fine.fastshot", facts),
            ], sighting: &sighting)
        #expect(delta.added.map(\.fileName) == ["fine.fastshot"])
        #expect(sighting.rejected == 3)
        #expect(sighting.ignored == 4)
        let rejected = try catalog.rejectedNames()
        let keys = ["a\0b.fastshot", "deep/below.fastshot", long].map { "sessions/" + $0 }
        #expect(rejected.map(\.key) == keys)
        #expect(rejected.map(\.problem) == [.nul, .slash, .tooLong])
        // A complete listing without them forgets them.
        _ = try catalog.finishListing(Sighting(), bound: 0)
        #expect(try catalog.rejectedNames().isEmpty)
    }

    @Test func indexWhoseNameIsTooLongForAFileIsNotShown() throws {
        let longest = String(repeating: "x", count: 246) + ".fastshot"
        _ = try catalog.apply([
            .row(OverallRow(fileName: longest, fileSize: 1, metadata: metadata), etagIsContentMD5: true)
        ])
        let found = try #require(try catalog.entry(fileName: longest))
        #expect(found.indexSize == 0)
        #expect(try catalog.indexBytes(id: found.id) == nil)
        #expect(try catalog.metadata(id: found.id) == metadata)
    }

    @Test func rowsWithoutSizeWaitForTheStore() throws {
        var sighting = Sighting()
        #expect(try catalog.apply([row(1, size: nil, sha256: hex("a", 64))], sighting: &sighting).isEmpty)
        #expect(sighting.rowsWithoutSize == 1)
        _ = try catalog.apply([listed(5, "e")])
        _ = try catalog.apply([row(1, size: nil, sha256: hex("a", 64))])
        #expect(try entry().size == 5)
        #expect(try entry().sha256 == hex("a", 64))
    }
}
