import Catalog
import Foundation
import Platform
import Testing

/// A private directory that goes with the test.
final class TemporaryDirectory {
    let path: String
    init() {
        path = NSTemporaryDirectory() + "catalog-test-\(UUID().uuidString)"
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

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
        var names: [[UInt8]] = []
        var ids: [Int64] = []
        try catalog.scan(after: 0) { row in
            row.withFileName { name in name.withUnsafeBytes { names.append(Array($0)) } }
            ids.append(row.id)
            return true
        }
        #expect(names == [Array(composed.utf8), Array(decomposed.utf8)])
        #expect(ids == ids.sorted())
        #expect(try catalog.entry(fileName: composed)?.size == 1)
        #expect(try catalog.entry(fileName: decomposed)?.size == 2)
        #expect(try catalog.counts.sessions == 2)
        #expect(try catalog.counts.bytes == 3)
    }

    @Test func keepsBodiesAndSettingsOverReopening() throws {
        let body: CachedBody
        do {
            let catalog = try Catalog.open(directory: directory.path)
            let id = try #require(
                try catalog.apply([.object(fileName: "a.fastshot", ObjectFacts(size: 5, etag: "e"))]).added.first?.id)
            body = CachedBody(
                id: id, etag: "e", size: 5, digest: "md5:00", fileModified: Timestamp(seconds: 3),
                lastUsed: Timestamp(seconds: 4))
            try catalog.recordBody(body)
            catalog.touchBody(id: id, at: Timestamp(seconds: 9))
            try catalog.setValue("k", "v")
            catalog.close()
        }
        let catalog = try Catalog.open(directory: directory.path)
        let found = try #require(try catalog.body(id: body.id))
        #expect(found.fileName == "a.fastshot")
        #expect(found.lastUsed == Timestamp(seconds: 9))
        #expect(try catalog.value("k") == "v")
        #expect(try catalog.cachedBytes == (1, 5))
        try catalog.removeBody(id: body.id)
        #expect(try catalog.bodies().isEmpty)
    }
}
