import Catalog
import ObjectStore
import Platform
import SessionFormat
import Sync
import TestSupport
import Testing

/// What listings find, and the indexes.
@Suite(.timeLimit(.minutes(2))) struct ListingTests {
    @Test func junkInTheBucketIsNoSession() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<2)
        let long = String(repeating: "x", count: 250) + ".fastshot"
        for key in [
            "quicknotes/a.json", "sessions/", "sessions/readme.txt", "sessions/deep/er.fastshot", "sessions/" + long,
            "sessions/.fastshot", "sessionsX/no.fastshot", "meta_indexes/stray.txt", "meta_indexes/orphan.meta.json",
            "overall_meta.json.bak",
        ] {
            rig.bucket.set(key, [1, 2, 3])
        }
        let report = try await rig.refresher.refresh(.full)
        #expect(report.added == 2)
        #expect(try rig.names() == [0, 1].map(fileName))
        #expect(try rig.catalog.counts.indexed == 2)
        #expect(
            try rig.catalog.rejectedNames().map(\.key) == ["sessions/deep/er.fastshot", "sessions/" + long])
        rig.bucket.unset("sessions/" + long)
        _ = try await rig.refresher.refresh(.full)
        #expect(try rig.catalog.rejectedNames().map(\.key) == ["sessions/deep/er.fastshot"])
    }

    @Test func fullListingAddsDropsAndCorrects() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(10..<20)
        rig.bucket.writeOverall(10..<20, metadata: true)
        _ = try await rig.refresher.refresh(.tail)
        // Older than all that is known, so no tail listing shows it; rewritten; gone.
        rig.bucket.addSessions(5..<6)
        let info = rig.bucket.set(bodyKey(12), Array("another body, longer than before".utf8))
        rig.bucket.unset(bodyKey(15))
        let tail = try await rig.refresher.refresh(.tail)
        #expect(tail.added == 0 && tail.removed == 0)
        let full = try await rig.refresher.refresh(.full)
        #expect(full.added == 1 && full.removed == 1)
        #expect(try rig.entry(12)?.size == info.size)
        #expect(try rig.entry(12)?.etag == info.etag)
        #expect(try rig.entry(12)?.sha256 == nil)
        #expect(try rig.entry(15) == nil)
        #expect(try rig.catalog.counts.indexed == 10)
    }

    @Test(arguments: [1, 1200]) func namesWithoutATimeDoNotHideNewSessions(_ strangers: Int) async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<2)
        for number in 0..<strangers { rig.bucket.set("sessions/z\(number).fastshot", [1]) }
        _ = try await rig.refresher.refresh(.full)
        _ = rig.requests()
        rig.bucket.addSessions(2..<3)
        rig.bucket.set("sessions/zz.fastshot", [1])
        let tail = try await rig.refresher.refresh(.tail)
        #expect(try rig.catalog.entry(fileName: "zz.fastshot") != nil)
        // Where they are many, only the complete listing finds what comes before them.
        #expect(tail.added == (strangers == 1 ? 2 : 1))
        #expect(rig.requests().count { $0 == "list sessions/" } == 1)
        #expect(try await rig.refresher.refresh(.full).added == (strangers == 1 ? 0 : 1))
    }

    @Test func pagesAreFollowedToTheEnd() async throws {
        let rig = try Rig(MemoryStore(pageLimit: 7))
        rig.bucket.addSessions(0..<50)
        let report = try await rig.refresher.refresh(.full)
        #expect(report.added == 50)
        #expect(report.indexesRead == 50)
        #expect(rig.requests().count { $0.hasPrefix("list ") } == 16)
    }

    @Test func anIndexThatIsNotListedCostsNoRequest() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<3)
        rig.bucket.addSessions(3..<6, indexes: false)
        _ = try await rig.refresher.refresh(.full)
        let fetched = rig.requests().filter { $0.hasPrefix("get meta_indexes/") }
        #expect(Set(fetched) == Set((0..<3).map { "get " + indexKey($0) }))
        #expect(fetched.count == 3)
        #expect(try rig.entry(4)?.indexState == .missing)
        // It is written later.
        rig.bucket.addSessions(4..<5)
        let full = try await rig.refresher.refresh(.full)
        #expect(full.indexesRead == 1)
        #expect(try rig.entry(4)?.indexState == .known)
        // And rewritten.
        let other = Array(#"{"name": "rewritten"}"#.utf8)
        rig.bucket.set(indexKey(4), other)
        #expect(try await rig.refresher.refresh(.full).indexesRead == 1)
        let id = try #require(try rig.entry(4)?.id)
        #expect(try rig.catalog.indexBytes(id: id) == other)
    }

    @Test func indexesOfEveryKindAreTakenAsTheyAre() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<6, indexes: false)
        rig.bucket.writeOverall(0..<6)
        let legacy = Array(#"{"name": "flat", "tags": ["a"], "filename": "x.fastshot"}"#.utf8)
        let partial = Array(#"{"version": "1.0", "metadata": {"name": "few"}}"#.utf8)
        rig.bucket.set(indexKey(0), legacy)
        rig.bucket.set(indexKey(1), partial)
        rig.bucket.set(indexKey(2), Array("not json".utf8))
        rig.bucket.set(indexKey(3), [])
        rig.bucket.set(indexKey(4), [UInt8](repeating: 0x20, count: 3 << 20))
        let report = try await rig.refresher.refresh(.tail)
        #expect(report.indexesRead == 2)
        #expect(report.indexesCorrupt == 3)
        #expect(report.indexesMissing == 1)
        let ids = try (0..<6).map { try #require(try rig.entry($0)?.id) }
        #expect(try rig.catalog.metadata(id: ids[0])?.name == "flat")
        #expect(try rig.catalog.indexBytes(id: ids[0]) == legacy)
        #expect(try rig.catalog.metadata(id: ids[1])?.color == "blue")
        #expect(try rig.catalog.indexBytes(id: ids[1]) == partial)
        for number in 2..<5 {
            #expect(try rig.entry(number)?.indexState == .corrupt)
            #expect(try rig.catalog.indexProblem(id: ids[number])?.isEmpty == false)
            #expect(try rig.entry(number)?.size == UInt64(body(number).count))
        }
        #expect(try rig.entry(5)?.indexState == .missing)
        // None of them is asked for again.
        _ = rig.requests()
        _ = try await rig.refresher.refresh(.tail)
        #expect(rig.requests() == ["get overall_meta.json", "list sessions/"])
    }

    @Test func anIndexThatFailedIsTriedAgain() async throws {
        let rig = try Rig()
        rig.bucket.addSessions(0..<5)
        rig.bucket.writeOverall(0..<5)
        rig.store.inject(.fail(StoreError(.temporary, message: "503")), verb: .get, key: indexKey(2))
        let report = try await rig.refresher.refresh(.tail)
        #expect(report.indexesRead == 4)
        #expect(report.indexesFailed == 1)
        #expect(try rig.entry(2)?.indexState == .unknown)
        _ = rig.requests()
        #expect(try await rig.refresher.refresh(.poll).indexesRead == 1)
        #expect(rig.requests() == ["get overall_meta.json", "get " + indexKey(2)])
    }

    @Test func indexesAreFetchedManyAtATimeWhileTheSessionsShow() async throws {
        let rig = try Rig(options: RefresherOptions(parallel: 40))
        rig.bucket.addSessions(0..<200)
        rig.bucket.writeOverall(0..<200)
        for number in 0..<200 { rig.store.inject(.hang, verb: .get, key: indexKey(number)) }
        let refresh = Task { try await rig.refresher.refresh(.tail) }
        try await eventually { rig.store.requests.count { $0.key.hasPrefix("meta_indexes/") } == 40 }
        try await eventually { try rig.catalog.counts.sessions == 200 }
        try await eventually { rig.store.count(.list) == 1 }
        #expect(rig.refresher.status.isRunning)
        #expect(rig.store.requests.count { $0.key.hasPrefix("meta_indexes/") } == 40)
        rig.refresher.stop()
        let error = await #expect(throws: StoreError.self) { try await refresh.value }
        #expect(error?.kind == .cancelled)
    }

    @Test func aStoreWithMarksShowsChangesThatTouchNoMetadata() async throws {
        let rig = try Rig(MemoryStore(hasMark: true))
        rig.bucket.addSessions(0..<3)
        rig.bucket.writeOverall(0..<3)
        _ = try await rig.refresher.refresh(.poll)
        rig.bucket.addSessions(1000..<1001)
        rig.bucket.unset(bodyKey(1))
        let report = try await rig.refresher.refresh(.poll)
        #expect(report.added == 1 && report.removed == 1)
        #expect(try rig.names() == [0, 2, 1000].map(fileName))
        #expect(try await rig.refresher.refresh(.poll).listedAll == false)
    }
}
