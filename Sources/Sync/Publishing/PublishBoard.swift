internal import ObjectStore
internal import Platform
internal import SessionCache

/// What jobs share with the desk while they run: how far they are, and what a repetition need not do again.
final class PublishBoard: Sendable {
    /// What an earlier try of the same change has reached.
    struct Reached: Sendable {
        fileprivate let generation: Int64
        /// Of the contents. Generations begin anew when a change was given up and the session is changed again.
        fileprivate let path: String?
        let facts: StagedFacts
        /// The body in the bucket; nil before.
        let body: ObjectInfo?

        init(_ change: PendingChange, facts: StagedFacts, body: ObjectInfo?) {
            generation = change.generation
            path = change.content?.path
            self.facts = facts
            self.body = body
        }
    }
    /// What a change was decided to take the place of.
    private struct Beaten: Equatable {
        /// Of the change: a later one of the same session has another.
        var sequence: Int64
        var generation: Int64
        /// Nil: nothing was there.
        var key: String?
        var etag: String?
        var size: UInt64?

        init(_ change: PendingChange, _ found: ObjectInfo?) {
            (sequence, generation) = (change.sequence, change.generation)
            (key, etag, size) = (found?.key, found?.etag, found?.size)
        }
    }
    private struct State {
        var desk: PublishDesk
        var reached: [Int64: Reached] = [:]
        var bytes: [Int64: (done: UInt64, total: UInt64)] = [:]
        var cancelled: Set<Int64> = []
        var beaten: [Int64: Beaten] = [:]
        /// Sessions of which a try that did not come to its end has written or removed something. What is wanted of them
        /// may have changed since.
        var touched: Set<Int64> = []
        /// Whether other changes than before may begin.
        var hasNews = true
    }

    private let state: Guarded<State>
    /// Raised whenever the desk has to look again.
    let wakeups = Wakeups()

    init(parallel: Int) { state = Guarded(State(desk: PublishDesk(parallel: parallel))) }

    /// Asks or changes the desk.
    func desk<Value: Sendable>(_ body: (inout PublishDesk) -> Value) -> Value {
        state.withLock { state in body(&state.desk) }
    }

    /// Other changes than before may begin.
    func announceNews(raising: Bool = true) {
        state.withLock { $0.hasNews = true }
        if raising { wakeups.raise() }
    }

    /// Whether there was news since the last call.
    func takeNews() -> Bool {
        state.withLock { state in
            defer { state.hasNews = false }
            return state.hasNews
        }
    }

    /// The change's objects are in the bucket, its row is in the queue.
    func prepared(_ id: Int64) {
        desk { $0.prepared(id) }
        wakeups.raise()
    }

    /// What an earlier try of this very change has reached.
    func reached(_ change: PendingChange) -> Reached? {
        guard let found = state.withLock({ $0.reached[change.id] }), found.generation == change.generation,
            found.path == change.content?.path
        else { return nil }
        return found
    }

    func note(_ id: Int64, _ reached: Reached?) { state.withLock { $0.reached[id] = reached } }

    /// Whether an earlier try, for whatever was wanted then, has written or removed something of a session.
    func hasTouched(_ id: Int64) -> Bool { state.withLock { $0.touched.contains(id) } }

    /// A try is about to write or remove something, and nobody knows whether it comes to its end.
    func touch(_ id: Int64) { state.withLock { _ = $0.touched.insert(id) } }

    /// What the tries have left behind is in order.
    func untouch(_ id: Int64) { state.withLock { _ = $0.touched.remove(id) } }

    /// Notes how much of a body is sent; nil when none is being sent.
    func progress(_ id: Int64, _ bytes: (done: UInt64, total: UInt64)?) { state.withLock { $0.bytes[id] = bytes } }

    /// How much of a body is sent, from 0 to 100.
    func percent(_ id: Int64) -> Int? {
        state.withLock { state in
            guard let (done, total) = state.bytes[id] else { return nil }
            return total == 0 ? 100 : Int(min(100, Double(done) / Double(total) * 100))
        }
    }

    /// The user has stopped the upload.
    func cancel(_ id: Int64) { state.withLock { _ = $0.cancelled.insert(id) } }

    /// Whether the user has stopped it; forgets it.
    func takeCancelled(_ id: Int64) -> Bool { state.withLock { $0.cancelled.remove(id) != nil } }

    /// A conflict was decided, for this machine's version or otherwise.
    func noteBeaten(_ change: PendingChange, _ found: ObjectInfo?, isBeaten: Bool) {
        state.withLock { $0.beaten[change.id] = isBeaten ? Beaten(change, found) : nil }
    }

    /// Whether the change met this very version the last time, too, and it was decided that it goes.
    func wasBeaten(_ change: PendingChange, _ found: ObjectInfo?) -> Bool {
        state.withLock { $0.beaten[change.id] == Beaten(change, found) }
    }
}
