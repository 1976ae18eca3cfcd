import Catalog
import Foundation
import Platform
import SessionFormat
import Testing

@Suite struct BrowsingTests {
    let directory = TemporaryDirectory()

    @Test func listsInTheOrderOfIdsWithExactNames() throws {
        let catalog = try Catalog.open(directory: directory.path)
        let composed = "20250101000000_caf\u{e9}.fastshot"
        let decomposed = "20250101000000_cafe\u{301}.fastshot"
        let delta = try catalog.apply([
            .object(fileName: composed, ObjectFacts(size: 1, etag: "a")),
            .object(fileName: decomposed, ObjectFacts(size: 2, etag: "b")),
        ])
        #expect(delta.added.count == 2)
        let rows = try catalog.scanned()
        #expect(rows.map { Array($0.name.utf8) } == [Array(composed.utf8), Array(decomposed.utf8)])
        #expect(rows.map(\.id) == rows.map(\.id).sorted())
        #expect(try catalog.entry(fileName: composed)?.size == 1)
        #expect(try catalog.entry(fileName: decomposed)?.size == 2)
        #expect(try catalog.entry(fileName: "no such.fastshot") == nil)
        #expect(try catalog.entry(id: 99) == nil)
        #expect(try catalog.counts.sessions == 2)
        #expect(try catalog.counts.bytes == 3)
    }

    @Test func scansInPagesAndSeesNewSessionsBehind() throws {
        let catalog = try Catalog.open(directory: directory.path)
        _ = try catalog.apply(objects(0..<250))
        var last: Int64 = 0
        var seen: [Int64] = []
        var pages = 0
        while true {
            var count = 0
            try catalog.scan(after: last) { row in
                seen.append(row.id)
                last = row.id
                count += 1
                return count < 100
            }
            pages += 1
            if pages == 1 { _ = try catalog.apply(objects(250..<260)) }
            if count < 100 { break }
        }
        #expect(seen == Array(1...260))
        #expect(pages == 3)
    }

    /// Sessions with body and index that the overall file does not name.
    @Test func tellsUnnamedSessions() throws {
        let catalog = try Catalog.open(directory: directory.path)
        let uploaded = Timestamp(seconds: 1000)
        func name(_ number: Int) -> String { "2025010100000\(number)_a.fastshot" }
        for number in 0..<5 {
            let facts = ObjectFacts(size: 5, etag: "tag\(number)", uploaded: number == 4 ? uploaded : .now)
            let id = try #require(
                try catalog.apply([.object(fileName: name(number), facts)]).added.first?.id)
            let index = MetadataIndex(
                fileName: name(number), metadata: SessionMetadata(name: "a"), createdAt: nil, lastUpdated: nil)
            // One has no index, one an unreadable one.
            if number == 0 { continue }
            let finding: IndexFinding =
                number == 1
                ? .corrupt(reason: "torn", etag: nil) : .known(index, bytes: index.encode(), etag: nil)
            _ = try catalog.apply([.index(id: id, finding)])
        }
        func unnamed(_ latest: Int = 100) throws -> [String] {
            try catalog.unnamed(since: uploaded, latest: latest).map(\.fileName).sorted()
        }
        #expect(try unnamed() == [name(2), name(3)])
        #expect(try unnamed(2) == [name(3)])
        #expect(try catalog.unnamed(since: uploaded, latest: 2).first?.etag == "tag3")

