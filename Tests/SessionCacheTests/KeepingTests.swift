import Catalog
import Foundation
import ObjectStore
import Operations
import Platform
import TestSupport
import Testing

@testable import SessionCache

private let mebibyte = 1 << 20

@Suite(.timeLimit(.minutes(2))) struct KeepingTests {
    /// Fills a directory's cache with one body and closes everything.
    private func cachedOnce(_ root: String, _ store: ScriptedStore, _ bytes: [UInt8]) async throws -> Int64 {
        let fixture = try Fixture(root: root, store: store)
        let id = try await fixture.add("a.fastshot", bytes)
        _ = try await fixture.cache.open(id).everything()
        await fixture.cache.drain()
        fixture.catalog.close()
        return id
    }

    @Test func aValidBodyIsReadAfterARestartWithoutTheStore() async throws {
        let root = try Fixture.temporaryDirectory()
        defer { try? Files.removeTree(root) }
        let (store, bytes) = (ScriptedStore(), pattern(200_000))
        let id = try await cachedOnce(root, store, bytes)
        let fixture = try Fixture(root: root, store: store)
        #expect(fixture.cache.state(id) == .cached)
        let body = try fixture.cache.open(id)
        #expect(body.complete != nil)
        #expect(try await body.everything() == bytes)
        #expect(store.requests.count == 1)
    }

    enum Damage: CaseIterable { case flippedByte, truncated, removed, replaced, link }

    @Test(arguments: Damage.allCases)
    func aBodyThatSomebodyTouchedIsFetchedAgain(damage: Damage) async throws {
        let root = try Fixture.temporaryDirectory()
        defer { try? Files.removeTree(root) }
        let (store, bytes) = (ScriptedStore(), pattern(200_000))
        let id = try await cachedOnce(root, store, bytes)
        let path = root + "/sessions/a.fastshot"
        switch damage {
        case .flippedByte: try FileDescriptor.open(path, .readWrite).write([bytes[5] ^ 1], at: 5)
        case .truncated: try FileDescriptor.open(path, .readWrite).truncate(to: 100)
        case .removed: try Files.remove(path)
        case .replaced: try Files.replace(path, with: pattern(200_000, seed: 5))
        case .link:
            try Files.rename(path, to: root + "/elsewhere")
            try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: root + "/elsewhere")
        }
        let fixture = try Fixture(root: root, store: store)
        let body = try fixture.cache.open(id)
        #expect(body.complete == nil)
        #expect(try await body.everything() == bytes)
        await fixture.cache.drain()
        #expect(try Files.read(path) == bytes)
        #expect(fixture.cache.state(id) == .cached)
    }

    @Test func aBodyOfAnOlderVersionIsNotServed() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        let old = try fixture.cache.open(id)
        _ = try await old.everything()
        await fixture.cache.drain()
        let newer = pattern(1000, seed: 2)
        try await fixture.add("a.fastshot", newer)
        #expect(fixture.cache.state(id) == .remote)
        #expect(try await fixture.cache.open(id).everything() == newer)
        #expect(try await old.everything() == pattern(1000))
    }

    @Test func theLeastRecentlyUsedGoFirstAndOpenOrPinnedOnesStay() async throws {
        var options = CacheOptions.quick
        options.maxBytes = 350_000
        let fixture = try Fixture(options: options)
        var ids: [Int64] = []
        for number in 0..<5 {
            ids.append(try await fixture.add("\(number).fastshot", pattern(100_000, seed: UInt64(number))))
        }
        func use(_ number: Int) async throws -> OpenBody {
            let body = try fixture.cache.open(ids[number])
            _ = try await body.everything()
            await fixture.cache.drain()
            return body
        }
        let open = try await use(0)
        try await use(1).close()
        var pinned = try #require(try fixture.catalog.body(id: ids[1]))
        pinned.pinned = true
        try fixture.catalog.recordBody(pinned)
        try await use(2).close()
        try await use(3).close()
        #expect(try fixture.names() == ["0.fastshot", "1.fastshot", "3.fastshot"])
        try await use(4).close()
        #expect(try fixture.names() == ["0.fastshot", "1.fastshot", "4.fastshot"])
        #expect(fixture.cache.statistics().evictions == 2)
        #expect(fixture.cache.statistics().cachedBytes == 300_000)
        #expect(try await open.everything() == pattern(100_000, seed: 0))
    }

    @Test func clearingKeepsPinnedOnesAndWaitsForOpenOnes() async throws {
        let fixture = try Fixture()
        var ids: [Int64] = []
        for name in ["free", "open", "pinned"] {
            let id = try await fixture.add("\(name).fastshot", pattern(1000))
            _ = try await fixture.cache.open(id).everything()
            ids.append(id)
        }
        await fixture.cache.drain()
        var pinned = try #require(try fixture.catalog.body(id: ids[2]))
        pinned.pinned = true
        try fixture.catalog.recordBody(pinned)
        let open = try fixture.cache.open(ids[1])
        let removed = fixture.cache.clear(keepPinned: true)
        #expect(removed.bodies == 1 && removed.bytes == 1000)
        #expect(try fixture.names() == ["open.fastshot", "pinned.fastshot"])
        #expect(try await open.everything() == pattern(1000))
        open.close()
        await fixture.cache.drain()
        #expect(try fixture.names() == ["pinned.fastshot"])
        fixture.cache.clear(keepPinned: false)
        #expect(try fixture.names().isEmpty)
    }

    @Test func aSessionThatIsGoneTakesItsBodyAlongWhenItIsClosed() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        let body = try fixture.cache.open(id)
        _ = try await body.everything()
        await fixture.cache.drain()
        fixture.cache.apply(try fixture.catalog.remove(id: id))
        await fixture.cache.drain()
        #expect(try fixture.names() == ["a.fastshot"])
        #expect(try await body.everything() == pattern(1000))
        body.close()
        await fixture.cache.drain()
        #expect(try fixture.names().isEmpty)
        #expect(try fixture.catalog.bodies().isEmpty)
    }

    @Test func aSessionMadeAgainUnderItsNameKeepsItsOwnBody() async throws {
        let fixture = try Fixture()
        let first = try await fixture.add("a.fastshot", pattern(1000))
        let body = try fixture.cache.open(first)
        _ = try await body.everything()
        await fixture.cache.drain()
        fixture.cache.apply(try fixture.catalog.remove(id: first))
        let newer = pattern(1000, seed: 2)
        let second = try await fixture.add("a.fastshot", newer)
        #expect(second != first)
        _ = try await fixture.cache.open(second).everything()
        await fixture.cache.drain()
        body.close()
        await fixture.cache.drain()
        #expect(try Files.read(fixture.path("a.fastshot")) == newer)
        #expect(fixture.cache.state(second) == .cached)
    }

    @Test func aDeltaThatTakesTheSessionEndsItsDownload() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.gate = Gate()
            return answer
        }
        let body = try fixture.cache.open(id)
        async let failure = body.failure(at: 0, count: 10)
        try await eventually { !fixture.store.requests.isEmpty }
        fixture.cache.apply(try fixture.catalog.remove(id: id))
        #expect(await failure == .notFound)
    }

    @Test func whatAnEarlierProcessLeftIsTidiedUp() async throws {
        let root = try Fixture.temporaryDirectory()
        defer { try? Files.removeTree(root) }
        let (store, bytes) = (ScriptedStore(), pattern(200_000))
        let id = try await cachedOnce(root, store, bytes)
        // A partial download, one that is in use, a body without a record, and one that nobody knows.
        try Files.replace(root + "/sessions/.7.abc.partial", with: [1, 2, 3])
        let inUse = try PartialFile(in: root + "/sessions", id: 9, size: 10)
        try Files.replace(root + "/sessions/unknown.fastshot", with: [1, 2, 3])
        let between = try Catalog.open(directory: root + "/meta_cache")
        try between.removeBody(id: id)
        between.close()
        let fixture = try Fixture(root: root, store: store)
        await fixture.cache.drain()
        let names = try fixture.names()
        #expect(names.count == 2)
        #expect(names.last == "a.fastshot")
        #expect(names.first?.hasPrefix(".9.") == true)
        #expect(fixture.cache.state(id) == .cached)
        inUse.discard()
    }

    @Test func aWholeFileWithoutARecordAndWithWrongBytesIsRemoved() async throws {
        let root = try Fixture.temporaryDirectory()
        defer { try? Files.removeTree(root) }
        let store = ScriptedStore()
        let id = try await cachedOnce(root, store, pattern(200_000))
        try Files.replace(root + "/sessions/a.fastshot", with: pattern(200_000, seed: 2))
        let between = try Catalog.open(directory: root + "/meta_cache")
        try between.removeBody(id: id)
        between.close()
        let fixture = try Fixture(root: root, store: store)
        await fixture.cache.drain()
        #expect(try fixture.names().isEmpty)
    }

    @Test func twoCachesOnOneDirectoryServeTheRightBytes() async throws {
        let root = try Fixture.temporaryDirectory()
        defer { try? Files.removeTree(root) }
        let store = ScriptedStore()
        let (one, two) = (try Fixture(root: root, store: store), try Fixture(root: root, store: store))
        let bytes = pattern(2 * mebibyte)
        let id = try await one.add("a.fastshot", bytes)
        async let first = one.cache.open(id).everything()
        async let second = two.cache.open(id).everything()
        #expect(try await first == bytes)
        #expect(try await second == bytes)
        await one.cache.drain()
        await two.cache.drain()
        #expect(try one.names() == ["a.fastshot"])
        #expect(try await one.cache.open(id).everything() == bytes)
        #expect(try await two.cache.open(id).everything() == bytes)
    }

    @Test func namesOfTheGreatestLengthFit() async throws {
        let fixture = try Fixture()
        let name = String(repeating: "é", count: 123) + ".fastshot"
        #expect(name.utf8.count == 255)
        let id = try await fixture.add(name, pattern(1000))
        _ = try await fixture.cache.open(id).everything()
        await fixture.cache.drain()
        #expect(fixture.cache.state(id) == .cached)
    }
}

