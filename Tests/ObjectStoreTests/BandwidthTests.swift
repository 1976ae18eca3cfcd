@testable import ObjectStore
import Platform
import TestSupport
import Testing

@Suite struct TokenBucketTests {
    private let second: Int64 = 1_000_000_000

    @Test func withoutARateNothingWaits() {
        var bucket = TokenBucket()
        bucket.take(1 << 40, now: 0)
        #expect(bucket.wait(now: 0) == 0)
    }

    @Test func whoeverTakesMoreMakesTheNextOneWait() {
        var bucket = TokenBucket()
        bucket.setRate(1000, now: 0)
        bucket.take(5000, now: 0)
        #expect(bucket.wait(now: 0) == 5)
        #expect(bucket.wait(now: 4 * second) == 1)
        #expect(bucket.wait(now: 6 * second) == 0)
    }

    @Test func inTheLongRunTheRateIsKept() {
        var bucket = TokenBucket()
        bucket.setRate(100_000, now: 0)
        var now: Int64 = 0
        var taken = 0
        while taken < 10_000_000 {
            let wait = bucket.wait(now: now)
            if wait > 0 {
                now += Int64(wait * 1e9) + 1
            } else {
                bucket.take(3000, now: now)
                taken += 3000
            }
        }
        let rate = Double(taken) / (Double(now) / 1e9)
        #expect(rate > 99_000 && rate < 101_000)
    }

    @Test func whatWasNotUsedDoesNotGatherForever() {
        var bucket = TokenBucket()
        bucket.setRate(8000, now: 0)
        #expect(bucket.wait(now: 1000 * second) == 0)
        bucket.take(1001, now: 1000 * second)
        #expect(bucket.wait(now: 1000 * second) > 0)
    }
}

@Suite(.timeLimit(.minutes(1))) struct DirectoryLimitTests {
    @Test func aLimitHoldsUntilItIsLifted() async throws {
        let directory = try TemporaryDirectory()
        let limits = BandwidthLimits(upload: 1)
        let store = LocalDirectoryStore(directory: directory.path, limits: limits)
        let finished = Guarded(false)
        let write = Task {
            let info = try await store.put("k", .bytes([UInt8](repeating: 1, count: 3 << 20)), .always)
            finished.withLock { $0 = true }
            return info
        }
        // Reads have a limit of their own, and this one is far off.
        _ = try await store.list(ListRequest(prefix: ""))
        #expect(!finished.withLock { $0 })
        limits.upload = nil
        #expect(try await write.value.size == 3 << 20)
    }
}
