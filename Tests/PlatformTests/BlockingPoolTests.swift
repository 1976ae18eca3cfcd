import Foundation
import Platform
import Testing

@Suite(.timeLimit(.minutes(2))) struct BlockingPoolTests {
    private let isOver = Guarded(false)

    /// Whether a pool does something before long, while others are as they are.
    private func works(_ pool: BlockingPool) async throws -> Bool {
        let isDone = Guarded(false)
        pool.run { isDone.withLock { $0 = true } }
        for _ in 0..<500 {
            if isDone.withLock({ $0 }) { return true }
            try await Task.sleep(for: .milliseconds(4))
        }
        return false
    }

    @Test func whoComputesHoldsUpNobody() async throws {
        let (busy, other) = (BlockingPool(name: "busy"), BlockingPool(name: "other"))
        defer { isOver.withLock { $0 = true } }
        for _ in 0...ProcessInfo.processInfo.activeProcessorCount {
            busy.run { [isOver] in while !isOver.withLock({ $0 }) {} }
        }
        try await Task.sleep(for: .milliseconds(50))
        #expect(try await works(other))
        #expect(try await works(busy))
    }

    @Test func whoWaitsHoldsUpNobody() async throws {
        let (waiting, other) = (BlockingPool(name: "waiting"), BlockingPool(name: "other"))
        let gate = Semaphore()
        defer { for _ in 0..<40 { gate.signal() } }
        for _ in 0..<40 { waiting.run { gate.wait() } }
        try await Task.sleep(for: .milliseconds(50))
        #expect(try await works(other))
        #expect(try await works(waiting))
    }

    @Test func allJobsAreDoneAndNoMoreAtATime() async {
        let pool = BlockingPool(name: "few", threads: 3)
        let counts = Guarded((now: 0, most: 0))
        await withTaskGroup(of: Int.self) { group in
            for number in 0..<200 {
                group.addTask {
                    await pool.result {
                        counts.withLock { counts in
                            counts.now += 1
                            counts.most = max(counts.most, counts.now)
                        }
                        usleep(500)
                        counts.withLock { $0.now -= 1 }
                        return number
                    }
                }
            }
            let sum = await group.reduce(0, +)
            #expect(sum == 199 * 100)
        }
        #expect(counts.withLock { $0.most } <= 3)
    }

    /// What was handed over is done though nobody holds the pool any more.
    @Test func jobsOutliveThePool() async {
        let done = Guarded(0)
        do {
            let pool = BlockingPool(name: "gone", threads: 2)
            for _ in 0..<50 {
                pool.run {
                    usleep(500)
                    done.withLock { $0 += 1 }
                }
            }
        }
        for _ in 0..<1000 where done.withLock({ $0 }) < 50 { try? await Task.sleep(for: .milliseconds(4)) }
        #expect(done.withLock { $0 } == 50)
    }
}
