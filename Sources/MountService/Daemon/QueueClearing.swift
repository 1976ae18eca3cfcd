internal import Control
internal import Platform
internal import SessionCache

/// Gives up many changes, on several threads: each waits for the disk, and those that wait at once share the wait.
struct QueueClearing: Sendable {
    let staging: Staging
    private static let threads = 16

    private struct Attempts {
        var left: ArraySlice<Int>
        var items: [Int: DiscardResult.Item] = [:]
        /// Could not be given up: open, being sent, or another change has the name that it would go back to.
        var refused: [Int] = []
    }

    /// - Returns: what became of each, in their order; without those that were sent meanwhile.
    func run(_ changes: [PendingChange]) -> [DiscardResult.Item] {
        var items: [Int: DiscardResult.Item] = [:]
        // The latest first: a change may be undone only when no later one needs its name.
        var left = Array(changes.indices.reversed())
        while !left.isEmpty {
            let round = attempt(left, changes)
            items.merge(round.items) { $1 }
            // As long as some go, others may become free.
            if round.refused.count == left.count { break }
            left = round.refused.sorted(by: >)
        }
        return changes.indices.compactMap { items[$0] }
    }

    private func attempt(_ left: [Int], _ changes: [PendingChange]) -> Attempts {
        let state = Guarded(Attempts(left: left[...]))
        let threads = (0..<min(Self.threads, left.count)).map { _ in
            WorkerThread(name: "queue") { [staging] in
                while let index = state.withLock({ $0.left.popFirst() }) {
                    let name = changes[index].subject
                    do throws(StagingError) {
                        let kept = try staging.discard(id: changes[index].id)
                        state.withLock { $0.items[index] = DiscardResult.Item(name: name, kept: kept) }
                    } catch {
                        if error.kind == .notFound { continue }
                        state.withLock { state in
                            state.items[index] = DiscardResult.Item(name: name, problem: error.message)
                            state.refused.append(index)
                        }
                    }
                }
            }
        }
        threads.forEach { $0.join() }
        return state.withLock { $0 }
    }
}
