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
