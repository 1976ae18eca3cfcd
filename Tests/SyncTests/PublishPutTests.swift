import Catalog
import Digests
import Foundation
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

@Suite(.timeLimit(.minutes(2))) struct PublishPutTests {
    @Test func aNewFileBecomesBodyIndexAndRow() async throws {
        let rig = try PublishRig()
        let id = try await rig.save(fileName(1), session(1))
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1))
        #expect(rig.disorder == [])
        #expect(rig.index(1)?.metadata.desc == "first")
        #expect(rig.row(1)?.createdAt?.hasSuffix("+00:00") == true)
        #expect(rig.row(1)?.metadata?.name == "session 1")
        #expect(rig.requests == ["put \(bodyKey(1))", "put \(indexKey(1))", "head \(bodyKey(1))"])
        #expect(rig.staging.changes() == [])
        let entry = try #require(try rig.catalog.entry(fileName: fileName(1)))
        #expect(entry.id == id)
        #expect(entry.indexState == .known)
        #expect(try rig.bytes(fileName(1)) == session(1))
        #expect(rig.publisher.status.sent == 1)
        #expect(rig.publisher.status.sentBytes == UInt64(session(1).count))
    }

    @Test func readyChangesAreSentWithoutAFlush() async throws {
        let rig = try PublishRig()
        let running = Task { await rig.publisher.run() }
        try await rig.save(fileName(1), session(1))
        try await eventually { rig.staging.changes().isEmpty }
        #expect(rig.disorder == [])
        try await rig.save(fileName(1), session(1, "second"))
        try await eventually { rig.staging.changes().isEmpty }
        #expect(rig.disorder == [])
        #expect(rig.index(1)?.metadata.desc == "second")
        running.cancel()
        await running.value
        try await rig.save(fileName(2), session(2))
        #expect(rig.staging.changes().count == 1)
    }

    @Test func anEditReplacesAllThree() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        try await rig.save(fileName(1), session(1, "second"))
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "second"))
        #expect(rig.disorder == [])
        #expect(rig.row(1)?.metadata?.desc == "second")
        // What others have written into the index is asked for, so that it stays.
        #expect(
            rig.requests == ["put \(bodyKey(1))", "get \(indexKey(1))", "put \(indexKey(1))", "head \(bodyKey(1))"])
    }

    /// What is written anew without a change is not sent; index and row are looked after all the same.
    @Test func theSameBytesAreNotSentAgain() async throws {
        let rig = try PublishRig(tellsMD5: true)
        try await rig.published(1..<3)
        let before = try await rig.bucket.head(bodyKey(1))
        rig.bucket.unset("overall_meta.json")
        try await rig.save(fileName(1), session(1))
        #expect(await rig.flush() == [])
        #expect(try await rig.bucket.head(bodyKey(1)) == before)
        #expect(
            rig.requests == ["head \(bodyKey(1))", "get \(indexKey(1))", "put \(indexKey(1))", "head \(bodyKey(1))"])
        #expect(rig.disorder == [])
        #expect(rig.staging.changes() == [])
        #expect(try rig.bytes(fileName(1)) == session(1))
    }

    /// A row may tell of other contents than the object has: it is asked what it is.
    @Test func theSameBytesAsTheRowSaysAreSent() async throws {
        let rig = try PublishRig(tellsMD5: true)
        try await rig.published(1..<2)
        let (mine, theirs) = (session(1, "mine!"), session(1, "their"))
        #expect(mine.count == theirs.count)
        rig.bucket.set(bodyKey(1), theirs)
        let info = try await rig.bucket.head(bodyKey(1))
        // Of the other version of the same length, as a client that was overtaken may have written it.
        let row = OverallRow(
            fileName: fileName(1), createdAt: "2099-01-01T00:00:00+00:00", fileSize: info.size,
            checksum: .sha256(SHA256.hex(mine)))
        _ = try rig.catalog.apply([
            .object(fileName: fileName(1), ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified)),
            .row(row, etagIsContentMD5: false),
        ])
        #expect(try rig.catalog.entry(fileName: fileName(1))?.sha256 == SHA256.hex(mine))
        try await rig.save(fileName(1), mine)
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == mine)
        #expect(rig.disorder == [])
    }

    /// Every answer is lost in turn, as often as the requests are repeated, so that the whole job runs again.
    @Test(arguments: [bodyKey(1), indexKey(1), "overall_meta.json"], [1, 5])
    func lostAnswersAreNoConflict(key: String, times: Int) async throws {
        let rig = try PublishRig()
        rig.store.inject(.failAfterwards(.lost), verb: .put, key: key, times: times)
        try await rig.save(fileName(1), session(1))
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
        #expect(rig.disorder == [])
        try await rig.save(fileName(1), session(1, "second"))
        rig.store.inject(.failAfterwards(.lost), verb: .put, key: key, times: times)
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
        #expect(rig.index(1)?.metadata.desc == "second")
        #expect(rig.disorder == [])
    }

    @Test func contentsThatWereSentByAnEarlierTryAreOurs() async throws {
        let rig = try PublishRig()
        // The body arrives, nothing is heard of it, and before it is tried again the file is changed.
        rig.store.inject(.failAfterwards(.lost), verb: .put, key: bodyKey(1))
        rig.store.inject(.fail(.lost), verb: .get, key: bodyKey(1), times: 5)
        rig.store.inject(.fail(.lost), verb: .put, key: bodyKey(1), times: 4)
        let running = Task { await rig.publisher.run() }
        try await rig.save(fileName(1), session(1))
        try await eventually { rig.publisher.status.failures > 0 }
        try await rig.save(fileName(1), session(1, "second"))
        running.cancel()
        await running.value
        rig.store.clearFaults()
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
        #expect(rig.index(1)?.metadata.desc == "second")
        #expect(rig.disorder == [])
    }

    @Test(arguments: [indexKey(1), "overall_meta.json"])
    func aNewSessionIsRolledBackWhenAPartFailsForGood(key: String) async throws {
        let rig = try PublishRig()
        rig.store.inject(.fail(.denied), verb: .put, key: key)
        try await rig.save(fileName(1), session(1))
        let left = await rig.flush()
        #expect(left.map(\.name) == [fileName(1)])
        #expect(left.first?.reason.contains("not allowed") == true)
        #expect(rig.bucket.peek(bodyKey(1)) == nil)
        #expect(rig.bucket.peek(indexKey(1)) == nil)
        #expect(rig.row(1) == nil)
        #expect(rig.staging.changes().map(\.state) == [.failed])
        #expect(try rig.bytes(fileName(1)) == session(1))
        #expect(await rig.flush() == [], "a flush tries again")
        #expect(rig.disorder == [])
    }

    @Test(arguments: [indexKey(1), "overall_meta.json"])
    func anEditIsRolledBackToTheCachedBody(key: String) async throws {
        let rig = try PublishRig()
        try await rig.published(1..<2)
        rig.store.inject(.fail(.broken), verb: .put, key: key)
        try await rig.save(fileName(1), session(1, "second"))
        #expect(await rig.flush().map(\.name) == [fileName(1)])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1))
        #expect(rig.disorder == [])
        #expect(try rig.bytes(fileName(1)) == session(1, "second"))
    }

    @Test func filesThatAreNoSessionsAreRefusedOrSentWithBasicFacts() async throws {
        let rig = try PublishRig()
        let junk = Array("no session at all".utf8)
        try await rig.save(fileName(1), junk)
        #expect(await rig.flush().map(\.name) == [fileName(1)])
        #expect(rig.staging.changes().map(\.state) == [.refused])
        #expect(rig.bucket.keys == [])
        #expect(try rig.bytes(fileName(1)) == junk)

        let open = try PublishRig { $0.foreign = .basic }
        try await open.save(fileName(1), junk)
        #expect(await open.flush() == [])
        #expect(open.disorder == [])
        #expect(open.index(1)?.metadata.name == "session 1")
        #expect(open.index(1)?.metadata.createdAt == "2025-01-01T00:00:01")
    }

    @Test func manyFilesCostFewOverallWrites() async throws {
        let rig = try PublishRig()
        let count = 300
        _ = try rig.staging.beginBatch()
        for number in 0..<count { try await rig.save(fileName(number), session(number)) }
        #expect(await rig.flush().count == count, "a batch is held back")
        #expect(rig.bucket.keys == [])
        #expect(try rig.staging.commitBatch() == count)
        #expect(await rig.flush() == [])
        #expect(rig.publisher.status.overallWrites <= 3)
        #expect(Double(rig.store.requests.count) <= 2.1 * Double(count))
        #expect(rig.disorder == [])
        #expect(rig.rows.count == count)
    }

    /// Thousands of changes may wait for their rows.
    @Test func whatWaitsForItsRowHoldsNoFileOpen() async throws {
        let rig = try PublishRig { $0.parallel = 4 }
        rig.store.inject(.hang, verb: .get, key: "overall_meta.json")
        for number in 0..<50 { try await rig.save(fileName(number), session(number)) }
        let running = Task { await rig.publisher.run() }
        try await eventually { rig.bucket.keys.count { $0.hasPrefix("meta_indexes/") } == 50 }
        #expect(rig.publisher.status.running == 50)
        try await eventually { openFiles(below: rig.directory.path("state/staging")) == 0 }
        running.cancel()
        await running.value
    }

    private func openFiles(below directory: String) -> Int {
        ((try? Files.names(in: "/proc/self/fd")) ?? []).count { name in
            ((try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)) ?? "")
                .hasPrefix(directory)
        }
    }

    @Test func onlySoManyUploadsGoOnAtATime() async throws {
        let rig = try PublishRig { $0.parallel = 3 }
        for number in 0..<12 { try await rig.save(fileName(number), session(number)) }
        for number in 0..<12 { rig.store.inject(.hang, verb: .put, key: bodyKey(number)) }
        let running = Task { await rig.publisher.run() }
        try await eventually { rig.store.count(.put) == 3 }
        #expect(rig.publisher.status.running == 3)
        running.cancel()
        await running.value
        #expect(rig.store.count(.put) == 3)
        #expect(rig.publisher.status.running == 0)
        rig.store.clearFaults()
        #expect(await rig.flush() == [])
        #expect(rig.disorder == [])
    }

    @Test func aNewProcessGoesOn() async throws {
        let bucket = MemoryStore()
        let directory = try TemporaryDirectory()
        do {
            let rig = try PublishRig(bucket: bucket, directory: directory)
            rig.store.inject(.hang, verb: .put, key: indexKey(1))
            try await rig.save(fileName(1), session(1))
            let running = Task { await rig.publisher.run() }
            try await eventually { rig.store.count(.put) >= 2 }
            running.cancel()
            await running.value
            rig.staging.close()
        }
        let rig = try PublishRig(bucket: bucket, directory: directory)
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
        #expect(rig.disorder == [])
        #expect(rig.row(1) != nil)
    }

    @Test func aLargeBodyIsAnOperation() async throws {
        let rig = try PublishRig { $0.foreign = .basic }
        let bytes = [UInt8](repeating: 7, count: 3 << 20)
        rig.store.inject(.hang, verb: .put, key: bodyKey(1))
        let id = try await rig.save(fileName(1), bytes)
        let running = Task { await rig.publisher.run() }
        try await eventually { rig.operations.list().contains { $0.kind == .upload && $0.state == .running } }
        #expect(rig.publisher.percent(of: id) == 0)
        let operation = try #require(rig.operations.list().first { $0.kind == .upload })
        #expect(operation.subject == bodyKey(1))
        #expect(operation.total == UInt64(bytes.count))
        #expect(rig.operations.cancel(operation.id))
        try await eventually { rig.staging.changes().first?.state == .failed }
        #expect(rig.operations.snapshot(operation.id)?.state == .cancelled)
        #expect(rig.publisher.percent(of: id) == nil)
        running.cancel()
        await running.value
        #expect(await rig.flush() == [])
        #expect(rig.bucket.peek(bodyKey(1)) == bytes)
    }
}
