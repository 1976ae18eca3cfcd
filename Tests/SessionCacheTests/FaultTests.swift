import Catalog
import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

@testable import SessionCache

private let mebibyte = 1 << 20

@Suite(.timeLimit(.minutes(2))) struct FaultTests {
    @Test func aBodyThatIsCutIsResumedWhereItEnded() async throws {
        let fixture = try Fixture()
        let bytes = pattern(mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        fixture.store.script { request in
            var answer = ScriptedStore.Answer()
            if request.number == 0 { answer.endAfter = 300_000 }
            if request.number == 1 {
                answer.cutAfter = (200_000, StoreError(.temporary, message: "connection reset"))
            }
            return answer
        }
        #expect(try await fixture.cache.open(id).everything() == bytes)
        await fixture.cache.drain()
        #expect(fixture.store.requests.map(\.start) == [0, 300_000, 500_000])
        #expect(fixture.cache.statistics().bytesDownloaded == UInt64(bytes.count))
        #expect(fixture.cache.state(id) == .cached)
    }

    @Test(arguments: [StoreError.Kind.temporary, .throttled, .unreachable])
    func anErrorThatPassesIsNotSeen(kind: StoreError.Kind) async throws {
        let fixture = try Fixture()
        let bytes = pattern(mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        fixture.store.script { $0.number < 3 ? .failing(kind) : .plain }
        #expect(try await fixture.cache.open(id).everything() == bytes)
        #expect(fixture.store.requests.count == 4)
    }

    @Test(arguments: [
        (StoreError.Kind.unreachable, CacheError.Kind.offline), (.temporary, .io), (.forbidden, .denied),
        (.unauthenticated, .denied), (.permanent, .io),
    ])
    func anErrorThatStaysIsAClearRefusal(kind: StoreError.Kind, expected: CacheError.Kind) async throws {
        var options = CacheOptions.quick
        options.stallLimit = 0.2
        let fixture = try Fixture(options: options)
        let id = try await fixture.add("a.fastshot", pattern(mebibyte))
        fixture.store.script { _ in .failing(kind) }
        let body = try fixture.cache.open(id)
        #expect(await body.failure(at: 0, count: 10) == expected)
        #expect(await body.failure(at: 5, count: 10) == expected)
        await fixture.cache.drain()
        #expect(fixture.cache.statistics().failures == 1)
        #expect(try fixture.names().isEmpty)
        fixture.store.script { _ in .plain }
        #expect(try await fixture.cache.open(id).everything().count == mebibyte)
    }

    @Test func aStoreThatFallsSilentIsOffline() async throws {
        var options = CacheOptions.quick
        options.stallLimit = 0.3
        let fixture = try Fixture(options: options)
        let id = try await fixture.add("a.fastshot", pattern(mebibyte))
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.pause = (65536, Gate())
            return answer
        }
        let body = try fixture.cache.open(id)
        #expect(try await body.bytes(at: 0, count: 65536).count == 65536)
        #expect(await body.failure(at: 65536, count: 10) == .offline)
    }

    // MARK: Wrong bytes

    @Test func aBodyCorruptedOnceIsFetchedAgainBeforeAnybodySeesIt() async throws {
        let fixture = try Fixture()
        let bytes = pattern(500_000)
        let id = try await fixture.add("a.fastshot", bytes)
        fixture.store.script { request in
            var answer = ScriptedStore.Answer()
            if request.number == 0 { answer.corrupt = { piece, _ in piece[0] ^= 1 } }
            return answer
        }
        let body = try fixture.cache.open(id)
        #expect(try await body.bytes(at: 0, count: 500_000) == bytes)
        await fixture.cache.drain()
        #expect(try Files.read(fixture.path("a.fastshot")) == bytes)
    }

    @Test func aBodyThatStaysCorruptIsRefusedAndNothingIsKept() async throws {
        let fixture = try Fixture()
        let bytes = pattern(500_000)
        let id = try await fixture.add("a.fastshot", bytes)
        fixture.store.script { _ in
            var answer = ScriptedStore.Answer()
            answer.corrupt = { piece, offset in if offset >= 400_000 { piece[0] ^= 1 } }
            return answer
        }
        let body = try fixture.cache.open(id)
        await #expect(throws: CacheError.self) { try await body.everything() }
        #expect(await body.failure(at: 0, count: 10) == .corrupt)
        await fixture.cache.drain()
        #expect(fixture.store.requests.count == 2)
        #expect(try fixture.names().isEmpty)
        #expect(try fixture.catalog.body(id: id) == nil)
        let message = try #require(fixture.operations.list().first?.message)
        #expect(message.contains("md5:"))
    }

    @Test func aReaderThatGotWrongBytesNeverReadsToTheEnd() async throws {
        let fixture = try Fixture()
        let bytes = pattern(500_000)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { request in
            var answer = ScriptedStore.Answer()
            if request.number == 0 {
                answer.corrupt = { piece, offset in if offset == 0 { piece[0] ^= 1 } }
                answer.pause = (131_072, gate)
            }
            return answer
        }
        let misled = try fixture.cache.open(id)
        let patient = try fixture.cache.open(id)
        #expect(try await misled.bytes(at: 0, count: 100)[0] != bytes[0])
        gate.open()
        async let right = patient.bytes(at: 0, count: bytes.count)
        #expect(await misled.failure(at: 100, count: bytes.count) == .corrupt)
        #expect(try await right == bytes)
        await fixture.cache.drain()
        #expect(await misled.failure(at: 0, count: 1) == .corrupt)
        #expect(try Files.read(fixture.path("a.fastshot")) == bytes)
        // Its kernel pages have to go.
        try await eventually { fixture.deltas.withLock { $0.contains { $0.changed == [id] } } }
    }

    @Test func aReaderWhoseBytesWereRightGoesOnAfterASecondAttempt() async throws {
        let fixture = try Fixture()
        let bytes = pattern(500_000)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { request in
            var answer = ScriptedStore.Answer()
            if request.number == 0 {
                answer.corrupt = { piece, offset in if offset > 200_000 { piece[0] ^= 1 } }
                answer.pause = (131_072, gate)
            }
            return answer
        }
        let body = try fixture.cache.open(id)
        #expect(try await body.bytes(at: 0, count: 100_000) == Array(bytes[..<100_000]))
        gate.open()
        #expect(try await body.bytes(at: 100_000, count: 400_000) == Array(bytes[100_000...]))
    }

    @Test func aDigestInTheCatalogIsCheckedWhereTheStoreNamesNone() async throws {
        let fixture = try Fixture()
        let bytes = pattern(100_000)
        let id = try await fixture.add("a.fastshot", bytes, etag: "opaque", contentMD5: nil)
        let facts = ObjectFacts(size: 100_000, etag: "opaque", contentMD5: String(repeating: "0", count: 32))
        _ = try fixture.catalog.update(id: id, facts: facts)
        let body = try fixture.cache.open(id)
        #expect(await body.failure(at: 0, count: 100_000) == .corrupt)
        await fixture.cache.drain()
        #expect(try fixture.names().isEmpty)
    }

    // MARK: Versions

    @Test func anObjectReplacedBeforeTheOpenIsReadInItsNewVersion() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(mebibyte))
        let newer = pattern(mebibyte + 77, seed: 2)
        fixture.store.set("sessions/a.fastshot", newer)
        let body = try fixture.cache.open(id)
        #expect(try await body.bytes(at: 0, count: 100) == Array(newer[..<100]))
        #expect(body.size == UInt64(newer.count))
        #expect(try await body.everything() == newer)
        await fixture.cache.drain()
        let entry = try #require(try fixture.catalog.entry(id: id))
        #expect(entry.size == UInt64(newer.count))
        #expect(fixture.deltas.withLock { $0.contains { $0.changed.contains(id) } })
        #expect(fixture.cache.state(id) == .cached)
    }

    @Test func anObjectReplacedWhileItIsReadIsRefusedAndReadAnewByTheNextOpen() async throws {
        let fixture = try Fixture(options: .parallel)
        let bytes = pattern(24 * mebibyte)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { request in
            var answer = ScriptedStore.Answer()
            if request.start > 0 && request.number < 8 { answer.gate = gate }
            return answer
        }
        let body = try fixture.cache.open(id)
        #expect(try await body.bytes(at: 0, count: 1000) == Array(bytes[..<1000]))
        let newer = pattern(2 * mebibyte, seed: 3)
        fixture.store.set("sessions/a.fastshot", newer)
        async let failure = body.failure(at: UInt64(10 * mebibyte), count: 1000)
        gate.open()
        #expect(await failure == .changed)
        #expect(await body.failure(at: 0, count: 10) == .changed)
        await fixture.cache.drain()
        #expect(try await fixture.cache.open(id).everything() == newer)
    }

    @Test func aStoreThatIgnoresConditionsDoesNotMixVersions() async throws {
        let fixture = try Fixture(options: .parallel)
        let bytes = pattern(24 * mebibyte)
        let newer = pattern(24 * mebibyte, seed: 9)
        let id = try await fixture.add("a.fastshot", bytes)
        let gate = Gate()
        fixture.store.script { request in
            var answer = ScriptedStore.Answer()
            answer.ignoresCondition = true
            if request.start > 0 && request.number < 8 { answer.gate = gate }
            return answer
        }
        let body = try fixture.cache.open(id)
        async let all = body.bytes(at: 0, count: 20 * mebibyte)
        try await eventually { fixture.store.requests.count >= 8 }
        fixture.store.set("sessions/a.fastshot", newer)
        gate.open()
        #expect(try await all == Array(newer[..<(20 * mebibyte)]))
        #expect(try await body.everything() == newer)
    }

    @Test func anObjectThatIsGoneIsNotFoundAndLeavesTheCatalog() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", pattern(1000))
        fixture.store.remove("sessions/a.fastshot")
        let body = try fixture.cache.open(id)
        #expect(await body.failure(at: 0, count: 10) == .notFound)
        await fixture.cache.drain()
        #expect(try fixture.catalog.entry(id: id) == nil)
        #expect(fixture.deltas.withLock { $0.contains { $0.removed.map(\.id) == [id] } })
        #expect(throws: CacheError.self) { try fixture.cache.open(id) }
    }

    @Test func anObjectShorterThanTheCatalogThinksIsReadWhole() async throws {
        let fixture = try Fixture()
        let bytes = pattern(100_000)
        let id = try await fixture.add("a.fastshot", bytes, etag: nil, contentMD5: nil)
        _ = try fixture.catalog.update(id: id, facts: ObjectFacts(size: UInt64(20 * mebibyte)))
        let body = try fixture.cache.open(id)
        #expect(try await body.everything() == bytes)
        #expect(body.size == 100_000)
    }

    // MARK: Everything at once

    @Test(arguments: 1...9)
    func whateverHappensNoReaderSeesWrongBytes(seed: UInt64) async throws {
        let fixture = try Fixture(options: seed % 3 == 0 ? .quick : .parallel)
        var random = Jitter(state: seed)
        let size = Int(random.next() * Double(16 * mebibyte))
        let bytes = pattern(size, seed: seed)
        let id = try await fixture.add("a.fastshot", bytes, knowsTag: random.next() < 0.5)
        fixture.store.script { request in
            var dice = Jitter(state: seed &* 7919 &+ UInt64(request.number))
            var answer = ScriptedStore.Answer()
            guard request.number < 40 else { return answer }
            switch dice.next() {
            case ..<0.15: return .failing(.temporary, status: 503)
            case ..<0.2: return .failing(.throttled, status: 429)
            case ..<0.4:
                answer.cutAfter = (Int(dice.next() * 4_000_000), StoreError(.temporary, message: "connection reset"))
            case ..<0.5: answer.endAfter = Int(dice.next() * 4_000_000)
            case ..<0.55: answer.ignoresRange = true
            default: break
            }
            return answer
        }
        let seeds = (0..<4).map { _ in random.next() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for readerSeed in seeds {
                let body = try fixture.cache.open(id)
                group.addTask {
                    var dice = Jitter(state: UInt64(readerSeed * 1e15))
                    for _ in 0..<20 {
                        let offset = Int(dice.next() * Double(size))
                        let count = Int(dice.next() * 300_000)
                        let piece = try await body.bytes(at: UInt64(offset), count: count)
                        #expect(piece == Array(bytes[offset..<min(size, offset + count)]), "seed \(seed)")
                    }
                    #expect(try await body.everything(piece: 1 << 20) == bytes, "seed \(seed)")
                }
            }
            try await group.waitForAll()
        }
        await fixture.cache.drain()
        #expect(try Files.read(fixture.path("a.fastshot")) == bytes, "seed \(seed)")
    }
}