        var sighting = Sighting()
        let row = OverallRow(fileName: name(2), createdAt: "2025-01-01T00:00:00+00:00", fileSize: 5)
        _ = try catalog.apply([.row(row, etagIsContentMD5: false)], sighting: &sighting)
        _ = try catalog.finishOverall(sighting)
        #expect(try unnamed() == [name(3)])
        // The next file does not name it any more.
        _ = try catalog.finishOverall(Sighting())
        #expect(try unnamed() == [name(2), name(3)])
    }

    @Test func neverUsesAnIdAgain() throws {
        var last: Int64 = 0
        for round in 0..<3 {
            let catalog = try Catalog.open(directory: directory.path)
            let added = try catalog.apply(objects(round..<round + 1)).added
            let id = try #require(added.first?.id)
            #expect(id > last)
            last = id
            let gone = try catalog.remove(id: id)
            #expect(gone.removed == added)
            #expect(try catalog.counts.sessions == 0)
            catalog.close()
        }
    }

    @Test func keepsBodiesAndSettingsOverReopening() throws {
        let body: CachedBody
        do {
            let catalog = try Catalog.open(directory: directory.path)
            let id = try #require(try catalog.apply(objects(0..<1)).added.first?.id)
            body = CachedBody(
                id: id, etag: "e", size: 5, digest: "md5:00", fileModified: Timestamp(seconds: 3),
                lastUsed: Timestamp(seconds: 4))
            try catalog.recordBody(body)
            catalog.touchBody(id: id, at: Timestamp(seconds: 9))
            try catalog.setValue("k", "v")
            try catalog.setValue("empty", "")
            catalog.close()
        }
        let catalog = try Catalog.open(directory: directory.path)
        let found = try #require(try catalog.body(id: body.id))
        #expect(found.fileName == name(0))
        #expect(found.lastUsed == Timestamp(seconds: 9))
        #expect(found.etag == "e" && found.size == 5 && found.digest == "md5:00" && !found.pinned)
        #expect(try catalog.value("k") == "v")
        #expect(try catalog.value("empty") == "")
        try catalog.setValue("k", nil)
        #expect(try catalog.value("k") == nil)
        #expect(try catalog.cachedBytes == (1, 5))

        // The record outlives the session, so that its file can be found and removed.
        _ = try catalog.remove(id: body.id)
        #expect(try catalog.bodies().map(\.fileName) == [name(0)])
        try catalog.removeBody(id: body.id)
        #expect(try catalog.bodies().isEmpty)
        #expect(try catalog.cachedBytes == (0, 0))
    }

    @Test func isPrivate() throws {
        let catalog = try Catalog.open(directory: directory.path)
        _ = try catalog.apply(objects(0..<1))
        #expect(try Files.status(directory.path)?.permissions == 0o700)
        for file in directory.names {
            #expect(try Files.status(directory.path + "/" + file)?.permissions == 0o600, "\(file)")
        }
        #expect(directory.names.contains("catalog.sqlite-wal"))
    }

    @Test func refusesToWorkOnceClosed() throws {
        let catalog = try Catalog.open(directory: directory.path)
        catalog.close()
        let error = #expect(throws: CatalogError.self) { try catalog.entry(id: 1) }
        #expect(error?.kind == .closed)
    }

    /// What the desktop client wrote, and every kind of text that JSON has to escape.
    @Test func indexBytesAreAsManyAsTheEntrySays() throws {
        let catalog = try Catalog.open(directory: directory.path)
        let texts = [
            "", "plain", "with \"quotes\" and \\", "tab\tnewline\nreturn\r", "\u{1}\u{8}\u{c}\u{1f}\u{7f}",
            "caf\u{e9} 截图 \u{1F600}", "/slash/",
        ]
        var changes: [CatalogChange] = []
        for (number, text) in texts.enumerated() {
            for tags in [[], [text], ["a", text, "ü"]] {
                for (count, size) in [(0, nil), (7, 0), (10, 99), (12_345, UInt64(Int64.max))] as [(Int, UInt64?)] {
                    let metadata = SessionMetadata(
                        name: text, desc: text + text, tags: tags, color: text.isEmpty ? "blue" : text,
                        sessionClass: text, imageCount: count,
                        createdAt: count == 0 ? nil : "2025-06-22T08:56:32.537002" + text, fileSize: size)
                    changes.append(row(number * 100 + changes.count, metadata: metadata))
                }
            }
        }
        for item in try catalog.apply(changes).added {
            let entry = try #require(try catalog.entry(id: item.id))
            let bytes = try #require(try catalog.indexBytes(id: item.id))
            #expect(entry.indexSize == UInt64(bytes.count))
            #expect(try MetadataIndex.decode(bytes).checksum == .valid)
            #expect(try MetadataIndex.decode(bytes).metadata == catalog.metadata(id: item.id))
        }
    }
}
