import Catalog
import Digests
import ObjectStore
import Platform
import TestSupport
import Testing

@testable import SessionCache

private let key = "sessions/a.fastshot"

/// The cache over stores that are not made for its tests.
@Suite(.timeLimit(.minutes(2))) struct StoresTests {
    private func learn(_ fixture: Fixture, _ size: Int) throws -> Int64 {
        _ = try fixture.catalog.apply([.object(fileName: "a.fastshot", ObjectFacts(size: UInt64(size)))])
        return try #require(try fixture.catalog.entry(fileName: "a.fastshot")?.id)
    }

    @Test(arguments: [0, 1, 100_000, 10 << 20])
    func aDirectoryStoreIsReadByteForByte(size: Int) async throws {
        let directory = try TemporaryDirectory()
        let bytes = pattern(size)
        try directory.write(key, bytes)
        let fixture = try Fixture(over: LocalDirectoryStore(directory: directory.path), options: .parallel)
        let id = try learn(fixture, size)
        #expect(try await fixture.cache.open(id).everything() == bytes)
        await fixture.cache.drain()
        #expect(fixture.cache.state(id) == .cached)
        #expect(try Files.read(fixture.path("a.fastshot")) == bytes)
    }

    @Test func aFileReplacedInADirectoryStoreIsReadAnew() async throws {
        let directory = try TemporaryDirectory()
        try directory.write(key, pattern(100_000))
        let fixture = try Fixture(over: LocalDirectoryStore(directory: directory.path))
        let id = try learn(fixture, 100_000)
        _ = try await fixture.cache.open(id).everything()
        await fixture.cache.drain()
        let newer = pattern(120_000, seed: 2)
        try directory.write(key, newer)
        // The refresh tells the catalog.
        let info = try await LocalDirectoryStore(directory: directory.path).head(key)
        fixture.cache.apply(try fixture.catalog.update(id: id, facts: ObjectFacts(size: info.size, etag: info.etag)))
        #expect(try await fixture.cache.open(id).everything() == newer)
    }

    enum Trouble: CaseIterable { case truncated, shortened, corrupted, failed, throttled }

    @Test(arguments: Trouble.allCases)
    func aPassingFaultBelowTheUsualRetriesIsNotSeen(trouble: Trouble) async throws {
        let memory = MemoryStore()
        let bytes = pattern(1 << 20)
        memory.set(key, bytes)
        let faulty = FaultyStore(memory)
        switch trouble {
        case .truncated: faulty.inject(.truncate(after: 300_000), verb: .get, times: 3)
        case .shortened: faulty.inject(.shorten(to: 100_000), verb: .get, times: 3)
        case .corrupted: faulty.inject(.corrupt(at: 77), verb: .get)
        case .failed: faulty.inject(.fail(StoreError(.temporary, message: "503", status: 503)), verb: .get, times: 3)
        case .throttled: faulty.inject(.fail(StoreError(.throttled, message: "429", status: 429)), verb: .get, times: 2)
        }
        let store = RetryingStore(faulty, policy: RetryPolicy(base: 0.001, cap: 0.01))
        let fixture = try Fixture(over: store)
        let id = try learn(fixture, bytes.count)
        let digest = ObjectFacts(
            size: UInt64(bytes.count), contentMD5: try await memory.head(key).contentMD5 ?? MD5.hex(bytes))
        _ = try fixture.catalog.update(id: id, facts: digest)
        // One read of everything: it is answered only once all of it was verified.
        #expect(try await fixture.cache.open(id).bytes(at: 0, count: bytes.count) == bytes)
        await fixture.cache.drain()
        #expect(try Files.read(fixture.path("a.fastshot")) == bytes)
        #expect(faulty.count(.get) > 1)
    }

    @Test func aStoreThatGoesAwayIsOfflineAndBackAgain() async throws {
        let memory = MemoryStore()
        memory.set(key, pattern(1000))
        let faulty = FaultyStore(memory)
        faulty.setDown(StoreError(.unreachable, message: "no route to host"))
        var options = CacheOptions.quick
        options.stallLimit = 0.2
        let fixture = try Fixture(over: faulty, options: options)
        let id = try learn(fixture, 1000)
        #expect(await (try fixture.cache.open(id)).failure(at: 0, count: 10) == .offline)
        faulty.setDown(nil)
        #expect(try await fixture.cache.open(id).everything() == pattern(1000))
    }
}
