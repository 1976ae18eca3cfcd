import Catalog
import Foundation
import ObjectStore
import Operations
import Platform
import Synchronization
import TestSupport
import Testing

@testable import SessionCache

private let mebibyte = 1 << 20

@Suite(.timeLimit(.minutes(2))) struct DownloadingTests {
    @Test func theFirstOpenDownloadsAndTheSecondReadsTheFile() async throws {
        let fixture = try Fixture()
        let bytes = pattern(300_000)
        let id = try await fixture.add("a.fastshot", bytes)
        #expect(fixture.cache.state(id) == .remote)
        let first = try fixture.cache.open(id)
        #expect(first.complete == nil)
        #expect(try await first.everything() == bytes)
        await fixture.cache.drain()
        #expect(first.complete != nil)
        #expect(fixture.cache.state(id) == .cached)
        let second = try fixture.cache.open(id)
        #expect(try second.complete?.read(at: 0, count: bytes.count) == bytes)
        #expect(try await second.everything() == bytes)
        #expect(fixture.store.requests.count == 1)
        let statistics = fixture.cache.statistics()
        #expect(statistics.hits == 1 && statistics.misses == 1 && statistics.downloads == 1)
        #expect(statistics.bytesDownloaded == 300_000 && statistics.cachedBytes == 300_000)
        #expect(try fixture.names() == ["a.fastshot"])
        #expect(try Files.status(fixture.path("a.fastshot"))?.permissions == 0o600)
    }

    @Test func fiftyReadersShareOneDownload() async throws {
        let fixture = try Fixture()
        let bytes = pattern(3 * mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.gate = gate
            return answer
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for reader in 0..<50 {
                let body = try fixture.cache.open(id)
                group.addTask { try await body.everything(piece: 10_000 + reader * 1000) == bytes }
            }
            gate.open()
            for try await same in group { #expect(same) }
        }
        await fixture.cache.drain()
        #expect(fixture.cache.statistics().downloads == 1)
        let fetched = fixture.cache.statistics().bytesDownloaded
        #expect(fetched >= UInt64(bytes.count) && fetched < UInt64(bytes.count) * 2)
    }

    @Test func readsOutOfOrderAreAnsweredWhileTheRestIsHeldBack() async throws {
        let fixture = try Fixture()
        let bytes = pattern(24 * mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        let wanted = UInt64(17 * mebibyte + 12345)
        fixture.store.script { request in
            var answer = ScriptedStore.Answer()
            if request.start != wanted { answer.gate = gate }
            return answer
        }
        let body = try fixture.cache.open(id)
        let piece = try await body.bytes(at: wanted, count: 5000)
        #expect(piece == Array(bytes[Int(wanted)..<Int(wanted) + 5000]))
        guard case .downloading(let done, let total) = fixture.cache.state(id) else {
            Issue.record("not downloading")
            return
        }
        #expect(done < total && total == UInt64(bytes.count))
        gate.open()
        #expect(try await body.everything() == bytes)
    }

    @Test func aReadWhoseBytesAreThereIsAnsweredOnTheCallingThread() async throws {
        let fixture = try Fixture()
        let bytes = pattern(200_000)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.pause = (100_000, gate)
            return answer
        }
        let body = try fixture.cache.open(id)
        _ = try await body.bytes(at: 0, count: 100_000)
        let answered = Guarded(false)
        body.read(at: 50_000, count: 1000) { _ in answered.withLock { $0 = true } }
        #expect(answered.withLock { $0 })
        gate.open()
        await fixture.cache.drain()
    }

    @Test func readsAtAndBehindTheEndAreEmpty() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        let body = try fixture.cache.open(id)
        #expect(try await body.bytes(at: 990, count: 100).count == 10)
        #expect(try await body.bytes(at: 1000, count: 100).isEmpty)
        #expect(try await body.bytes(at: 1 << 40, count: 100).isEmpty)
        await fixture.cache.drain()
        let cached = try fixture.cache.open(id)
        #expect(try await cached.bytes(at: 990, count: 100).count == 10)
        #expect(try await cached.bytes(at: 1 << 40, count: 100).isEmpty)
    }

    @Test func anEmptyObjectCanBeRead() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", [])
        #expect(try await fixture.cache.open(id).everything().isEmpty)
        await fixture.cache.drain()
        #expect(fixture.cache.state(id) == .cached)
    }

    @Test func aLargeObjectOfUnknownVersionIsPinnedByItsFirstAnswer() async throws {
        let fixture = try Fixture(options: .parallel)
        let bytes = pattern(20 * mebibyte)
        let id = try await fixture.add("a.fastshot", bytes, knowsTag: false)
        #expect(try await fixture.cache.open(id).everything() == bytes)
        await fixture.cache.drain()
        let requests = fixture.store.requests
        #expect(requests.count > 1)
        #expect(requests.first?.ifMatch == nil)
        #expect(requests.dropFirst().allSatisfy { $0.ifMatch != nil })
        #expect(try fixture.catalog.entry(id: id)?.etag == requests.last?.ifMatch)
    }

    @Test func aStoreThatIgnoresRangesStillGivesTheRightBytes() async throws {
        let fixture = try Fixture()
        let bytes = pattern(12 * mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.ignoresRange = true
            return answer
        }
        #expect(try await fixture.cache.open(id).everything() == bytes)
    }

    @Test func withoutAnyDigestTheBodyIsKeptWithItsOwn() async throws {
        let fixture = try Fixture()
        let bytes = pattern(100_000)
        let id = try await fixture.add("a.fastshot", bytes, etag: "tag", contentMD5: nil)
        #expect(try await fixture.cache.open(id).everything() == bytes)
        await fixture.cache.drain()
        #expect(try fixture.catalog.body(id: id)?.digest.hasPrefix("sha256:") == true)
    }

    @Test func aDownloadIsAnOperationWithProgress() async throws {
        let fixture = try Fixture()
        let bytes = pattern(4 * mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.pause = (3 * mebibyte, gate)
            return answer
        }
        let body = try fixture.cache.open(id)
        _ = try await body.bytes(at: 0, count: 2 * mebibyte)
        let running = try #require(fixture.operations.list().first)
        #expect(running.kind == .download && running.subject == "sessions/a.fastshot" && running.state == .running)
        #expect(running.completed > 0 && running.total == UInt64(bytes.count))
        #expect(fixture.cache.statistics().inFlight.map(\.id) == [id])
        gate.open()
        await fixture.cache.drain()
        let ended = try #require(fixture.operations.list().first)
        #expect(ended.state == .done && ended.completed == UInt64(bytes.count))
        #expect(fixture.cache.statistics().inFlight.isEmpty)
        body.close()
    }

    @Test func cancellingTheOperationInterruptsTheReadersAndLeavesNothing() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(mebibyte))
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.gate = Gate()
            return answer
        }
        let body = try fixture.cache.open(id)
        async let failure = body.failure(at: 0, count: 100)
        try await eventually { fixture.operations.list().first?.state == .running }
        let operation = try #require(fixture.operations.list().first)
        #expect(fixture.operations.cancel(operation.id))
        #expect(await failure == .interrupted)
        await fixture.cache.drain()
        #expect(fixture.operations.snapshot(operation.id)?.state == .cancelled)
        try await eventually { try fixture.names().isEmpty }
        #expect(fixture.cache.state(id) == .remote)
        fixture.store.script { _ in .plain }
        #expect(try await fixture.cache.open(id).everything().count == mebibyte)
    }

    @Test func cancellingReadsOfOneFileLeavesTheOthersWaiting() async throws {
        let fixture = try Fixture()
        let bytes = pattern(1000)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.gate = gate
            return answer
        }
        let (one, other) = (try fixture.cache.open(id), try fixture.cache.open(id))
        let results = Guarded<[String]>([])
        one.read(at: 0, count: 10) { reply in
            if case .failure(let error) = reply { results.withLock { $0.append(error.kind.rawValue) } }
        }
        async let bytesOfOther = other.everything()
        one.cancelReads()
        try await eventually { results.withLock { $0 } == ["interrupted"] }
        gate.open()
        #expect(try await bytesOfOther == bytes)
        #expect(try await one.everything() == bytes)
    }

    @Test func closingEarlyFinishesASmallBodyAndStopsALargeOne() async throws {
        var options = CacheOptions.quick
        options.whenClosed = .finish(upTo: 1_000_000, orFrom: 0.25)
        let fixture = try Fixture(options: options)
        let small = try await fixture.add("small.fastshot", pattern(900_000))
        let large = try await fixture.add("large.fastshot", pattern(2_000_000))
        let gate = Gate()
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.pause = (65536, gate)
            return answer
        }
        for id in [small, large] {
            let body = try fixture.cache.open(id)
            _ = try await body.bytes(at: 0, count: 100)
            body.close()
        }
        gate.open()
        await fixture.cache.drain()
        #expect(fixture.cache.state(small) == .cached)
        #expect(fixture.cache.state(large) == .remote)
        #expect(try fixture.names() == ["small.fastshot"])
    }

    @Test func withoutStartOnOpenTheFirstReadStartsTheDownload() async throws {
        var options = CacheOptions.quick
        options.startOnOpen = false
        let fixture = try Fixture(options: options)
        let id = try await fixture.add("a.fastshot", pattern(1000))
        let unread = try fixture.cache.open(id)
        unread.close()
        await fixture.cache.drain()
        #expect(fixture.store.requests.isEmpty && fixture.operations.list().isEmpty)
        #expect(try await fixture.cache.open(id).everything().count == 1000)
    }

    @Test func anUnknownSessionIsNotFoundAndAShutDownCacheOpensNothing() async throws {
        let fixture = try Fixture()
        #expect(throws: CacheError.self) { try fixture.cache.open(42) }
        let id = try await fixture.add("a.fastshot", pattern(1000))
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.gate = Gate()
            return answer
        }
        let body = try fixture.cache.open(id)
        async let failure = body.failure(at: 0, count: 10)
        try await eventually { !fixture.store.requests.isEmpty }
        fixture.cache.shutdown()
        #expect(await failure == .interrupted)
        await fixture.cache.drain()
        #expect(throws: CacheError.self) { try fixture.cache.open(id) }
        #expect(try fixture.names().isEmpty)
    }
}
