import Digests
import Foundation
import JSON
import ObjectStore
import SampleStore
import SessionFormat
import Testing

@Suite(.timeLimit(.minutes(3))) struct SampleStoreTests {
    @Test(arguments: [(40, nil), (5, "sample-key")]) func everySessionIsWhole(count: Int, key: String?) async throws {
        let store = MemoryStore()
        let summary = try await SampleStore.generate(into: store, count: count, key: key, seed: 3)
        let objects = store.objects
        #expect(summary.sessions == count)
        #expect(objects.count == 2 * count + 1)
        #expect(summary.bytes == objects.values.reduce(0) { $0 + UInt64($1.count) })
        #expect(summary.bytes < 15_000_000)

        let rows = try overallRows(objects)
        #expect(rows.count == count)
        var pictures = 0
        for row in rows {
            let name = try #require(SessionName(fileName: row.fileName))
            let body = try #require(objects[name.bodyKey])
            #expect(body.count > 15_000, "\(name)")
            #expect(body.count < 1_200_000, "\(name)")
            #expect(row.fileSize == UInt64(body.count))
            #expect(row.checksum == .etag(MD5.hex(body)))

            let container = try SessionContainer.decode(body, key: key)
            #expect(container.isObfuscated == (key != nil))
            #expect(Set(container.metadata?.members?.map(\.0) ?? []) == Self.metadataKeys)
            let windows = container.windows
            #expect((1...4).contains(windows.count))
            pictures += 2 + 3 * windows.count
            let index = try MetadataIndex.decode(try #require(objects[name.indexKey]))
            #expect(index.checksum == .valid)
            #expect(index.fileName == name.fileName)
            #expect(container.metadata(name: name, fileSize: UInt64(body.count)) == index.metadata)
            #expect(row.metadata == index.metadata)
            #expect(name.stamp?.iso8601 == index.metadata.createdAt.map { String($0.prefix(19)) })
        }
        #expect(summary.pictures == pictures)
        if count == 40 { try expectVariety(rows) }
    }

    private static let metadataKeys: Set<String> = [
        "name", "desc", "tags", "color", "class", "created_at", "filename", "image_count", "thumbnail_collage",
    ]

    /// The sessions differ as real ones do.
    private func expectVariety(_ rows: [OverallRow]) throws {
        let metadata = rows.compactMap(\.metadata)
        #expect(metadata.count == 40)
        #expect(metadata.contains { $0.tags.isEmpty })
        #expect(Set(metadata.flatMap(\.tags)).count >= 8)
        #expect(Set(metadata.map(\.color)).count >= 4)
        #expect(Set(metadata.map(\.sessionClass)).count >= 4)
        #expect(Set(metadata.map(\.imageCount)) == [1, 2, 3, 4])
        #expect(Set(metadata.compactMap { $0.createdAt?.prefix(7) }).count >= 6)
        let names = rows.map(\.fileName)
        #expect(Set(names).count == 40)
        #expect(names == names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        #expect(names.contains { $0.unicodeScalars.contains { (0xC0...0x17F).contains($0.value) } })
        #expect(names.contains { $0.unicodeScalars.contains { (0x4E00...0x9FFF).contains($0.value) } })
        let sizes = rows.compactMap(\.fileSize)
        #expect((sizes.min() ?? 0) < 60_000)
        #expect((sizes.max() ?? 0) > 500_000)
    }

    @Test func theSameSeedMakesTheSameBytes() async throws {
        var results: [[String: [UInt8]]] = []
        for seed: UInt64 in [5, 5, 6] {
            let store = MemoryStore()
            _ = try await SampleStore.generate(into: store, count: 3, key: "k", seed: seed)
            results.append(store.objects)
        }
        #expect(results[0] == results[1])
        #expect(results[0] != results[2])
    }

    @Test func everyPictureIsAPNGOfItsSizeByAnIndependentReader() async throws {
        let store = MemoryStore()
        _ = try await SampleStore.generate(into: store, count: 8, seed: 2)
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        var count = 0
        for (key, body) in store.objects where key.hasPrefix("sessions/") {
            try Data(body).write(to: directory.appending(path: "\(count).fastshot"))
            count += 1
        }
        #expect(count == 8)
        let report = try python(Self.checker, directory.path)
        #expect(report.hasPrefix("ok "), "\(report)")
        let checked = Int(report.dropFirst(3).prefix { $0.isNumber }) ?? 0
        #expect(checked >= 8 * 5)
    }

    /// Reads the sessions and their PNG pictures with nothing but Python's standard library.
    private static let checker = #"""
        import base64, glob, json, struct, sys, zlib
        def png(b):
            assert b[:8] == b"\x89PNG\r\n\x1a\n", "signature"
            at, kinds, data, palette, size = 8, [], b"", 0, None
            while at < len(b):
                n, kind = struct.unpack(">I4s", b[at:at + 8])
                body = b[at + 8:at + 8 + n]
                assert len(body) == n, "torn chunk"
                assert struct.unpack(">I", b[at + 8 + n:at + 12 + n])[0] == zlib.crc32(kind + body), "crc of %s" % kind
                kinds.append(kind)
                if kind == b"IHDR": size = struct.unpack(">IIBBBBB", body)
                if kind == b"PLTE": palette = n // 3; assert n % 3 == 0 and palette <= 256
                if kind == b"IDAT": data += body
                at += 12 + n
            assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND" and kinds.count(b"IHDR") == 1 and b"IDAT" in kinds
            width, height, depth, colour, deflate, filters, interlace = size
            assert (depth, colour, deflate, filters, interlace) == (8, 3, 0, 0, 0) and palette > 0
            rows = zlib.decompress(data)
            assert len(rows) == height * (width + 1), "length of the rows"
            for y in range(height):
                row = rows[y * (width + 1):(y + 1) * (width + 1)]
                assert row[0] <= 4 and max(row[1:]) < palette
            return width, height, len(set(rows)), zlib.crc32(rows)
        checked, seen = 0, set()
        for path in glob.glob(sys.argv[1] + "/*.fastshot"):
            b = open(path, "rb").read()
            mark = b.index(b"FHDR")
            assert png(b[:mark])[:2] == (100, 100), "cover"
            d = json.loads(b[mark + 4:])
            collage = png(base64.b64decode(d["metadata"]["thumbnail_collage"], validate=True))
            windows = d["session"]["windows"]
            assert len(windows) == d["metadata"]["image_count"]
            assert collage[0] == 100 * len(windows) and collage[1] <= 100, "collage"
            for w in windows:
                shown, original, annotated = (png(base64.b64decode(w[k], validate=True))
                    for k in ("image_data", "original_image_data", "annotated_original_data"))
                assert original[:2] == annotated[:2] and original[3] != annotated[3], "annotation"
                g = w["geometry"]
                assert shown[:2] == (g["width"], g["height"]) == (int(original[0] * w["scale"]), int(original[1] * w["scale"]))
                assert original[2] > 8, "colours"
                assert w["draw_history"] and all(m["type"] in ("lines", "text") for m in w["draw_history"])
                assert original[3] not in seen, "the same picture twice"
                seen.add(original[3])
                checked += 3
            checked += 2
        print("ok", checked)
        """#

    private func python(_ script: String, _ argument: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", script, argument]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "python3 is missing or found a fault")
        return String(decoding: data, as: UTF8.self)
    }

    @Test func aStoresErrorEndsIt() async {
        let store = MemoryStore(failing: "meta_indexes/")
        let error = await #expect(throws: StoreError.self) { try await SampleStore.generate(into: store, count: 5) }
        #expect(error?.kind == .forbidden)
        #expect(store.objects[SessionName.overallKey] == nil)
    }

    @Test func noSessions() async throws {
        let store = MemoryStore()
        let summary = try await SampleStore.generate(into: store, count: 0)
        #expect(try overallRows(store.objects).isEmpty)
        #expect(summary.sessions == 0)
    }
}

@Suite(.timeLimit(.minutes(3))) struct CatalogOnlyTests {
    @Test func manyRowsWithoutBodies() async throws {
        let store = MemoryStore()
        let summary = try await SampleStore.generateCatalogOnly(into: store, count: 5000)
        #expect(store.objects.count == 1)
        #expect(summary.sessions == 5000)
        let rows = try overallRows(store.objects)
        #expect(rows.count == 5000)
        #expect(Set(rows.map(\.fileName)).count == 5000)
        #expect(
            rows.allSatisfy { $0.metadata?.fileSize == $0.fileSize && SessionName(fileName: $0.fileName)?.stamp != nil }
        )
    }

    @Test func tinyBodiesWithIndexesAndRowsAsFastShotsOwn() async throws {
        let store = MemoryStore()
        let options = SampleStore.CatalogOptions(bodies: .tiny, indexes: true, rowsCarryMetadata: false)
        let summary = try await SampleStore.generateCatalogOnly(into: store, count: 300, options: options, key: "k")
        let objects = store.objects
        #expect(objects.count == 601)
        #expect(summary.bytes == objects.values.reduce(0) { $0 + UInt64($1.count) })
        for row in try overallRows(objects) {
            #expect(row.metadata == nil)
            let name = try #require(SessionName(fileName: row.fileName))
            let body = try #require(objects[name.bodyKey])
            #expect(body.count < 4000)
            #expect(row.checksum == .etag(MD5.hex(body)))
            let index = try MetadataIndex.decode(try #require(objects[name.indexKey]))
            #expect(index.checksum == .valid)
            let container = try SessionContainer.decode(body, key: "k")
            #expect(container.metadata(name: name, fileSize: UInt64(body.count)) == index.metadata)
        }
    }

    @Test func indexesWithoutBodies() async throws {
        let store = MemoryStore()
        let options = SampleStore.CatalogOptions(indexes: true, parallel: 1)
        _ = try await SampleStore.generateCatalogOnly(into: store, count: 50, options: options)
        #expect(store.objects.count == 51)
        for row in try overallRows(store.objects) {
            let name = try #require(SessionName(fileName: row.fileName))
            let index = try MetadataIndex.decode(try #require(store.objects[name.indexKey]))
            #expect(index.metadata == row.metadata)
        }
    }
}

/// The rows of the stored overall file, whose checksum must be right.
private func overallRows(_ objects: [String: [UInt8]]) throws -> [OverallRow] {
    let bytes = try #require(objects[SessionName.overallKey])
    let reader = OverallReader()
    var rows: [OverallRow] = []
    try reader.consume(bytes.span.bytes) { rows.append($0) }
    let summary = try reader.finish()
    #expect(summary.checksum == .valid)
    #expect(summary.totalSessions == rows.count)
    return rows
}
