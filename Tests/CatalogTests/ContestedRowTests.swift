import Catalog
import Foundation
import Platform
import SessionFormat
import Testing

/// Rows that may be of another version than the object that the store shows, of the same length: a checksum that is
/// believed wrongly makes a session unreadable.
@Suite struct ContestedRowTests {
    let directory = TemporaryDirectory()
    let catalog: Catalog
    private let uploaded = Timestamp(seconds: 1_700_000_000)
    private let time = "2023-11-14T22:13:20+00:00"

    init() throws { catalog = try Catalog.open(directory: directory.path) }

    private func entry() throws -> SessionEntry { try #require(try catalog.entry(fileName: name(1))) }

    private func row(_ digit: Character, created: String) -> CatalogChange {
        .row(
            OverallRow(fileName: name(1), createdAt: created, fileSize: 10, checksum: .sha256(hex(digit, 64))),
            etagIsContentMD5: false)
    }

    private func object(_ etag: String) -> CatalogChange {
        .object(
            fileName: name(1), ObjectFacts(size: 10, etag: etag, uploaded: uploaded))
    }

    /// A pass over the overall file, after a listing.
    private func read(_ row: CatalogChange) throws {
        var reading = Sighting(since: try catalog.writeMark())
        reading.followsListing = true
        _ = try catalog.apply([row], sighting: &reading)
    }

    @Test func theSumOfAnEarlierUploadIsNotThatOfTheObject() throws {
        _ = try catalog.apply([object("new")])
        _ = try catalog.apply([row("a", created: "2023-11-14T22:13:19+00:00")])
        #expect(try entry().sha256 == nil)
        _ = try catalog.apply([row("b", created: time)])
        #expect(try entry().sha256 == hex("b", 64))
    }

    /// This machine's version, the next one and a third one are of one second, and the second one's row is read when the
    /// third one is there.
    @Test func twoRowsOfOneSecond() throws {
        _ = try catalog.published([
            PublishedSession(
                id: try catalog.reserveID(), fileName: name(1),
                facts: ObjectFacts(size: 10, etag: "own", uploaded: uploaded), sha256: hex("c", 64))
        ])
        // What is there is this machine's: another row changes nothing.
        try read(row("a", created: time))
        #expect(try entry().sha256 == hex("c", 64))
        _ = try catalog.apply([object("third")])
        try read(row("b", created: time))
        try read(row("d", created: time))
        #expect(try entry().etag == "third")
        #expect(try entry().sha256 == nil)
        // Nor is the row believed that has been seen.
        try read(row("d", created: time))
        #expect(try entry().sha256 == nil)
    }
}
