import Catalog
import JSON
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

@Suite(.timeLimit(.minutes(2))) struct PublishRenameTests {
    private let newName = "20250101000009_renamed.fastshot"
    private var newKey: String { "sessions/" + newName }

    @Test func aRenameIsACopyOnTheServersSide() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        let id = try #require(try rig.staging.entry(fileName: fileName(1))).id
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(newKey) == session(1))
        #expect(rig.bucket.peek(bodyKey(1)) == nil)
        #expect(rig.row(1) == nil)
        #expect(rig.row(newName)?.metadata?.desc == "first")
        #expect(rig.disorder == [])
        #expect(!rig.requests.contains("put \(newKey)"))
        #expect(try rig.catalog.entry(fileName: newName)?.id == id)
        #expect(try rig.catalog.entry(fileName: fileName(1)) == nil)
        #expect(rig.staging.changes() == [])
        #expect(try rig.bytes(newName) == session(1))
    }

    @Test func aRenameOverAnotherSession() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        _ = try rig.staging.rename(fileName(1), to: fileName(2), replacing: true)
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(2)) == session(1))
        #expect(rig.bucket.peek(bodyKey(1)) == nil)
        #expect(rig.rows.count == 1)
        #expect(rig.disorder == [])
    }

    @Test func anEditThatIsRenamedToo() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try await rig.save(fileName(1), session(1, "second"))
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(newKey) == session(1, "second"))
        #expect(rig.bucket.peek(bodyKey(1)) == nil)
        #expect(rig.rows.count == 2)
        #expect(rig.disorder == [])
    }

    /// A program edits a session that somebody replaces meanwhile, and renames it before it closes it: the other's
    /// version is none that it has seen.
    @Test func anEditThatIsRenamedWhileSomebodyReplacesTheSession() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        let id = try #require(try rig.staging.entry(fileName: fileName(1))).id
        let file = try await withCheckedContinuation { done in
            rig.staging.openForWriting(id: id, truncating: true) { done.resume(returning: $0) }
        }.get()
        rig.somebodySaves(1, "theirs")
        let info = try await rig.bucket.head(bodyKey(1))
        _ = try rig.catalog.apply([.object(fileName: fileName(1), ObjectFacts(size: info.size, etag: info.etag))])
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        try file.write(session(1, "mine").span.bytes, at: 0)
        try file.flush()
        file.close()
        _ = await rig.flush()
        #expect(rig.bucket.peek(newKey) == session(1, "mine"))
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.disorder == [])
    }

    /// How editors save: a temporary file takes the session's name.
    @Test func aSaveByRename() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try await rig.save(".\(fileName(1)).part", session(1, "second"))
        _ = try rig.staging.rename(".\(fileName(1)).part", to: fileName(1), replacing: true)
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "second"))
        #expect(rig.rows.count == 2)
        #expect(rig.disorder == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
    }

    @Test func namesAreHandedOn() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        _ = try rig.staging.rename(fileName(2), to: fileName(1), replacing: false)
        try await rig.save(fileName(2), session(2, "new"))
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(newKey) == session(1))
        #expect(rig.bucket.peek(bodyKey(1)) == session(2))
        #expect(rig.bucket.peek(bodyKey(2)) == session(2, "new"))
        #expect(rig.disorder == [])
    }

    @Test(arguments: [1, 5]) func lostAnswersAreNoConflict(times: Int) async throws {
        let faults: [(StoreVerb, String)] = [
            (.copy, bodyKey(1)), (.delete, bodyKey(1)), (.delete, indexKey(1)), (.put, "overall_meta.json"),
        ]
        for (verb, key) in faults {
            let rig = try PublishRig()
            try await rig.published(1..<3)
            rig.store.inject(.failAfterwards(.lost), verb: verb, key: key, times: times)
            _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
            #expect(await rig.flush() == [], "\(verb) \(key)")
            #expect(rig.bucket.peek(newKey) == session(1))
            #expect(rig.rows.count == 2)
            #expect(rig.disorder == [])
            #expect(try rig.staging.conflicts(includingDecided: true) == [])
        }
    }

    @Test func whatTheStoreRefusesIsUndone() async throws {
        let faults: [(StoreVerb, String)] = [
            (.copy, bodyKey(1)), (.delete, bodyKey(1)), (.put, "overall_meta.json"),
            (.put, "meta_indexes/20250101000009_renamed.meta.json"),
        ]
        for (verb, key) in faults {
            let rig = try PublishRig()
            try await rig.published(1..<3)
            rig.store.inject(.fail(.denied), verb: verb, key: key)
            _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
            _ = await rig.flush()
            #expect(rig.bucket.peek(bodyKey(1)) == session(1), "\(verb) \(key)")
            #expect(rig.bucket.peek(newKey) == nil, "\(verb) \(key)")
            #expect(rig.disorder == [], "\(verb) \(key)")
            #expect(try rig.staging.entry(fileName: fileName(1)) != nil)
            #expect(try rig.staging.entry(fileName: newName) == nil)
        }
    }

    @Test func aVersionThatComesDuringTheRenameStays() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        rig.meddled.once(.delete, bodyKey(1)) { rig.somebodySaves(1, "theirs") }
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        _ = await rig.flush()
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.bucket.peek(newKey) == session(1))
        #expect(rig.disorder == [])
    }

    /// Names that only look alike are two names.
    @Test(arguments: [true, false]) func aNameIsBroughtIntoTheOtherNormalForm(withContents: Bool) async throws {
        let (decomposed, composed) = ("20250101000001_cafe\u{301}.fastshot", "20250101000001_caf\u{e9}.fastshot")
        let rig = try PublishRig()
        try await rig.save(decomposed, session(1))
        #expect(await rig.flush() == [])
        if withContents { try await rig.save(decomposed, session(1, "second")) }
        _ = try rig.staging.rename(decomposed, to: composed, replacing: false)
        #expect(await rig.flush() == [])
        let keys = rig.bucket.keys.filter { $0.hasPrefix("sessions/") }
        #expect(keys.map { Array($0.utf8) } == [Array("sessions/\(composed)".utf8)])
        #expect(rig.bucket.peek("sessions/" + composed) == session(1, withContents ? "second" : "first"))
        #expect(rig.rows.map { Array($0.fileName.utf8) } == [Array(composed.utf8)])
    }

    /// Members that other clients know and we do not.
    @Test func foreignMembersOfTheIndexAreKept() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<2)
        var index = try #require(rig.index(1))
        index.metadata.fileSize = UInt64(session(1).count)
        var document = try JSONValue.parse(index.encode()).members ?? []
        document.append(("client", "another one"))
        document = document.map { key, value in
            key == "metadata" ? (key, .object((value.members ?? []) + [("favourite", .bool(true))])) : (key, value)
        }
        rig.bucket.set(indexKey(1), JSONValue.object(document).serialized(.pretty))
        _ = try rig.staging.rename(fileName(1), to: fileName(9), replacing: false)
        #expect(await rig.flush() == [])
        let bytes = try #require(rig.bucket.peek(indexKey(9)))
        let found = try JSONValue.parse(bytes)
        #expect(found["client"]?.string == "another one")
        #expect(found["metadata"]?["favourite"] == .bool(true))
        #expect(found["filename"]?.string == fileName(9))
        #expect(try MetadataIndex.decode(bytes).checksum == .valid)
        let id = try #require(try rig.catalog.entry(fileName: fileName(9))).id
        #expect(try rig.catalog.indexBytes(id: id) == bytes)
        #expect(rig.disorder == [])
    }
}
