internal import ObjectStore
internal import Platform

/// Changes of rows that wait to be written together.
final class PublishGathering: Sendable {
    private struct Order {
        var changes: [RowChange]
        /// The tags of the objects that rows tell of, by file name.
        var tags: [String: String]
        var done: CheckedContinuation<StoreError?, Never>
    }
    private struct State {
        var orders: [Order] = []
        var first = Timestamp.monotonic
        var last = Timestamp.monotonic
        var isWriting = false
        var isClosed = false
    }

    private let state = Guarded(State())
    private let writer: RowWriter
    private let watch: WatchedRows

    init(writer: RowWriter, watch: WatchedRows) {
        self.writer = writer
        self.watch = watch
    }

    /// Hands over changes and waits until they are written.
    /// - Parameters:
    ///   - tags: of the objects that the rows tell of, by file name.
    ///   - handedOver: called once they are in the queue.
    func write(_ changes: [RowChange], tags: [String: String], handedOver: () -> Void) async throws(StoreError) {
        let failure = await withCheckedContinuation { (done: CheckedContinuation<StoreError?, Never>) in
            let isClosed = state.withLock { state in
                if state.isClosed { return true }
                let now = Timestamp.monotonic
                if state.orders.isEmpty { state.first = now }
                state.last = now
                state.orders.append(Order(changes: changes, tags: tags, done: done))
                return false
            }
            if isClosed { done.resume(returning: Self.closed) } else { handedOver() }
        }
        if let failure { throw failure }
    }

    /// Seconds until what has gathered is to be written; nil when nothing has, or while a write is under way.
    func wait(preparing: Int, hurry: Bool, gathering: Double, now: Timestamp) -> Double? {
        state.withLock { state in
            guard !state.orders.isEmpty, !state.isWriting else { return nil }
            return GatheringRule.wait(
                first: state.first, last: state.last, preparing: preparing, hurry: hurry, gathering: gathering,
                now: now)
        }
    }

    /// Takes the right to change the overall file; one at a time has it.
    func begin() -> Bool {
        state.withLock { state in
            if state.isWriting { return false }
            state.isWriting = true
            return true
        }
    }

    func end() { state.withLock { $0.isWriting = false } }

    /// Writes what has gathered, after ``begin()``.
    func writeAll() async {
        let orders = state.withLock { state in
            defer { state.orders = [] }
            return state.orders
        }
        if orders.isEmpty { return }
        let changes = orders.flatMap(\.changes)
        var failure: StoreError?
        FaultPoint.reached("publish.row.before")
        do throws(StoreError) {
            // Before the write: a row that is to go must not be taken for a lost one.
            watch.forget(changes)
            try await writer.apply(changes)
            watch.record(changes, tags: orders.reduce(into: [:]) { $0.merge($1.tags) { $1 } }, now: .now)
        } catch { failure = error }
        FaultPoint.reached("publish.row.after")
        for order in orders { order.done.resume(returning: failure) }
    }

    /// Ends all that waits, and whatever comes, until ``reopen()``.
    func close() {
        let orders = state.withLock { state in
            state.isClosed = true
            defer { state.orders = [] }
            return state.orders
        }
        for order in orders { order.done.resume(returning: Self.closed) }
    }

    func reopen() { state.withLock { $0.isClosed = false } }

    private static var closed: StoreError { StoreError(.cancelled, message: "sending was stopped") }
}
