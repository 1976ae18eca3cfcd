import Catalog
import ObjectStore
import Platform
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// A FastShot client's row that got lost is written by a mount, for the client writes it no more.
@Suite(.timeLimit(.minutes(2))) struct RowAdoptionTests {
    /// A machine that has written the overall file, and the looks of its publisher. The client's row comes between its look
    /// and its write, as it can where the server honours no conditions.
    private static func rig(honours: Bool = false, patience: Double = 0.2) async throws -> PublishRig {
        let rig = try PublishRig(honours: honours, conditions: honours ? .all : ConditionSupport.none) {
            $0.rowPatience = patience
            $0.pause = { _ in }
        }
        try await rig.published(1..<3)
        rig.meddled.once(.put, "overall_meta.json") { rig.somebodySaves(9, "theirs") }
        try await rig.published(3..<4)
        return rig
    }

    /// What a refresh finds out about a session.
    @discardableResult
    private static func learn(_ rig: PublishRig, _ number: Int) async throws -> Int64 {
        let info = try await rig.bucket.head(bodyKey(number))
        _ = try rig.catalog.apply([
            .object(fileName: fileName(number), ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified))
        ])
        let id = try #require(try rig.catalog.entry(fileName: fileName(number))).id
        let bytes = try #require(rig.bucket.peek(indexKey(number)))
        _ = try rig.catalog.apply([
            .index(id: id, .known(try MetadataIndex.decode(bytes), bytes: bytes, etag: nil))
        ])
        return id
    }

    private static func running(_ rig: PublishRig, _ body: () async throws -> Void) async throws {
        let running = Task { await rig.publisher.run() }
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        running.cancel()
        await running.value
        try outcome.get()
    }

    @Test func aLostRowIsWritten() async throws {
        let rig = try await Self.rig()
        #expect(rig.row(9) == nil)
        try await Self.running(rig) {
            try await Self.learn(rig, 9)
            try await eventually { rig.row(9) != nil }
        }
        #expect(rig.disorder == [])
        #expect(rig.row(9)?.metadata?.desc == "theirs")
        #expect(rig.rows.count == 4)
    }

    /// It is watched from then on like this machine's own.
    @Test func whatWasWrittenIsWatched() async throws {
        let rig = try await Self.rig()
        try await Self.running(rig) {
            try await Self.learn(rig, 9)
            try await eventually { rig.row(9) != nil }
            let others = rig.rows.filter { $0.fileName != fileName(9) }
            rig.bucket.set("overall_meta.json", OverallFile.encode(others, lastUpdated: "2026-01-01T00:00:00"))
            rig.publisher.overallFileChanged()
            try await eventually { rig.row(9) != nil }
        }
        #expect(rig.disorder == [])
    }

    /// Whoever saves a session writes the row last.
    @Test func whoIsSavingIsNotHurried() async throws {
        let rig = try await Self.rig(patience: 30)
        try await Self.learn(rig, 9)
        await rig.publisher.adoption.look(rig.publisher.writer, rig.publisher.context)
        #expect(rig.row(9) == nil)
        #expect(rig.publisher.watch.wait(.monotonic) == nil)
        let wait = try #require(rig.publisher.adoption.wait(.monotonic))
        #expect(wait > 25 && wait <= 30)
    }

    @Test func whatHasNoIndexOrBodyIsLeftAlone() async throws {
        let rig = try await Self.rig(patience: 0)
        for number in [7, 8] { rig.somebodySaves(number, "theirs") }
        for number in 7...9 { try await Self.learn(rig, number) }
        rig.bucket.set(
            "overall_meta.json",
            OverallFile.encode(rig.rows.filter { $0.fileName < fileName(7) }, lastUpdated: "2026-01-01T00:00:00"))
        // Removed and replaced, which the catalog does not know yet.
        rig.bucket.unset(bodyKey(7))
        rig.bucket.set(bodyKey(8), session(8, "another"))
        rig.bucket.unset(indexKey(9))
        let before = rig.rows
        #expect(before.count == 3)
        await rig.publisher.adoption.look(rig.publisher.writer, rig.publisher.context)
        #expect(rig.publisher.watch.wait(.monotonic) == nil)
        #expect(rig.rows == before)
    }

    /// A row that is there costs one reading of the file, until that is another.
    @Test func whatTheFileNamesIsLeftAlone() async throws {
        let rig = try await Self.rig(patience: 0)
        rig.somebodySaves(9, "theirs")
        try await Self.learn(rig, 9)
        rig.store.clearRequests()
        for _ in 0..<3 { await rig.publisher.adoption.look(rig.publisher.writer, rig.publisher.context) }
        #expect(rig.store.requests.map { "\($0.verb) \($0.key)" } == ["get overall_meta.json"])
        rig.publisher.overallFileChanged()
        await rig.publisher.adoption.look(rig.publisher.writer, rig.publisher.context)
        #expect(rig.store.requests.count == 2)
    }

    /// Who has not written the overall file lately does not write it for others.
    @Test func whoOnlyReadsWritesNothing() async throws {
        let rig = try PublishRig { $0.rowPatience = 0 }
        rig.somebodySaves(9, "theirs")
        rig.bucket.unset("overall_meta.json")
        try await Self.learn(rig, 9)
        #expect(rig.publisher.adoption.wait(.monotonic) == nil)
        try await rig.published(1..<2)
        #expect(rig.publisher.adoption.wait(.monotonic) != nil)
    }

    /// What a machine is about to send or to remove gets and loses its row by that.
    @Test func whatIsPendingHereIsLeftAlone() async throws {
        let rig = try await Self.rig(honours: true, patience: 0)
        rig.bucket.set(
            "overall_meta.json",
            OverallFile.encode(rig.rows.filter { $0.fileName != fileName(9) }, lastUpdated: "2026-01-01T00:00:00"))
        try await Self.learn(rig, 9)
        try await rig.save(fileName(9), session(9, "mine"))
        rig.store.clearRequests()
        await rig.publisher.adoption.look(rig.publisher.writer, rig.publisher.context)
        #expect(rig.store.requests.isEmpty)
    }
}
