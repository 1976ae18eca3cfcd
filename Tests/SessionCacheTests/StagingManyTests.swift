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
}
