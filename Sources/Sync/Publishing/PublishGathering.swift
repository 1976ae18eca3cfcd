internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Changes of rows that wait to be written together.
final class PublishGathering: Sendable {
    /// Changes of one job.
    struct Order {
        fileprivate var changes: [RowChange]
        /// What a row that is set tells of.
        fileprivate var object: ObjectInfo?
        fileprivate var done: CheckedContinuation<Result<Standing, StoreError>, Never>
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
    ///   - object: what a row that is set tells of.
    ///   - handedOver: called once they are in the queue.
    /// - Returns: what stands in the object's place after that; `.stands` where there is none.
    func write(
        _ changes: [RowChange], about object: ObjectInfo?, handedOver: () -> Void
    ) async throws(StoreError) -> Standing {
        let outcome = await withCheckedContinuation {
            (done: CheckedContinuation<Result<Standing, StoreError>, Never>) in
            let isClosed = state.withLock { state in
                if state.isClosed { return true }
                let now = Timestamp.monotonic
                if state.orders.isEmpty { state.first = now }
                state.last = now
                state.orders.append(Order(changes: changes, object: object, done: done))
                return false
            }
            if isClosed { done.resume(returning: .failure(Self.closed)) } else { handedOver() }
        }
        return try outcome.get()
    }

    /// Whether this machine has lately written the row of this version.
    func hasWritten(_ name: SessionName, etag: String?) -> Bool { watch.has(name.fileName, etag: etag) }

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
    /// - Returns: what is written and waits for ``finish(_:_:)``.
    func writeAll() async -> [Order] {
        let orders = state.withLock { state in
            defer { state.orders = [] }
            return state.orders
        }
        if orders.isEmpty { return [] }
        let changes = orders.flatMap(\.changes)
        FaultPoint.reached("publish.row.before")
        do throws(StoreError) {
            // Before the write: a row that is to go must not be taken for a lost one.
            watch.forget(changes)
            try await writer.apply(changes)
            watch.record(changes, tags: tags(orders), now: .now)
        } catch {
            for order in orders { order.done.resume(returning: .failure(error)) }
            return []
        }
        FaultPoint.reached("publish.row.after")
        return orders
    }

    /// The tags of the objects that rows tell of, by file name.
    private func tags(_ orders: [Order]) -> [[UInt8]: String] {
        var tags: [[UInt8]: String] = [:]
        for order in orders {
            for row in order.changes.compactMap(\.row) { tags[Array(row.fileName.utf8)] = order.object?.etag }
        }
        return tags
    }

    /// Looks whether the rows that were written tell of the bodies that stand, and lets the jobs go on.
    func finish(_ orders: [Order], _ check: BodyCheck) async {
        let standings = await check.look(at: orders.compactMap(\.object))
        var next = standings[...]
        for order in orders {
            order.done.resume(returning: (order.object == nil ? nil : next.popFirst()) ?? .success(.stands))
        }
    }

    /// Ends all that waits, and whatever comes, until ``reopen()``.
    func close() {
        let orders = state.withLock { state in
            state.isClosed = true
            defer { state.orders = [] }
            return state.orders
        }
        for order in orders { order.done.resume(returning: .failure(Self.closed)) }
    }

    func reopen() { state.withLock { $0.isClosed = false } }

    private static var closed: StoreError { StoreError(.cancelled, message: "sending was stopped") }
}
