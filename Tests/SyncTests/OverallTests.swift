import Catalog
import Foundation
import ObjectStore
import Platform
import SessionFormat
import Sync
import TestSupport
import Testing

/// The overall file in all its states.
@Suite(.timeLimit(.minutes(2))) struct OverallTests {
    @Test(arguments: [10, 3000]) func metadataInTheRowsMakesTheRequestsConstant(_ count: Int) async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<count)
        rig.bucket.writeOverall(0..<count, metadata: true)
        let report = try await rig.refresher.refresh(.tail)
        #expect(rig.requests() == ["get overall_meta.json", "list sessions/"])
        #expect(report.added == count)
        #expect(try rig.catalog.counts.indexed == count)
        let entry = try #require(try rig.entry(count / 2))
        #expect(try rig.catalog.metadata(id: entry.id) == metadata(count / 2))
        #expect(try rig.catalog.indexBytes(id: entry.id) == rig.bucket.peek(indexKey(count / 2)))
        #expect(rig.overallCopy == rig.bucket.peek("overall_meta.json"))
        #expect(rig.leftovers.isEmpty)
    }

    @Test func unchangedFileCostsOneRequestAndTellsNothing() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<3)
        rig.bucket.writeOverall(0..<3)
        _ = try await rig.refresher.refresh(.tail)
        rig.deltas.withLock { $0 = [] }
        _ = rig.requests()
        let report = try await rig.refresher.refresh(.poll)
        #expect(rig.requests() == ["get overall_meta.json"])
        #expect(report.overall == .unchanged)
        #expect(rig.deltas.withLock { $0 }.isEmpty)
    }

    @Test func whatIsCommittedIsToldAndCanBeRead() async throws {
        let directory = try TemporaryDirectory()
        let bucket = MemoryStore()
        bucket.addSessions(0..<5000)
        bucket.writeOverall(0..<5000)
        let catalog = try Catalog.open(directory: directory.path("meta_cache"))
        let told = Guarded<(names: Set<String>, unreadable: Int, batches: Int)>(([], 0, 0))
        let refresher = Refresher(
            store: bucket, catalog: catalog, cacheDirectory: directory.path, operations: .init(),
            publish: { delta in
                let missing = delta.added.count { (try? catalog.entry(id: $0.id)) == nil }
                told.withLock { told in
                    told.names.formUnion(delta.added.map(\.fileName))
                    told.unreadable += missing
                    if !delta.added.isEmpty { told.batches += 1 }
                }
            })
        _ = try await refresher.refresh(.tail)
        let result = told.withLock { $0 }
        #expect(result.names.count == 5000)
        #expect(result.unreadable == 0)
        #expect(result.batches > 2)
        #expect(try catalog.counts.indexed == 5000)
    }

    @Test func sessionsBehindATruncatedFileAreFound() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<5000)
        rig.bucket.writeOverall(0..<1000)
        let report = try await rig.refresher.refresh(.tail)
        #expect(report.added == 5000)
        #expect(report.indexesRead == 5000)
        let requests = rig.requests()
        #expect(requests.count { $0 == "list sessions/" } == 4)
        #expect(requests.count { $0.hasPrefix("get meta_indexes/") } == 5000)
        #expect(Set(requests).count == 5002)
        // The next rebuild of the file is as short, and no reason to list everything.
        rig.bucket.addSessions(5000..<5001)
        rig.bucket.set("overall_meta.json", (rig.bucket.peek("overall_meta.json") ?? []) + [0x0A])
        let next = try await rig.refresher.refresh(.tail)
        #expect(next.added == 1)
        #expect(rig.requests() == ["get overall_meta.json", "list sessions/", "get \(indexKey(5000))"])
    }

    @Test func rowsOfGoneSessionsAreRefutedOnce() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<10)
        rig.bucket.writeOverall(0..<12, metadata: true)
        _ = try await rig.refresher.refresh(.tail)
        #expect(try rig.catalog.counts.sessions == 12)
        let full = try await rig.refresher.refresh(.full)
        #expect(full.removed == 2)
        #expect(try rig.catalog.counts.sessions == 10)
        // A new file that still names them does not bring them back.
        rig.bucket.addSessions(12..<13)
        rig.bucket.writeOverall(0..<13, metadata: true)
        let poll = try await rig.refresher.refresh(.poll)
        #expect(poll.added == 1)
        #expect(try rig.names() == (Array(0..<10) + [12]).map(fileName))
    }

    @Test func vanishedRowsAreDroppedOnlyAfterAListing() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<6)
        rig.bucket.writeOverall(0..<6)
        _ = try await rig.refresher.refresh(.tail)
        _ = rig.requests()
        // Another client lost rows 1 and 2; only session 2 is really gone.
        rig.bucket.unset(bodyKey(2))
        rig.bucket.unset(indexKey(2))
        rig.bucket.writeOverall([0, 3, 4, 5])
        let report = try await rig.refresher.refresh(.poll)
        #expect(rig.requests() == ["get overall_meta.json", "list sessions/", "list meta_indexes/"])
        #expect(report.removed == 1)
        #expect(try rig.names() == [0, 1, 3, 4, 5].map(fileName))
        #expect(rig.deltas.withLock { $0.flatMap(\.removed) }.map(\.fileName) == [fileName(2)])
        _ = try await rig.refresher.refresh(.poll)
        #expect(rig.requests() == ["get overall_meta.json"])
    }

    @Test func aListingThatFailedIsMadeUpFor() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<3)
        rig.bucket.writeOverall(0..<3)
        _ = try await rig.refresher.refresh(.tail)
        rig.bucket.unset(bodyKey(0))
        rig.bucket.writeOverall(1..<3)
        rig.store.inject(.fail(StoreError(.temporary, message: "reset")), verb: .list)
        await #expect(throws: StoreError.self) { try await rig.refresher.refresh(.poll) }
        #expect(try rig.catalog.counts.sessions == 3)
        let report = try await rig.refresher.refresh(.poll)
        #expect(report.overall == .unchanged)
        #expect(report.removed == 1)
    }

    @Test func missingFileIsReplacedByListings() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<5)
        let report = try await rig.refresher.refresh(.poll)
        #expect(report.overall == .missing)
        #expect(report.added == 5)
        #expect(try rig.catalog.counts.indexed == 5)
        #expect(rig.overallCopy == nil)
        _ = rig.requests()
        _ = try await rig.refresher.refresh(.poll)
        #expect(rig.requests() == ["get overall_meta.json"])
        // It comes, and goes again.
        rig.bucket.writeOverall(0..<5)
        #expect(try await rig.refresher.refresh(.poll).overall == .changed)
        #expect(rig.overallCopy == rig.bucket.peek("overall_meta.json"))
        rig.bucket.unset("overall_meta.json")
        rig.bucket.unset(bodyKey(4))
        #expect(try await rig.refresher.refresh(.poll).removed == 1)
        #expect(rig.overallCopy == nil)
        #expect(rig.deltas.withLock { $0.count(where: \.overallFile) } >= 2)
    }

    @Test(arguments: ["torn", "garbage", "empty", "checksum"])
    func damagedFileGivesItsRowsAndAListingTheRest(_ kind: String) async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<20)
        rig.bucket.writeOverall(0..<20)
        let whole = try #require(rig.bucket.peek("overall_meta.json"))
        let damaged: [UInt8] =
            switch kind {
            case "torn": Array(whole.prefix(whole.count / 2))
            case "garbage": Array(whole.prefix(whole.count / 2)) + Array("}}]] what is this".utf8)
            case "empty": []
            default: Array(String(decoding: whole, as: UTF8.self).replacing("sha256:ab", with: "sha256:ac").utf8)
            }
        rig.bucket.set("overall_meta.json", damaged)
        let report = try await rig.refresher.refresh(.poll)
        guard case .damaged = report.overall else {
            Issue.record("taken for sound: \(report.overall)")
            return
        }
        #expect(report.listedAll)
        #expect(try rig.catalog.counts.sessions == 20)
        #expect(try rig.catalog.counts.indexed == 20)
        // Damage is no reason to list at every poll.
        _ = rig.requests()
        _ = try await rig.refresher.refresh(.poll)
        #expect(rig.requests() == ["get overall_meta.json"])
    }

    @Test func rowsWithoutSizeAreTakenWithTheListing() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<4)
        rig.bucket.writeOverall(0..<4, metadata: true, sizes: false)
        let report = try await rig.refresher.refresh(.tail)
        #expect(report.listedAll)
        #expect(report.added == 4)
        let entry = try #require(try rig.entry(3))
        #expect(entry.size == UInt64(body(3).count))
        #expect(entry.sha256 != nil)
    }

    @Test func aRepeatedTransferGoesOnInTheSameFile() async throws {
        let rig = try Rig(retrying: true)
        rig.bucket.addSessions(0..<3000)
        rig.bucket.writeOverall(0..<3000, metadata: true)
        rig.store.inject(.truncate(after: 300_000), verb: .get, key: "overall_meta.json")
        rig.store.inject(.truncate(after: 90_000), verb: .get, key: "overall_meta.json")
        let report = try await rig.refresher.refresh(.tail)
        #expect(report.overall == .changed)
        #expect(report.added == 3000)
        #expect(rig.overallCopy == rig.bucket.peek("overall_meta.json"))
        #expect(rig.store.count(.get) == 3)
    }

    @Test func aTransferThatEndsEarlyLeavesWhatItTaughtAndNoFile() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<3000)
        rig.bucket.writeOverall(0..<3000, metadata: true)
        rig.store.inject(.truncate(after: 500_000), verb: .get, key: "overall_meta.json")
        await #expect(throws: StoreError.self) { try await rig.refresher.refresh(.tail) }
        #expect(rig.overallCopy == nil)
        #expect(rig.leftovers.isEmpty)
        let learnt = try rig.catalog.counts.sessions
        #expect(learnt < 3000)
        let report = try await rig.refresher.refresh(.tail)
        #expect(report.added == 3000 - learnt)
    }
}
