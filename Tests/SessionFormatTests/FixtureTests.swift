import Digests
import Foundation
import JSON
import SessionFormat
import TestSupport
import Testing

/// Everything in the bucket that a FastShot client wrote, read and written again.
@Suite(.timeLimit(.minutes(3))) struct FixtureTests {
    @Test func everyContainerOpensAndAgreesWithItsIndex() throws {
        for name in try Fixture.names() {
            let bytes = try Fixture.read(name.bodyKey)
            let container = try SessionContainer.decode(bytes, key: Fixture.key)
            #expect(container.form == .covered)
            #expect(container.isObfuscated)
            #expect(Array(container.cover.prefix(8)) == [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
            #expect(container.metadata?["filename"]?.string == name.fileName)

            let index = try MetadataIndex.decode(try Fixture.read(name.indexKey))
            #expect(index.fileName == name.fileName)
            #expect(container.metadata(name: name, fileSize: UInt64(bytes.count)) == index.metadata)
            let windows = container.windows
            #expect(windows.count == index.metadata.imageCount)
            #expect(index.metadata.createdAt == container.session["timestamp"]?.string)

            // To the second, the stamp of the name is the session's date.
            var created = try #require(index.metadata.createdAt.flatMap { NaiveTime(iso8601: $0) })
            created.nanoseconds = 0
            #expect(name.stamp == created)
        }
    }

    @Test func everyContainerIsWrittenAgainToTheByte() throws {
        for name in try Fixture.names() {
            let bytes = try Fixture.read(name.bodyKey)
            let container = try SessionContainer.decode(bytes, key: Fixture.key)
            #expect(container.encode(key: Fixture.key) == bytes, "of \(name)")
        }
    }

    @Test func everyPictureIsAPNGAndEveryWindowIsWrittenAgain() throws {
        for name in try Fixture.names() {
            let container = try SessionContainer.decode(try Fixture.read(name.bodyKey), key: Fixture.key)
            for (window, json) in zip(container.windows, container.session["windows"]?.array ?? []) {
                for picture in [window.imageData, window.originalImageData, window.annotatedOriginalData] {
                    let png = try #require(picture.flatMap { Base64.decode($0) })
                    #expect(Array(png.prefix(4)) == [0x89, 0x50, 0x4E, 0x47])
                }
                #expect(window.json == json, "of \(name)")
            }
        }
    }

    @Test func everyIndexOfTheBucketHasAValidChecksumAndIsWrittenAgainToTheByte() throws {
        for name in try Fixture.names() {
            let bytes = try Fixture.read(name.indexKey)
            let index = try MetadataIndex.decode(bytes)
            #expect(index.place == .bucket)
            #expect(index.checksum == .valid)
            #expect(index.encode() == bytes, "of \(name)")
        }
    }

    @Test func everyIndexOfTheLocalCacheHasAValidChecksumAndIsWrittenAgainToTheByte() throws {
        for name in try Fixture.names() {
            let bytes = try Fixture.read(name.indexKey, in: Fixture.localCache)
            let index = try MetadataIndex.decode(bytes)
            #expect(index.place == .localCache)
            #expect(index.checksum == .valid)
            #expect(index.encode() == bytes, "of \(name)")
            #expect(index.metadata == (try MetadataIndex.decode(try Fixture.read(name.indexKey)).metadata))
        }
    }

    @Test func theOverallFileNamesEverySessionAndItsChecksumsAreValid() throws {
        let names = Set(try Fixture.names().map(\.fileName))
        for directory in [Fixture.root.appending(path: "bucket"), Fixture.localCache] {
            let bytes = try Fixture.read(SessionName.overallKey, in: directory)
            var rows: [OverallRow] = []
            let summary = try read(bytes) { rows.append($0) }
            #expect(summary.checksum == .valid)
            #expect(summary.version == "1.0")
            #expect(summary.totalSessions == 37)
            #expect(summary.rowCount == 37)
            #expect(summary.badRows == 0)
            #expect(Set(rows.map(\.fileName)) == names)
            for row in rows {
                let body = try Fixture.read("sessions/" + row.fileName)
                #expect(row.fileSize == UInt64(body.count))
                #expect(row.checksum == .etag(MD5.hex(body)))
                #expect(row.metadata == nil)
                #expect(row.createdAt.flatMap { NaiveTime(iso8601: $0) }?.offsetSeconds == 0)
            }
            let lastUpdated = try #require(summary.lastUpdated)
            #expect(OverallFile.encode(rows, lastUpdated: lastUpdated) == bytes)
        }
    }

    @Test func theLocalCachesRecordIsWrittenAgainToTheByte() throws {
        let bytes = try Fixture.read("cache_info.json", in: Fixture.localCache)
        let record = try LocalCacheInfo.decode(bytes)
        #expect(record.totalMetaFiles == 37)
        #expect(record.status == .valid)
        #expect(record.corruptedFiles.isEmpty)
        #expect(record.encode() == bytes)
    }

    @Test func aWrongKeyIsAClearErrorForEverySession() throws {
        for name in try Fixture.names().prefix(8) {
            let bytes = try Fixture.read(name.bodyKey)
            #expect(kind { () throws(FormatError) in try SessionContainer.decode(bytes, key: nil) } == .keyNeeded)
            for key in ["demo-key-7392", "demo-key-739", "Demo-key-7391", "x", "demo-key-7391demo-key-7392", "ключ"] {
                let found = kind { () throws(FormatError) in try SessionContainer.decode(bytes, key: key) }
                #expect(found == .wrongKey, "key \(key) of \(name)")
            }
        }
    }

    @Test func mutatedFilesNeverCrash() throws {
        var random = SeededGenerator(seed: 37)
        let names = try Fixture.names()
        for _ in 0..<300 {
            let name = names.randomElement(using: &random) ?? names[0]
            let key: String? = Bool.random(using: &random) ? Fixture.key : nil
            var overall = try Fixture.read(SessionName.overallKey)
            var index = try Fixture.read(name.indexKey)
            mutate(&overall, &random)
            mutate(&index, &random)
            _ = try? read(overall) { _ in }
            if let decoded = try? MetadataIndex.decode(index) { _ = decoded.encode() }
            // A body without its pictures, so that the changes hit what the decoder reads.
            var small = try SessionContainer.decode(try Fixture.read(name.bodyKey), key: Fixture.key)
            let windows = small.windows.map { window in
                var window = window
                window.imageData = "iVBORw=="
                window.originalImageData = "iVBORw=="
                window.annotatedOriginalData = nil
                return window
            }
            small.session = SessionContainer.session(timestamp: "2025-07-05T13:13:50.581279", windows: windows)
            var body = small.encode(key: key)
            mutate(&body, &random)
            if let decoded = try? SessionContainer.decode(body, key: key) {
                _ = decoded.windows
                _ = decoded.metadata(name: name, fileSize: 1)
                _ = decoded.encode(key: key)
            }
        }
    }

    /// Changes, removes, doubles or cuts a few stretches.
    private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let start = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, start + Int.random(in: 1...30, using: &random))
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[start] = UInt8.random(in: .min ... .max, using: &random)
            case 1: bytes.removeSubrange(start..<end)
            case 2: bytes.insert(contentsOf: Array(bytes[start..<end]), at: start)
            case 3: bytes[start] = Array("{}[]\",:\\0-".utf8).randomElement(using: &random) ?? 0
            default: if Int.random(in: 0..<4, using: &random) == 0 { bytes.removeSubrange(start...) }
            }
        }
    }
}

/// Reads an overall file in pieces of a length.
func read(
    _ bytes: [UInt8], piece: Int = .max, _ row: (OverallRow) throws -> Void
) throws -> OverallSummary {
    let reader = OverallReader()
    var start = 0
    while start < bytes.count {
        let end = start + min(piece, bytes.count - start)
        try reader.consume(bytes.span.extracting(start..<end).bytes, row: row)
        start = end
    }
    return try reader.finish()
}
