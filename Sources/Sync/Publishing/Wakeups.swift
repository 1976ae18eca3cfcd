internal import Platform

/// Wakes tasks that wait for something to happen. Raises are counted, so that none is missed between a look at the
/// state and the wait.
final class Wakeups: Sendable {
    private struct State {
        var count: UInt64 = 0
        var next: UInt64 = 0
        var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
        /// Waits that ended before they began.
        var early: Set<UInt64> = []
    }
    private let state = Guarded(State())

    /// How often it was raised.
    var count: UInt64 { state.withLock { $0.count } }

    /// Wakes everybody who waits.
    func raise() {
        let woken = state.withLock { state in
            state.count += 1
            let all = Array(state.waiting.values)
            state.waiting = [:]
            return all
        }
        for waiter in woken { waiter.resume() }
    }

    /// Waits until it was raised since `count` was read, for some seconds at most, or until the task is cancelled.
    func wait(since count: UInt64, seconds: Double? = nil) async {
        if let seconds, seconds <= 0 { return await Task.yield() }
        let token = state.withLock { state in
            state.next += 1
            return state.next
        }
        let timer = seconds.map { seconds in
            Task {
                do { try await Task.sleep(for: .seconds(seconds)) } catch { return }
                self.wake(token)
            }
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
                let isOver = state.withLock { state in
                    if state.count != count || Task.isCancelled || state.early.contains(token) { return true }
                    state.waiting[token] = waiter
                    return false
                }
                if isOver { waiter.resume() }
            }
        } onCancel: {
            wake(token)
        }
        timer?.cancel()
        // The timer may still come, and leave its token once more: tokens are small, and few come so late.
        state.withLock { _ = $0.early.remove(token) }
    }

    private func wake(_ token: UInt64) {
        let waiter = state.withLock { state in
            let waiter = state.waiting.removeValue(forKey: token)
            if waiter == nil { state.early.insert(token) }
            return waiter
        }
        waiter?.resume()
    }
}

/// Lets a limited number of tasks work at the same time.
final class Slots: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
        var head = 0
    }
    private let state: Guarded<State>

    init(_ count: Int) { state = Guarded(State(free: max(1, count))) }

    /// Takes a slot; waits for one. Give it back with ``release()``.
    func acquire() async {
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            let isFree = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                state.waiting.append(waiter)
                return false
            }
            if isFree { waiter.resume() }
        }
    }

    func release() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.head < state.waiting.count else {
                state.waiting.removeAll()
                state.head = 0
                state.free += 1
                return nil
            }
            state.head += 1
            return state.waiting[state.head - 1]
        }
        next?.resume()
    }
}
