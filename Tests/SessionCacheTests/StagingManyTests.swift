import Catalog
import ObjectStore
import Platform
import Testing

@testable import SessionCache

/// Thousands of changes.
@Suite(.timeLimit(.minutes(4))) struct StagingManyTests {
    /// Whoever hears that something is ready is called on threads with little stack, any number of times.
    @Test func readinessIsTold() throws {
        let fixture = try StagingFixture()
        let calls = Guarded(0)
        let staging = fixture.staging
        staging.onReady { calls.withLock { $0 += 1 } }
        WorkerThread(name: "caller") {
            for _ in 0..<50_000 { staging.announceReady() }
        }.join()
        #expect(calls.value == 50_001)
    }

    /// A batch that is cancelled goes back over names that its files have handed on.
    @Test func aLargeBatchIsCancelled() async throws {
        let fixture = try StagingFixture()
        let count = 60
        for number in 0..<count { try fixture.save("\(number).fastshot", Array("old \(number)".utf8)) }
        try fixture.sendAll()
        _ = try fixture.staging.beginBatch()
        // Each goes to the name of the one before, so that they can only go back one after the other.
        _ = try fixture.staging.remove("0.fastshot")
        for number in 1..<count {
            _ = try fixture.staging.rename("\(number).fastshot", to: "\(number - 1).fastshot", replacing: false)
        }
        for number in 0..<count { try fixture.save("new \(number).fastshot", Array("new \(number)".utf8)) }
        _ = try fixture.staging.cancelBatch()
        #expect(try fixture.names() == (0..<count).map { "\($0).fastshot" }.sorted())
        for number in 0..<count {
            #expect(try fixture.reads("\(number).fastshot", Array("old \(number)".utf8)))
        }
        #expect(fixture.staging.changes().isEmpty)
        #expect(fixture.staging.counts == Staging.Counts())
    }

    /// Whoever lists names takes a copy along. The next change must not have to copy all that the rows hold.
    @Test func changesBesideListings() {
        var (rows, plain) = (RowMap(), [Int64: PendingTable.Row]())
        for number in 1...Int64(20_000) {
            let name = "20260101000000_session with a name of its own \(number).fastshot"
            let version = ObjectVersion(etag: "a tag that is long enough to be kept apart \(number)", size: 1)
            let row = PendingTable.Row(
                change: PendingChange(
                    id: number, sequence: number, name: name, remoteName: "old " + name, remote: version))
            (rows[number], plain[number]) = (row, row)
        }
        /// The shortest of some times, for others may be at work as well.
        func time(_ change: (Int64) -> Void) -> Double {
            (1...Int64(20)).map { number in
                let began = Timestamp.monotonic
                change(number)
                return Timestamp.monotonic.seconds(since: began)
            }.min() ?? 0
        }
        let ours = time { number in
            let listed = rows
            rows[number] = nil
            #expect(listed[number] != nil && rows[number] == nil)
        }
        let others = time { number in
            let listed = plain
            plain[number] = nil
            #expect(listed[number] != nil && plain[number] == nil)
        }
        #expect(ours < others / 2, "\(ours) s for each change, \(others) s without")
    }

    /// Names are listed in the order of ids, whatever comes and goes in between.
    @Test func namesComeAndGo() throws {
        let fixture = try StagingFixture()
        for number in 0..<9 { try fixture.save("\(number).fastshot", [1]) }
        #expect(try fixture.listing().map(\.name) == (0..<9).map { "\($0).fastshot" })
        for number in [4, 0, 8] { _ = try fixture.staging.remove("\(number).fastshot") }
        _ = try fixture.staging.rename("5.fastshot", to: "z.fastshot", replacing: false)
        try fixture.save("a.fastshot", [1])
        #expect(try fixture.listing().map(\.name) == ["1", "2", "3", "z", "6", "7", "a"].map { $0 + ".fastshot" })
        try fixture.sendAll()
        #expect(try fixture.names() == ["1", "2", "3", "6", "7", "a", "z"].map { $0 + ".fastshot" })
        try fixture.save("b.fastshot", [1])
        #expect(try fixture.names() == ["1", "2", "3", "6", "7", "a", "b", "z"].map { $0 + ".fastshot" })
    }

    /// What is being sent keeps others from its names, the wanted one and the one in the bucket.
    @Test func namesOfWhatIsBeingSent() throws {
        var table = PendingTable()
        let now = Timestamp(seconds: 1)
        let version = ObjectVersion(etag: "v", size: 1)
        func remote(_ id: Int64, _ name: String) -> PendingTable.Remote {
            PendingTable.Remote(id: id, fileName: name, version: version)
        }
        var next: Int64 = 100
        let reserve: PendingTable.Reserve = { () throws(StagingError) in
            next += 1
            return next
        }
        try table.rename(
            id: 1, remote: remote(1, "a.fastshot"), to: "b.fastshot", replacing: nil, content: nil, reserve: reserve,
            at: now)
        _ = table.takeSteps()
        #expect(table.begin(1) != nil)
        for name in ["a.fastshot", "b.fastshot"] {
            let change = PendingChange(id: 9, sequence: 1, name: name, state: .ready)
            #expect(table.isBlocked(PendingTable.Row(change: change)), "\(name)")
            let removal = PendingChange(id: 9, sequence: 1, name: nil, remoteName: name, state: .ready)
            #expect(table.isBlocked(PendingTable.Row(change: removal)), "\(name)")
        }
        // Not itself, and not others.
        let row = try #require(table.rows[1])
        #expect(!table.isBlocked(row))
        let other = PendingChange(id: 9, sequence: 1, name: "c.fastshot", state: .ready)
        #expect(!table.isBlocked(PendingTable.Row(change: other)))
        table.revertSteps()
        #expect(table.runs.isEmpty)
        let free = PendingChange(id: 9, sequence: 1, name: nil, remoteName: "a.fastshot", state: .ready)
        #expect(!table.isBlocked(PendingTable.Row(change: free)))
    }
}
