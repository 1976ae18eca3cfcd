import Catalog
import Digests
import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

@testable import SessionCache

private let mebibyte = 1 << 20

/// Bodies that go between the cache and the staging directory.
@Suite(.timeLimit(.minutes(2))) struct HandingTests {
    /// Makes a file as the staging directory has it.
    private func stage(_ fixture: Fixture, _ bytes: [UInt8], _ name: String = "1") throws -> String {
        try Files.makePrivateDirectory(fixture.root + "/staging")
        let path = fixture.root + "/staging/" + name
        try Files.replace(path, with: bytes)
        return path
    }

    /// Makes a session known as after its upload.
    private func publish(
        _ fixture: Fixture, _ id: Int64, _ fileName: String, _ bytes: [UInt8], etag: String? = nil
    ) throws {
        let md5 = MD5.hex(bytes)
        let facts = ObjectFacts(size: UInt64(bytes.count), etag: etag ?? md5, contentMD5: md5)
        _ = try fixture.catalog.published([PublishedSession(id: id, fileName: fileName, facts: facts)])
    }

    private func adopt(_ fixture: Fixture, _ id: Int64, _ fileName: String, _ bytes: [UInt8], _ path: String) -> Bool {
        let md5 = MD5.hex(bytes)
        return fixture.cache.adopt(
            id: id, fileName: fileName, path: path, size: UInt64(bytes.count), etag: md5, digest: "md5:\(md5)")
    }

    // MARK: Adopting

    @Test(arguments: [0, 1, 300_000]) func anUploadedFileIsCached(_ count: Int) async throws {
        let fixture = try Fixture()
        let bytes = pattern(count)
        let path = try stage(fixture, bytes)
        let held = try FileDescriptor.open(path)
        let id = try fixture.catalog.reserveID()
        try publish(fixture, id, "a.fastshot", bytes)
        #expect(adopt(fixture, id, "a.fastshot", bytes, path))
        #expect(!Files.exists(path))
        #expect(fixture.cache.state(id) == .cached)
        let body = try fixture.cache.open(id)
        #expect(body.complete != nil)
        #expect(try await body.everything() == bytes)
        #expect(fixture.store.requests.isEmpty)
        // Who had the staged file open goes on reading.
        #expect(try held.read(at: 0, count: count + 1) == bytes)
        #expect(try fixture.cache.cachedBody(id: id)?.read(at: 0, count: count + 1) == bytes)
    }

    @Test func aFileFromAnotherFilesystemIsCopied() async throws {
        let fixture = try Fixture()
        let bytes = pattern(3 * mebibyte)
        let elsewhere = "/dev/shm/sessionfs-handing-\(UUID().uuidString)"
        try Files.replace(elsewhere, with: bytes)
        defer { try? Files.remove(elsewhere) }
        let (here, there) = (try Files.status(fixture.sessions), try Files.status(elsewhere))
        try #require(here?.device != there?.device, "this test needs two filesystems")
        let id = try fixture.catalog.reserveID()
        try publish(fixture, id, "a.fastshot", bytes)
        #expect(adopt(fixture, id, "a.fastshot", bytes, elsewhere))
        #expect(!Files.exists(elsewhere))
        #expect(try fixture.names() == ["a.fastshot"])
        #expect(try await fixture.cache.open(id).everything() == bytes)
        #expect(fixture.store.requests.isEmpty)
    }

    @Test func whatIsNotWhatItIsSaidToBeIsLeft() async throws {
        let fixture = try Fixture()
        let bytes = pattern(1000)
        let id = try fixture.catalog.reserveID()
        try publish(fixture, id, "a.fastshot", bytes)
        let short = try stage(fixture, Array(bytes[..<999]))
        #expect(!adopt(fixture, id, "a.fastshot", bytes, short))
        #expect(Files.exists(short))
        #expect(!adopt(fixture, id, "a.fastshot", bytes, fixture.root + "/staging/none"))
        let link = fixture.root + "/staging/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: try stage(fixture, bytes, "2"))
        #expect(!adopt(fixture, id, "a.fastshot", bytes, link))
        #expect(try fixture.names().isEmpty)
        #expect(fixture.cache.state(id) == .remote)
    }

    @Test func anEditTakesThePlaceOfTheOlderBody() async throws {
        let fixture = try Fixture()
        let (older, newer) = (pattern(200_000), pattern(200_000, seed: 2))
        let id = try await fixture.add("a.fastshot", older)
        let reader = try fixture.cache.open(id)
        #expect(try await reader.everything() == older)
        await fixture.cache.drain()
        try publish(fixture, id, "a.fastshot", newer)
        #expect(adopt(fixture, id, "a.fastshot", newer, try stage(fixture, newer)))
        fixture.cache.apply(CatalogDelta(changed: [id]))
        #expect(try await fixture.cache.open(id).everything() == newer)
        #expect(try await reader.everything() == older)
        reader.close()
        await fixture.cache.drain()
        #expect(fixture.cache.state(id) == .cached)
        #expect(fixture.store.requests.count == 1)
    }

    @Test func aDownloadOfTheOlderVersionDoesNotComeBack() async throws {
        let fixture = try Fixture()
        let (older, newer) = (pattern(200_000), pattern(200_000, seed: 2))
        let id = try await fixture.add("a.fastshot", older)
        let gate = Gate()
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.pause = (128 << 10, gate)
            return answer
        }
        let reader = try fixture.cache.open(id)
        _ = try await reader.bytes(at: 0, count: 1000)
        try publish(fixture, id, "a.fastshot", newer)
        #expect(adopt(fixture, id, "a.fastshot", newer, try stage(fixture, newer)))
        gate.open()
        #expect(try await reader.everything() == older)
        await fixture.cache.drain()
        // Neither its bytes nor what it learnt of the object counts any more.
        #expect(try fixture.catalog.entry(id: id)?.etag == MD5.hex(newer))
        #expect(try await fixture.cache.open(id).everything() == newer)
        #expect(fixture.cache.state(id) == .cached)
    }

    @Test func anAnswerFromBeforeAnEditTeachesNothing() async throws {
        let fixture = try Fixture()
        let (older, newer) = (pattern(200_000), pattern(100_000, seed: 2))
        let id = try await fixture.add("a.fastshot", older, knowsTag: false)
        let gate = Gate()
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.gate = gate
            return answer
        }
        let reader = try fixture.cache.open(id)
        try await eventually { !fixture.store.requests.isEmpty }
        try publish(fixture, id, "a.fastshot", newer, etag: "newer")
        gate.open()
        _ = try? await reader.everything()
        await fixture.cache.drain()
        #expect(try fixture.catalog.entry(id: id)?.etag == "newer")
        #expect(try fixture.catalog.entry(id: id)?.size == 100_000)
    }

    @Test func adoptedBodiesKeepWithinTheLimit() async throws {
        var options = CacheOptions.quick
        options.maxBytes = 250_000
        let fixture = try Fixture(options: options)
        let ids = try (0..<4).map { number in
            let bytes = pattern(100_000, seed: UInt64(number))
            let id = try fixture.catalog.reserveID()
            try publish(fixture, id, "\(number).fastshot", bytes)
            #expect(adopt(fixture, id, "\(number).fastshot", bytes, try stage(fixture, bytes)))
            return id
        }
        await fixture.cache.drain()
        #expect(fixture.cache.statistics().cachedBodies == 2)
        #expect(fixture.cache.state(ids[3]) == .cached)
    }

    // MARK: Whole bodies

    @Test(arguments: [0, 1, 3 * mebibyte]) func aWholeBodyIsFetchedWhenItIsNotThere(_ count: Int) async throws {
        let fixture = try Fixture()
        let bytes = pattern(count)
        let id = try await fixture.add("a.fastshot", bytes)
        #expect(try fixture.cache.cachedBody(id: id) == nil)
        let file = try await fixture.cache.wholeBody(id: id)
        #expect(try file.read(at: 0, count: count + 1) == bytes)
        await fixture.cache.drain()
        let requests = fixture.store.requests.count
        let again = try await fixture.cache.wholeBody(id: id)
        #expect(try again.read(at: 0, count: count + 1) == bytes)
        #expect(try fixture.cache.cachedBody(id: id) != nil)
        #expect(fixture.store.requests.count == requests)
    }

    @Test func aWholeBodyIsOfTheVersionThatTheStoreHas() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        let longer = pattern(2 * mebibyte, seed: 2)
        fixture.store.set("sessions/a.fastshot", longer)
        let file = try await fixture.cache.wholeBody(id: id)
        #expect(try file.read(at: 0, count: 3 * mebibyte) == longer)
    }

    @Test func aBodyThatCannotBeFetchedIsAnError() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        fixture.store.script { _ in .failing(.forbidden) }
        let denied = await #expect(throws: CacheError.self) { _ = try await fixture.cache.wholeBody(id: id) }
        #expect(denied?.kind == .denied)
        let unknown = await #expect(throws: CacheError.self) { _ = try await fixture.cache.wholeBody(id: 4711) }
        #expect(unknown?.kind == .notFound)
        #expect(throws: CacheError.self) { _ = try fixture.cache.cachedBody(id: 4711) }
    }

    @Test func waitingForAWholeBodyCanBeCancelled() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.gate = Gate()
            return answer
        }
        let waiting = Task { try await fixture.cache.wholeBody(id: id) }
        try await eventually { !fixture.store.requests.isEmpty }
        waiting.cancel()
        let error = await #expect(throws: CacheError.self) { try await waiting.value }
        #expect(error?.kind == .interrupted)
        fixture.cache.shutdown()
    }

    // MARK: Renaming

    @Test(arguments: [true, false]) func theCachedFileFollowsARename(_ changesTag: Bool) async throws {
        let fixture = try Fixture()
        let bytes = pattern(200_000)
        let id = try await fixture.add("a.fastshot", bytes)
        let reader = try fixture.cache.open(id)
        _ = try await reader.everything()
        await fixture.cache.drain()
        let md5 = MD5.hex(bytes)
        let facts = ObjectFacts(
            size: UInt64(bytes.count), etag: changesTag ? "copied" : md5, contentMD5: changesTag ? nil : md5)
        let delta = try fixture.catalog.published([
            PublishedSession(id: id, fileName: "b.fastshot", facts: facts)
        ])
        fixture.cache.renamed(id: id, from: "a.fastshot", to: "b.fastshot")
        fixture.cache.apply(delta)
        reader.close()
        await fixture.cache.drain()
        #expect(try fixture.names() == ["b.fastshot"])
        #expect(fixture.cache.state(id) == .cached)
        #expect(try await fixture.cache.open(id).everything() == bytes)
        #expect(fixture.store.requests.count == 1)
        // Again is harmless.
        fixture.cache.renamed(id: id, from: "a.fastshot", to: "b.fastshot")
        #expect(fixture.cache.state(id) == .cached)
    }

    @Test func anotherBodyDoesNotFollowARename() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        _ = try await fixture.cache.open(id).everything()
        await fixture.cache.drain()
        let edited = pattern(1000, seed: 2)
        try publish(fixture, id, "b.fastshot", edited)
        fixture.cache.renamed(id: id, from: "a.fastshot", to: "b.fastshot")
        #expect(fixture.cache.state(id) == .remote)
        #expect(try fixture.names().isEmpty)
    }

    @Test func anEditThatWasRenamedLeavesNothingBehind() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        _ = try await fixture.cache.open(id).everything()
        await fixture.cache.drain()
        let edited = pattern(2000, seed: 2)
        try publish(fixture, id, "b.fastshot", edited)
        #expect(adopt(fixture, id, "b.fastshot", edited, try stage(fixture, edited)))
        #expect(try fixture.names() == ["b.fastshot"])
        #expect(try await fixture.cache.open(id).everything() == edited)
    }

    @Test func theOldNamesAbsenceIsNotTheSessionsEnd() async throws {
        let fixture = try Fixture()
        let bytes = pattern(1000)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.gate = gate
            return answer
        }
        let reader = try fixture.cache.open(id)
        try await eventually { !fixture.store.requests.isEmpty }
        fixture.store.remove("sessions/a.fastshot")
        try publish(fixture, id, "b.fastshot", bytes)
        gate.open()
        #expect(await reader.failure(at: 0, count: 10) == .notFound)
        await fixture.cache.drain()
        #expect(try fixture.catalog.entry(id: id)?.fileName == "b.fastshot")
    }
}
