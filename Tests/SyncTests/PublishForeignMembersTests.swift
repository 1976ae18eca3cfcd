import Catalog
import JSON
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// Members of the index that other clients know and we do not.
@Suite(.timeLimit(.minutes(2))) struct PublishForeignMembersTests {
    /// Adds members to the index of a session, as another client does.
    private func enrich(_ rig: PublishRig, _ number: Int) throws {
        let bytes = try #require(rig.bucket.peek(indexKey(number)))
        var document = try JSONValue.parse(bytes).members ?? []
        document.append(("client", "another one"))
        document.append(("body_sha256", "0123"))
        document = document.map { key, value in
            let inner: [(String, JSONValue)] = [("favourite", .bool(true)), ("thumbnail", "old"), ("Body-ETag", "x")]
            return key == "metadata" ? (key, .object((value.members ?? []) + inner)) : (key, value)
        }
        rig.bucket.set(indexKey(number), JSONValue.object(document).serialized(.pretty))
    }

    private func expectKept(_ rig: PublishRig, _ number: Int, desc: String) throws {
        let bytes = try #require(rig.bucket.peek(indexKey(number)))
        let found = try JSONValue.parse(bytes)
        #expect(found["client"]?.string == "another one")
        #expect(found["metadata"]?["favourite"] == .bool(true))
        // What tells of the old body's bytes goes with it.
        #expect(found["body_sha256"] == nil)
        #expect(found["metadata"]?["thumbnail"] == nil)
        #expect(found["metadata"]?["Body-ETag"] == nil)
        let index = try MetadataIndex.decode(bytes)
        #expect(index.checksum == .valid)
        #expect(index.metadata.desc == desc)
        #expect(index.fileName == fileName(number))
        let id = try #require(try rig.catalog.entry(fileName: fileName(number))).id
        #expect(try rig.catalog.indexBytes(id: id) == bytes)
    }

    @Test func anEditKeepsThem() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try enrich(rig, 1)
        try await rig.save(fileName(1), session(1, "second"))
        #expect(await rig.flush() == [])
        try expectKept(rig, 1, desc: "second")
        try await rig.save(fileName(1), session(1, "third and longer"))
        #expect(await rig.flush() == [])
        try expectKept(rig, 1, desc: "third and longer")
        #expect(rig.disorder == [])
    }

    /// A program that saves under a temporary name and renames that over the session.
    @Test func savingByWayOfATemporaryFileKeepsThem() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try enrich(rig, 1)
        try await rig.save(".\(fileName(1)).part", session(1, "second"))
        _ = try rig.staging.rename(".\(fileName(1)).part", to: fileName(1), replacing: true)
        #expect(await rig.flush() == [])
        try expectKept(rig, 1, desc: "second")
        #expect(rig.disorder == [])
    }

    /// Also where the first try ends between the old name's removal and its being told of.
    @Test(arguments: [false, true]) func anEditThatIsRenamedKeepsThem(inTwoTries: Bool) async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try enrich(rig, 1)
        try await rig.save(fileName(1), session(1, "second"))
        _ = try rig.staging.rename(fileName(1), to: fileName(7), replacing: false)
        if inTwoTries { rig.store.inject(.failAfterwards(.lost), verb: .delete, key: bodyKey(1), times: 6) }
        #expect(await rig.flush() == [])
        try expectKept(rig, 7, desc: "second")
        #expect(rig.bucket.peek(indexKey(1)) == nil)
        #expect(rig.disorder == [])
    }

    @Test func aNewSessionHasNone() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<2)
        try enrich(rig, 1)
        rig.store.clearRequests()
        try await rig.save(fileName(2), session(2))
        #expect(await rig.flush() == [])
        #expect(!rig.requests.contains { $0.hasPrefix("get meta_indexes") }, "\(rig.requests)")
        #expect(rig.index(2)?.metadata.desc == "first")
    }

    /// A try has written its index over that of a body which turns out to be another one: that is ours to take back,
    /// whatever it has kept.
    @Test func anIndexThatIsGivenBackKeepsThem() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try enrich(rig, 1)
        try await rig.save(fileName(1), session(1, "second"))
        rig.meddled.once(.put, "overall_meta.json") { rig.bucket.set(bodyKey(1), session(1, "theirs")) }
        _ = await rig.flush()
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        let bytes = try #require(rig.bucket.peek(indexKey(1)))
        #expect(try MetadataIndex.decode(bytes).metadata.desc == "theirs")
        #expect(try JSONValue.parse(bytes)["client"]?.string == "another one")
    }
}
