import Platform
import Testing

@Suite(.timeLimit(.minutes(2))) struct GuardedTests {
    /// A closure that is read again and again stays what it was: it can be called where there is little stack.
    @Test func aClosureIsNotWrappedByBeingRead() {
        let handler = Guarded<(@Sendable () -> Void)?>(nil)
        let calls = Guarded(0)
        handler.withLock { $0 = { calls.withLock { $0 += 1 } } }
        WorkerThread(name: "caller", stackSize: 512 << 10) {
            for _ in 0..<100_000 { _ = handler.value }
            handler.value?()
        }.join()
        #expect(calls.value == 1)
    }
}
