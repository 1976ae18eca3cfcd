import Catalog
import Glibc
import Platform
import Testing

@testable import SessionCache

@Suite(.timeLimit(.minutes(2))) struct StagingArrivalTests {
    /// The end of an upload is decided a moment before it is durable and shown. A file that is saved again in that
    /// moment goes out from what has arrived: else it would be a conflict with oneself, or, for a file that the bucket did
    /// not have before, be taken for one that has lost its name.
    @Test(arguments: [false, true]) func aSaveMeetsTheEndOfAnUpload(_ isKnown: Bool) async throws {
        let fixture = try StagingFixture()
        let id = try fixture.save("x.fastshot", pattern(5000))
        if isKnown {
            try fixture.sendAll()
            try await fixture.overwrite("x.fastshot", pattern(4000))
        }
        let change = try fixture.begin(id)
        var publisher = ModelPublisher(fixture: fixture)
        try publisher.perform(change)
        let draft = try await fixture.edit(id, truncating: true)
        let saved: [UInt8] = [1, 2]
        try draft.write(saved.span.bytes, at: 0)
        let staging = fixture.staging
        let sent = fixture.sent(change)
        // Whoever has the journal keeps the others from making durable what they have decided.
        let threads = staging.journal.withLock { _ in
            let arriving = WorkerThread(name: "sent") { try? staging.sent([sent]) }
            wait { staging.core.withLock { $0.table.rows[id] == nil } }
            let saving = WorkerThread(name: "flush") { try? draft.flush() }
            wait { staging.core.withLock { $0.table.rows[id] != nil } }
            return [arriving, saving]
        }
        threads.forEach { $0.join() }
        draft.close()
        let row = try #require(staging.change(id: id))
        #expect(row.kind == .edit && row.state == .ready)
        #expect(row.remote?.etag == fixture.bucket("x.fastshot")?.etag)
        #expect(try fixture.reads("x.fastshot", saved))
    }

    /// The bound is only there to end a broken run.
    private func wait(_ condition: () -> Bool) {
        for _ in 0..<3000 where !condition() { usleep(1000) }
    }
}
