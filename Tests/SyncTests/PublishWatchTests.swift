import Catalog
import Digests
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// A FastShot client that saves at the same moment writes the overall file without looking.
@Suite(.timeLimit(.minutes(2))) struct PublishWatchTests {
    private func overwrite(_ rig: PublishRig, keeping rows: [OverallRow]) {
        rig.bucket.set("overall_meta.json", OverallFile.encode(rows, lastUpdated: "2026-01-01T00:00:00"))
    }

    @Test func lostRowsAreWrittenAgain() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<6)
        let before = rig.rows
        rig.somebodySaves(9, "theirs")
        overwrite(rig, keeping: rig.rows.filter { $0.fileName == fileName(9) || $0.fileName == fileName(1) })
        let running = Task { await rig.publisher.run() }
        rig.publisher.overallFileChanged()
        try await eventually { rig.rows.count == 6 }
        running.cancel()
        await running.value
        #expect(rig.disorder == [])
        #expect(Set(rig.rows.map(\.fileName)) == Set(before.map(\.fileName) + [fileName(9)]))
        #expect(rig.row(3) == before.first { $0.fileName == fileName(3) })
    }

    @Test func rowsOfSessionsThatAreGoneStayGone() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<5)
        _ = try rig.staging.remove(fileName(1))
        #expect(await rig.flush() == [])
        rig.somebodyRemoves(2)
        overwrite(rig, keeping: [])
        let running = Task { await rig.publisher.run() }
        rig.publisher.overallFileChanged()
        try await eventually { rig.rows.count == 2 }
        running.cancel()
        await running.value
        #expect(Set(rig.rows.map(\.fileName)) == [fileName(3), fileName(4)])
        #expect(rig.disorder == [])
    }

    /// A client that had looked at the bucket before writes the row of a session that was removed meanwhile.
    @Test(arguments: [false, true]) func removedRowsThatComeBackGo(laterProcess: Bool) async throws {
        let bucket = MemoryStore()
        let directory = try TemporaryDirectory()
        var rig = try PublishRig(bucket: bucket, directory: directory)
        try await rig.published(1..<5)
        let before = rig.rows
        for number in 1..<4 { _ = try rig.staging.remove(fileName(number)) }
        #expect(await rig.flush() == [])
        #expect(rig.rows.count == 1)
        // One is made anew by somebody else.
        rig.somebodySaves(3, "theirs")
        overwrite(
            rig, keeping: before.filter { $0.fileName != fileName(3) } + rig.rows.filter { $0.fileName == fileName(3) })
        #expect(rig.disorder.count == 2)
        if laterProcess {
            rig.staging.close()
            rig = try PublishRig(bucket: bucket, directory: directory)
        }
        let running = Task { [rig] in await rig.publisher.run() }
        if !laterProcess { rig.publisher.overallFileChanged() }
        try await eventually { rig.rows.count == 2 }
        running.cancel()
        await running.value
        #expect(Set(rig.rows.map(\.fileName)) == [fileName(3), fileName(4)])
        #expect(rig.row(3)?.metadata?.desc == "theirs")
        #expect(rig.disorder == [])
    }

    /// A row that comes back while its body is being removed is looked for again.
    @Test func aRowThatComesBackBeforeItsBodyGoes() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<3)
        let before = rig.rows
        _ = try rig.staging.remove(fileName(1))
        rig.meddled.once(.delete, bodyKey(1)) {
            overwrite(rig, keeping: before)
            rig.publisher.overallFileChanged()
            try? await Task.sleep(for: .seconds(0.3))
        }
        let running = Task { await rig.publisher.run() }
        try await eventually { rig.staging.changes().isEmpty && rig.rows.count == 1 }
        running.cancel()
        await running.value
        #expect(rig.disorder == [])
    }

    @Test func aNewProcessLooksToo() async throws {
        let bucket = MemoryStore()
        let directory = try TemporaryDirectory()
        do {
            let rig = try PublishRig(bucket: bucket, directory: directory)
            try await rig.published(1..<4)
            overwrite(rig, keeping: [])
            rig.staging.close()
        }
        let rig = try PublishRig(bucket: bucket, directory: directory)
        let running = Task { await rig.publisher.run() }
        try await eventually { rig.rows.count == 3 }
        running.cancel()
        await running.value
        #expect(rig.disorder == [])
    }

    @Test func aLookThatFailsIsRepeated() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<4)
        overwrite(rig, keeping: [])
        rig.store.inject(.fail(.lost), verb: .get, key: "overall_meta.json", times: 5)
        let running = Task { await rig.publisher.run() }
        rig.publisher.overallFileChanged()
        try await eventually { rig.rows.count == 3 }
        running.cancel()
        await running.value
        #expect(rig.disorder == [])
    }

    /// Somebody replaces a session between two writes of ours: index and row are those of his body.
    @Test(arguments: [indexKey(1), "overall_meta.json"])
    func whoIsReplacedMeanwhileGivesWay(before key: String) async throws {
        let rig = try PublishRig()
        try await rig.published(2..<4)
        rig.meddled.once(.put, key) { rig.somebodySaves(1, "theirs") }
        try await rig.save(fileName(1), session(1))
        #expect(await rig.flush() == [])
        #expect(rig.disorder == [])
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.row(1)?.metadata?.desc == "theirs")
    }

    /// Somebody replaces a session of ours and dies before he writes its index: once the catalog knows of it, index and
    /// row are those of the body.
    @Test func whoIsReplacedAfterwardsGivesWay() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<4)
        rig.bucket.set(bodyKey(1), session(1, "theirs"))
        #expect(rig.disorder != [])
        let info = try await rig.bucket.head(bodyKey(1))
        _ = try rig.catalog.apply([
            .object(fileName: fileName(1), ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified))
        ])
        let running = Task { await rig.publisher.run() }
        rig.publisher.objectsChanged()
        try await eventually { rig.disorder == [] }
        running.cancel()
        await running.value
        #expect(rig.bucket.peek(bodyKey(1)) == session(1, "theirs"))
        #expect(rig.row(1)?.metadata?.desc == "theirs")
    }

    /// The same, noticed by a row that somebody has written, while the index is ours.
    @Test func anIndexOfOursBesideARowOfTheirs() async throws {
        let rig = try PublishRig()
        try await rig.published(1..<4)
        rig.bucket.set(bodyKey(1), session(1, "theirs"))
        let theirs = session(1, "theirs")
        let row = OverallRow(
            fileName: fileName(1), createdAt: "2026-01-01T00:00:00+00:00", fileSize: UInt64(theirs.count),
            checksum: .sha256(SHA256.hex(theirs)))
        overwrite(rig, keeping: rig.rows.filter { $0.fileName != fileName(1) } + [row])
        let running = Task { await rig.publisher.run() }
        rig.publisher.overallFileChanged()
        try await eventually { rig.index(1)?.metadata.desc == "theirs" }
        running.cancel()
        await running.value
        #expect(rig.index(1)?.metadata.fileSize == UInt64(theirs.count))
        #expect(rig.row(1) == row)
    }

    @Test func whatIsOldIsNotWatched() throws {
        let directory = try TemporaryDirectory()
        let watch = WatchedRows(path: directory.path("rows.json"))
        let old = Timestamp(seconds: Timestamp.now.seconds - Int64(WatchedRows.validity) - 10)
        watch.record([.set(OverallRow(fileName: fileName(1)))], now: .now)
        #expect(WatchedRows(path: directory.path("rows.json")).wait(.monotonic) == 0)
        watch.record([.set(OverallRow(fileName: fileName(1)))], now: old)
        #expect(WatchedRows(path: directory.path("rows.json")).wait(.monotonic) == nil)
        watch.record([.set(OverallRow(fileName: fileName(2)))], now: .now)
        watch.forget([.remove(fileName: fileName(2), checksum: nil)], now: old)
        watch.record([], now: .now)
        #expect(WatchedRows(path: directory.path("rows.json")).wait(.monotonic) == nil)
        watch.forget([.remove(fileName: fileName(2), checksum: nil)])
        watch.record([], now: .now)
        #expect(WatchedRows(path: directory.path("rows.json")).wait(.monotonic) == 0)
        try directory.write("rows.json", Array("{ torn".utf8))
        #expect(WatchedRows(path: directory.path("rows.json")).wait(.monotonic) == nil)
    }
}
