import Foundation
import JSON
import ObjectStore
import Platform
import SampleStore
import SessionCache
import SessionFormat
import Testing

@testable import MountService

/// The metadata of sessions that are not in the bucket yet.
struct LocalMetadataTests {
    let directory = "/tmp/sfs-local-metadata-\(UInt32.random(in: .min ... .max))"

    /// Sample sessions in a directory: file name, path and the metadata of the index.
    private func samples(key: String?) async throws -> [(name: String, path: String, metadata: SessionMetadata)] {
        _ = try await SampleStore.generate(into: LocalDirectoryStore(directory: directory), count: 3, key: key)
        return try FileManager.default.contentsOfDirectory(atPath: directory + "/sessions").map { name in
            let stem = String(name.dropLast(SessionName.fileSuffix.count))
            let index = try Data(contentsOf: URL(filePath: directory + "/meta_indexes/" + stem + ".meta.json"))
            let metadata = try #require(try JSONValue.parse(Array(index))["metadata"])
            return (name, directory + "/sessions/" + name, SessionMetadata(json: metadata))
        }
    }

    private func change(_ path: String, name: String, id: Int64 = 1, generation: Int64 = 1) throws -> PendingChange {
        let size = try #require(try Files.status(path)).size
        return PendingChange(
            id: id, generation: generation, sequence: id, name: name,
            content: StagedContent(path: path, size: size, modified: .now))
    }

    @Test(arguments: [nil, "demo-key"]) func isThatOfTheIndexThatWillBeWritten(key: String?) async throws {
        defer { try? Files.removeTree(directory) }
        let known = LocalMetadata(key: key.map { Secret($0) })
        for (number, sample) in try await samples(key: key).enumerated() {
            let found = try #require(
                known.metadata(try change(sample.path, name: sample.name, id: Int64(number))))
            #expect(found.name == sample.metadata.name && found.tags == sample.metadata.tags)
            #expect(found.color == sample.metadata.color && found.sessionClass == sample.metadata.sessionClass)
            #expect(found.imageCount == sample.metadata.imageCount && found.desc == sample.metadata.desc)
        }
    }

    @Test func isReadOnceForEachGeneration() async throws {
        defer { try? Files.removeTree(directory) }
        let known = LocalMetadata(key: nil)
        let samples = try await samples(key: nil)
        let (first, second) = (samples[0], samples[1])
        #expect(known.metadata(try change(first.path, name: first.name))?.name == first.metadata.name)
        // The same generation is the same contents, whatever became of the file.
        var gone = try change(first.path, name: first.name)
        gone.content?.path = directory + "/gone"
        #expect(known.metadata(gone)?.name == first.metadata.name)
        #expect(
            known.metadata(try change(second.path, name: first.name, generation: 2))?.name == second.metadata.name)
    }

    @Test func isNothingForOtherContentsAndWhileAFileIsWritten() async throws {
        defer { try? Files.removeTree(directory) }
        let known = LocalMetadata(key: nil)
        let sample = try await samples(key: nil)[0]
        let junk = directory + "/junk"
        try Files.replace(junk, with: Array("no session".utf8), permissions: 0o600)
        #expect(known.metadata(try change(junk, name: sample.name)) == nil)
        var open = try change(sample.path, name: sample.name, id: 2)
        open.state = .open
        #expect(known.metadata(open) == nil)
        open.state = .ready
        #expect(known.metadata(open) != nil)
        var renamed = open
        renamed.id = 3
        renamed.content = nil
        #expect(known.metadata(renamed) == nil)
    }
}
