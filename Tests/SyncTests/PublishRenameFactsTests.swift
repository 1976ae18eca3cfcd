import Catalog
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// A rename takes along what belongs to the very object that it copies.
@Suite(.timeLimit(.minutes(2))) struct PublishRenameFactsTests {
    private let newName = "20250101000009_renamed.fastshot"

    private func renamedIndex(_ rig: PublishRig) -> MetadataIndex? {
        rig.bucket.peek("meta_indexes/20250101000009_renamed.meta.json").flatMap { try? MetadataIndex.decode($0) }
    }

    /// The catalog has seen the new object, and not yet its index.
    private func noticeObject(_ rig: PublishRig) async throws {
        let info = try await rig.bucket.head(bodyKey(1))
        _ = try rig.catalog.apply([
            .object(fileName: fileName(1), ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified))
        ])
    }

    @Test(arguments: ["other", "rather longer"]) func ofAnObjectWhoseIndexWasNotReadYet(note: String) async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        rig.somebodySaves(1, note)
        try await noticeObject(rig)
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        #expect(renamedIndex(rig)?.metadata.desc == note)
        #expect(rig.row(newName)?.metadata?.desc == note)
        #expect(rig.disorder == [])
        #expect(try rig.catalog.entry(fileName: newName)?.size == UInt64(session(1, note).count))
    }

    /// Whoever saves writes the body first: between the two, an index of the same length is that of the old version.
    @Test func ofAnObjectWhoseIndexIsNotWrittenYet() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        rig.bucket.set(bodyKey(1), session(1, "other"), modified: Timestamp.now.seconds + 60)
        try await noticeObject(rig)
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        #expect(renamedIndex(rig)?.metadata.desc == "other")
        #expect(rig.disorder == [])
    }

    @Test func withoutAnIndexTheCatalogOrTheBodyTells() async throws {
        for isKnown in [true, false] {
            let rig = try PublishRig()
            try await rig.published(1..<3)
            if !isKnown {
                rig.bucket.set(bodyKey(1), session(1, "other"))
                try await noticeObject(rig)
            }
            rig.bucket.unset(indexKey(1))
            _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
            rig.store.clearRequests()
            #expect(await rig.flush() == [])
            #expect(renamedIndex(rig)?.metadata.desc == (isKnown ? "first" : "other"))
            #expect(rig.requests.contains("get \(bodyKey(1))") == !isKnown)
            #expect(rig.disorder == [])
        }
    }

    @Test func aConflictDecidedForTheRename() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        rig.somebodySaves(1, "rather longer")
        _ = await rig.flush()
        let conflict = try #require(try rig.staging.conflicts(includingDecided: false).first)
        rig.somebodySaves(1, "still a little longer")
        let current = try await rig.publisher.current(conflict.name).map { ObjectVersion($0) }
        _ = try rig.staging.decide(conflict.id, .mine, by: "user", current: current)
        #expect(await rig.flush() == [])
        #expect(renamedIndex(rig)?.metadata.desc == "still a little longer")
        #expect(rig.bucket.peek(bodyKey(1)) == nil)
        #expect(rig.disorder == [])
    }

    @Test func membersOfARowThatOthersUseComeAlong() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        let text = String(decoding: try #require(rig.bucket.peek("overall_meta.json")), as: UTF8.self)
        let own = "\"filename\": \"\(fileName(1))\""
        #expect(text.contains(own))
        let changed = text.split(separator: own, maxSplits: 1).joined(separator: own + ", \"starred\": true")
        rig.bucket.set("overall_meta.json", Array(changed.utf8))
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        let after = String(decoding: try #require(rig.bucket.peek("overall_meta.json")), as: UTF8.self)
        #expect(after.contains("\"starred\": true"))
        #expect(rig.disorder == [])
    }

    @Test func whatARenameReplacedComesBackWhenItIsRefused() async throws {
        let faults: [(StoreVerb, String)] = [
            (.put, indexKey(2)), (.put, "overall_meta.json"), (.delete, bodyKey(1)), (.copy, bodyKey(1)),
        ]
        for (verb, key) in faults {
            let rig = try PublishRig()
            try await rig.published(1..<3)
            rig.store.inject(.fail(.denied), verb: verb, key: key)
            _ = try rig.staging.rename(fileName(1), to: fileName(2), replacing: true)
            _ = await rig.flush()
            #expect(rig.bucket.peek(bodyKey(1)) == session(1), "\(verb) \(key)")
            #expect(rig.bucket.peek(bodyKey(2)) == session(2), "\(verb) \(key)")
            #expect(rig.rows.count == 2, "\(verb) \(key)")
            #expect(rig.row(2)?.metadata?.name == "session 2", "\(verb) \(key)")
            #expect(rig.disorder == [], "\(verb) \(key)")
            #expect(try rig.bytes(fileName(1)) == session(1))
            #expect(try rig.bytes(fileName(2)) == session(2))
        }
    }

    @Test func aMissingOverallFileGetsTheRowsOfAllKnownSessions() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<6)
        rig.bucket.unset("overall_meta.json")
        try await rig.save(fileName(9), session(9))
        _ = try rig.staging.remove(fileName(2))
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        #expect(rig.rows.count == 5)
        #expect(rig.disorder == [])
    }
}
