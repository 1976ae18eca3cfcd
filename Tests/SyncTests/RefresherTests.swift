import Catalog
import Foundation
import ObjectStore
import Operations
import Platform
import SessionFormat
import Sync
import TestSupport
import Testing

/// Refreshes as a whole: failures, order, operations, the loop.
@Suite(.timeLimit(.minutes(2))) struct RefresherTests {
    private let down = StoreError(.unreachable, message: "no route to host")

    @Test func whatIsKnownStaysWhenTheStoreIsAway() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<3)
        rig.bucket.writeOverall(0..<3)
        _ = try await rig.refresher.refresh(.tail)
        let success = try #require(rig.refresher.status.lastSuccess)
        rig.store.setDown(down)
        for mode in RefreshMode.allCases {
            let error = await #expect(throws: StoreError.self) { try await rig.refresher.refresh(mode) }
            #expect(error == down)
        }
        #expect(rig.refresher.status.lastError == down)
        #expect(rig.refresher.status.failures == 3)
        #expect(rig.refresher.status.lastSuccess == success)
        #expect(!rig.refresher.status.isRunning)
        #expect(try rig.catalog.counts.sessions == 3)
        #expect(rig.operations.list().contains { $0.state == .failed && $0.message.contains("no route to host") })
        rig.store.setDown(nil)
        _ = try await rig.refresher.refresh(.poll)
        #expect(rig.refresher.status.lastError == nil)
        #expect(rig.refresher.status.failures == 0)
    }

    @Test func theTimeOfTheLastSuccessOutlivesTheProcess() async throws {
        let directory = try TemporaryDirectory()
        let bucket = MemoryStore()
        bucket.addSessions(0..<1)
        do {
            let rig = try Rig(bucket, directory: directory)
            #expect(rig.refresher.status.lastSuccess == nil)
            _ = try await rig.refresher.refresh(.full)
            rig.catalog.close()
        }
        let rig = try Rig(bucket, directory: directory)
        #expect(rig.refresher.status.lastSuccess != nil)
        #expect(rig.refresher.status.lastFullListing != nil)
        #expect(try rig.names() == [fileName(0)])
    }

    @Test func callersThatComeDuringARefreshShareTheNext() async throws {
        let goOn = DispatchSemaphore(value: 0)
        let isFirst = Guarded(true)
        let rig = try Rig(published: { _ in
            let waits = isFirst.withLock { first in
                defer { first = false }
                return first
            }
            if waits { goOn.wait() }
        })
        rig.bucket.addSessions(0..<1)
        rig.bucket.writeOverall(0..<1, metadata: true)
        let first = Task { try await rig.refresher.refresh(.poll) }
        try await eventually { try rig.catalog.counts.sessions == 1 }
        // Comes too late for the running one, whose request is on its way.
        rig.bucket.addSessions(1..<2)
        rig.bucket.writeOverall(0..<2, metadata: true)
        let others = (0..<5).map { number in
            Task { try await rig.refresher.refresh(number == 3 ? .tail : .poll) }
        }
        try await eventually { rig.refresher.status.waiting == 6 }
        goOn.signal()
        var reports: [RefreshReport] = []
        for other in others { reports.append(try await other.value) }
        _ = try await first.value
        #expect(try rig.catalog.counts.sessions == 2)
        #expect(reports.allSatisfy { $0.mode == .tail && $0 == reports[0] })
        #expect(rig.requests() == ["get overall_meta.json", "get overall_meta.json", "list sessions/"])
        #expect(rig.refresher.status.waiting == 0)
    }

    @Test func anOperationShowsProgressAndCanBeCancelled() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<100)
        rig.bucket.writeOverall(0..<100)
        for number in 10..<100 { rig.store.inject(.hang, verb: .get, key: indexKey(number)) }
        let refresh = Task { try await rig.refresher.refresh(.tail) }
        try await eventually { try rig.catalog.counts.sessions == 100 }
        try await eventually { rig.operations.list().contains { $0.completed > 0 } }
        let operation = try #require(rig.operations.list().first)
        #expect(operation.kind == .refresh)
        #expect(operation.state == .running)
        #expect(operation.subject == rig.bucket.location)
        #expect(rig.operations.cancel(operation.id))
        let error = await #expect(throws: StoreError.self) { try await refresh.value }
        #expect(error?.kind == .cancelled)
        #expect(rig.operations.snapshot(operation.id)?.state == .cancelled)
        // What was learnt stays, and the rest comes with the next refresh.
        #expect(try rig.catalog.counts.sessions == 100)
        rig.store.clearFaults()
        _ = try await rig.refresher.refresh(.poll)
        #expect(try rig.catalog.counts.indexed == 100)
    }

    @Test func aStoreThatFailsEveryIndexIsNotAskedForAll() async throws {
        let rig = try Rig(options: RefresherOptions(parallel: 8))
        rig.bucket.addSessions(0..<500)
        rig.bucket.writeOverall(0..<500)
        for number in 0..<500 {
            rig.store.inject(.fail(StoreError(.temporary, message: "500")), verb: .get, key: indexKey(number))
        }
        await #expect(throws: StoreError.self) { try await rig.refresher.refresh(.tail) }
        #expect(rig.store.requests.count { $0.key.hasPrefix("meta_indexes/") } <= 40)
        #expect(try rig.catalog.counts.sessions == 500)
    }

    @Test func aCatalogThatIsLostIsLearntAgain() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<50)
        rig.bucket.writeOverall(0..<50, metadata: true)
        _ = try await rig.refresher.refresh(.tail)
        try Files.remove(rig.directory.path("meta_cache/catalog.sqlite"))
        rig.deltas.withLock { $0 = [] }
        let report = try await rig.refresher.refresh(.poll)
        #expect(report.added == 50)
        #expect(rig.deltas.withLock { $0.first?.reset } == true)
        #expect(try rig.catalog.counts.indexed == 50)
    }

    @Test func damagedRowsAreLearntAgainFromWhereTheyCame() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<4, indexes: false)
        rig.bucket.addSessions(2..<3)
        rig.bucket.writeOverall(0..<4, metadata: true)
        rig.bucket.addSessions(4..<5)
        _ = try await rig.refresher.refresh(.tail)
        #expect(try rig.catalog.counts.indexed == 5)
        try runSQL(
            rig.directory.path("meta_cache/catalog.sqlite"), "UPDATE detail SET name = 'x' WHERE id IN (2, 3, 5)")
        #expect(try rig.catalog.validate().damaged == [2, 3, 5])
        #expect(rig.deltas.withLock { $0.last }?.changed == [2, 3, 5])
        let report = try await rig.refresher.refresh(.poll)
        #expect(report.listedAll && report.overall == .unchanged)
        for number in 0..<5 {
            let id = try #require(try rig.entry(number)?.id)
            #expect(try rig.catalog.metadata(id: id) == metadata(number))
        }
        #expect(try rig.catalog.validate().isSound)
        _ = rig.requests()
        _ = try await rig.refresher.refresh(.poll)
        #expect(rig.requests() == ["get overall_meta.json"])
    }

    @Test func whatAnotherProcessLearntIsTold() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<2)
        rig.bucket.writeOverall(0..<2, metadata: true)
        _ = try await rig.refresher.refresh(.tail)
        let other = try Catalog.open(directory: rig.directory.path("meta_cache"))
        _ = try other.apply([.object(fileName: fileName(7), ObjectFacts(size: 1))])
        rig.deltas.withLock { $0 = [] }
        _ = try await rig.refresher.refresh(.poll)
        #expect(rig.deltas.withLock { $0.first?.reset } == true)
        _ = try await rig.refresher.refresh(.poll)
        #expect(rig.deltas.withLock { $0.count(where: \.reset) } == 1)
    }

    // MARK: The loop

    private let quick = RefresherOptions(
        pollInterval: 0.01, tailInterval: 0.03, reconcileInterval: 0.06, reconcileDelay: 0.02, longestPause: 0.05)

    @Test func theLoopFindsEveryChange() async throws {
        let rig = try Rig(options: quick)
        rig.bucket.addSessions(10..<13)
        rig.bucket.writeOverall(10..<13)
        let loop = Task { await rig.refresher.run() }
        try await eventually { try rig.catalog.counts.indexed == 3 }
        // By the overall file, by the tail, by complete listings.
        rig.bucket.addSessions(13..<14)
        rig.bucket.writeOverall(10..<14)
        try await eventually { try rig.entry(13) != nil }
        rig.bucket.addSessions(20..<21)
        try await eventually { try rig.entry(20) != nil }
        rig.bucket.addSessions(1..<2)
        rig.bucket.unset(bodyKey(11))
        try await eventually { try rig.entry(1) != nil && rig.entry(11) == nil }
        loop.cancel()
        await loop.value
        #expect(!rig.refresher.status.isRunning)
    }

    @Test func theLoopGoesOnAfterFailures() async throws {
        let rig = try Rig(options: quick)
        rig.store.setDown(down)
        let loop = Task { await rig.refresher.run() }
        try await eventually { rig.refresher.status.failures >= 3 }
        rig.bucket.addSessions(0..<1)
        rig.store.setDown(nil)
        try await eventually { try rig.entry(0) != nil }
        try await eventually { rig.refresher.status.lastError == nil }
        loop.cancel()
        await loop.value
    }

    @Test func theLoopCanBeWokenAndStopped() async throws {
        let rig = try Rig(options: RefresherOptions(pollInterval: 3600, tailInterval: 3600))
        rig.bucket.addSessions(0..<1)
        rig.bucket.writeOverall(0..<1)
        let loop = Task { await rig.refresher.run() }
        try await eventually { try rig.catalog.counts.indexed == 1 }
        rig.bucket.addSessions(1..<2)
        rig.bucket.writeOverall(0..<2)
        rig.refresher.wake()
        try await eventually { try rig.catalog.counts.indexed == 2 }
        rig.store.inject(.hang, verb: .get)
        rig.refresher.wake()
        try await eventually { rig.refresher.status.isRunning }
        loop.cancel()
        await loop.value
    }

    @Test func looksThatFindNothingAreNoOperations() async throws {
        let rig = try Rig(options: quick)
        rig.bucket.addSessions(0..<1)
        rig.bucket.writeOverall(0..<1)
        let loop = Task { await rig.refresher.run() }
        try await eventually { rig.refresher.status.lastReport != nil }
        let before = rig.operations.list().count { $0.message.contains("1 added") }
        #expect(before == 1)
        let polls = rig.store.count(.get)
        try await eventually { rig.store.count(.get) > polls + 20 }
        loop.cancel()
        await loop.value
        // Complete listings are; the many looks between them are not.
        #expect(rig.operations.list().count < rig.store.count(.get))
    }
}