/// Needs root for the small filesystem; the README's test command runs as root or in a user namespace.
@Suite(.enabled(if: geteuid() == 0, "mounts a tmpfs, which needs root"), .timeLimit(.minutes(2)))
struct FullDiskTests {
    private func withSmallDisk(mebibytes: Int, _ body: (String) async throws -> Void) async throws {
        let root = try Fixture.temporaryDirectory()
        func run(_ arguments: String...) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = arguments
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
        }
        try run("mount", "-t", "tmpfs", "-o", "size=\(mebibytes)m,mode=700", "tmpfs", root)
        defer {
            try? run("umount", "-l", root)
            try? Files.removeTree(root)
        }
        try await body(root)
    }

    @Test func aBodyThatDoesNotFitIsDiskFullAndLeavesNothing() async throws {
        try await withSmallDisk(mebibytes: 8) { root in
            let fixture = try Fixture(root: root)
            let id = try await fixture.add("a.fastshot", pattern(9 * mebibyte))
            let body = try fixture.cache.open(id)
            #expect(await body.failure(at: 0, count: 10) == .diskFull)
            await fixture.cache.drain()
            #expect(try fixture.names().isEmpty)
            let small = try await fixture.add("b.fastshot", pattern(mebibyte))
            #expect(try await fixture.cache.open(small).everything() == pattern(mebibyte))
            await fixture.cache.drain()
            fixture.catalog.close()
        }
    }

    @Test func olderBodiesMakeRoom() async throws {
        try await withSmallDisk(mebibytes: 12) { root in
            let fixture = try Fixture(root: root)
            for number in 0..<4 {
                let bytes = pattern(4 * mebibyte, seed: UInt64(number))
                let id = try await fixture.add("\(number).fastshot", bytes)
                #expect(try await fixture.cache.open(id).everything() == bytes)
                await fixture.cache.drain()
                #expect(fixture.cache.state(id) == .cached)
            }
            #expect(fixture.cache.statistics().evictions >= 2)
            fixture.catalog.close()
        }
    }
}
