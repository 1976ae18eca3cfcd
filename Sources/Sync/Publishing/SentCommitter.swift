internal import Platform
internal import SessionCache

/// Tells the staging of sent changes, all that come together in one transaction.
final class SentCommitter: Sendable {
    private struct Order {
        var sent: Staging.Sent
        var done: CheckedContinuation<StagingError?, Never>
    }
    private struct State {
        var orders: [Order] = []
        var isBusy = false
    }

    private let state = Guarded(State())
    private let staging: Staging
    private let pool: BlockingPool

    init(staging: Staging, pool: BlockingPool) {
        self.staging = staging
        self.pool = pool
    }

    /// Waits until the journal has forgotten the change.
    func commit(_ sent: Staging.Sent) async throws(StagingError) {
        let failure = await withCheckedContinuation { (done: CheckedContinuation<StagingError?, Never>) in
            let begins = state.withLock { state in
                state.orders.append(Order(sent: sent, done: done))
                defer { state.isBusy = true }
                return !state.isBusy
            }
            if begins { pool.run { self.work() } }
        }
        if let failure { throw failure }
    }

    private func work() {
        while true {
            let orders = state.withLock { state in
                if state.orders.isEmpty { state.isBusy = false }
                defer { state.orders = [] }
                return state.orders
            }
            if orders.isEmpty { return }
            FaultPoint.reached("publish.sent.before")
            var failure: StagingError?
            do throws(StagingError) { try staging.sent(orders.map(\.sent)) } catch { failure = error }
            FaultPoint.reached("publish.sent.after")
            for order in orders { order.done.resume(returning: failure) }
        }
    }
}
