import Catalog
import Foundation
import ObjectStore
import Platform
import SessionFormat
import Sync
import TestSupport
import Testing

/// The bucket that a FastShot client wrote.
@Suite struct FixtureTests {
    private static let bucket = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/fastshot-37/bucket").path

    private static func files(_ folder: String) throws -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for name in try Files.names(in: bucket + "/" + folder) {
            found[name] = try Files.read(bucket + "/" + folder + "/" + name)
        }
        return found
    }

    private func check(_ rig: Rig) throws {
        let bodies = try Self.files("sessions")
        let indexes = try Self.files("meta_indexes")
        #expect(bodies.count == 37)
        #expect(indexes.count == 37)
        #expect(try rig.catalog.counts.indexed == 37)
        for (name, bytes) in bodies {
            let session = try #require(SessionName(fileName: name))
            let entry = try #require(try rig.catalog.entry(fileName: name))
            #expect(entry.size == UInt64(bytes.count))
            let index = try #require(indexes[session.indexFileName])
            #expect(try rig.catalog.indexBytes(id: entry.id) == index)
            #expect(entry.indexSize == UInt64(index.count))
            let metadata = try MetadataIndex.decode(index).metadata
            #expect(try rig.catalog.metadata(id: entry.id) == metadata)
            let created = try #require(metadata.createdAt.flatMap(NaiveTime.init(iso8601:)))
            #expect(
                entry.modified
                    == Timestamp.local(
                        year: created.year, month: created.month, day: created.day, hour: created.hour,
                        minute: created.minute, second: created.second, nanoseconds: created.nanoseconds))
            #expect(entry.contentMD5 != nil || entry.sha256 != nil)
        }
        #expect(try rig.overallCopy == Files.read(Self.bucket + "/overall_meta.json"))
        #expect(try rig.catalog.validate().isSound)
    }

    @Test(.timeLimit(.minutes(1))) func all37AreLearntWithTheirMetadata() async throws {
        let memory = MemoryStore()
        memory.set("overall_meta.json", try Files.read(Self.bucket + "/overall_meta.json"))
        for folder in ["sessions", "meta_indexes"] {
            for (name, bytes) in try Self.files(folder) { memory.set("\(folder)/\(name)", bytes) }
        }
        let rig = try Rig(memory)
        let report = try await rig.refresher.refresh(.tail)
        #expect(report.added == 37)
        #expect(report.indexesRead == 37)
        // The overall file, what is behind it, and each index once.
        #expect(rig.requests().count == 39)
        try check(rig)

        _ = try await rig.refresher.refresh(.poll)
        #expect(rig.requests() == ["get overall_meta.json"])
        let full = try await rig.refresher.refresh(.full)
        #expect(rig.requests() == ["get overall_meta.json", "list sessions/", "list meta_indexes/"])
        #expect(full.added == 0 && full.removed == 0 && full.changed == 0)
        try check(rig)
    }

    @Test(.timeLimit(.minutes(1))) func aDirectoryIsListedAtOnce() async throws {
        let rig = try Rig(over: LocalDirectoryStore(directory: Self.bucket))
        let report = try await rig.refresher.refresh(.poll)
        #expect(report.added == 37)
        #expect(report.listedAll)
        try check(rig)
        let again = try await rig.refresher.refresh(.poll)
        #expect(again.requests == 1)
        #expect(!again.listedAll)
    }
}
