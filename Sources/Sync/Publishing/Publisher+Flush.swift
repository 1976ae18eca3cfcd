internal import ObjectStore
internal import Operations
internal import Platform
internal import SessionCache

extension Publisher {
    /// Failures in a row after which a flush without a time limit gives a change up.
    private static let mostFailures = 6

    /// Sends everything that can be sent now, without waiting to gather. Changes that had failed are tried again.
    /// - Parameters:
    ///   - timeout: in seconds; nil waits as long as something moves.
    ///   - progress: changes done and in all.
    /// - Returns: what was not sent, and why; empty when all was.
    public func flush(
        timeout: Double?, progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void
    ) async -> [Unsent] {
        let staging = context.staging
        await context.onDisk { try? staging.retry(refused: false) }
        let now = Timestamp.monotonic
        let deadline = timeout.map { now.later(by: $0) }
        let wanted = staging.counts.pending
        if wanted == 0 && board.desk({ $0.running }) == 0 { return unsent() }
        board.desk { desk in
            desk.hurries += 1
            desk.forgetFailures()
        }
        context.conditions.wake(now)
        board.announceNews()
        // Whoever flushes need not care whether somebody sends.
        let sending = Task { await self.run() }
        let stop = Guarded(false)
        let operation = context.operations.begin(.flush, subject: context.store.location, total: UInt64(wanted)) {
            [board] in
            stop.withLock { $0 = true }
            board.wakeups.raise()
        }
        let began = state.withLock { $0.ended }
        func report() {
            let done = Int(state.withLock { $0.ended } - began)
            let total = max(wanted, done)
            progress(min(done, total), total)
            operation.progress(completed: UInt64(min(done, total)), total: UInt64(total))
        }
        while !Task.isCancelled, !stop.withLock({ $0 }) {
            let count = board.wakeups.count
            report()
            if !moves() { break }
            let now = Timestamp.monotonic
            let left = deadline?.seconds(since: now)
            if let left, left <= 0 { break }
            await board.wakeups.wait(since: count, seconds: min(left ?? 1, 1))
        }
        sending.cancel()
        await sending.value
        board.desk { $0.hurries -= 1 }
        // The last one may have ended right after the last report.
        report()
        let rest = unsent()
        if stop.withLock({ $0 }) || Task.isCancelled {
            operation.cancelled()
        } else if rest.isEmpty {
            operation.finish()
        } else {
            operation.fail("\(rest.count) not sent")
        }
        return rest
    }

    /// Whether waiting may still bring something into the bucket.
    private func moves() -> Bool {
        while connectivity.state.isOnline {
            let (running, resting, begun) = board.desk { ($0.running, $0.resting, $0.begun) }
            if running > 0 || sweep.isRunning { return true }
            // Those that only ever fail do not hold up the end.
            if context.conditions.failures >= Self.mostFailures { return false }
            let candidates = context.staging.sendable(limit: resting + 1)
            if candidates.contains(where: { candidate in
                board.desk { $0.failures(candidate.id) } < Self.mostFailures
            }) {
                return true
            }
            // One that has begun between the two looks is in neither of them.
            if board.desk({ $0.begun }) == begun { return false }
        }
        return false
    }

    /// What is not in the bucket, without files that are never sent.
    private func unsent() -> [Unsent] {
        let connection = connectivity.state
        return context.staging.changes().compactMap { change in
            let reason: String
            switch change.state {
            case .local: return nil
            case .ready: reason = waiting(change, connection)
            case .open: reason = "open for writing"
            case .held: reason = "held back by batch \(change.batch.map(String.init) ?? "")"
            case .conflict: reason = change.reason.isEmpty ? "in conflict, waits for a decision" : change.reason
            case .failed: reason = change.reason.isEmpty ? "failed" : change.reason
            case .refused: reason = change.reason.isEmpty ? "refused" : change.reason
            }
            return Unsent(name: change.subject, reason: reason)
        }
    }

    private func waiting(_ change: PendingChange, _ connection: Connectivity.State) -> String {
        switch connection {
        case .online:
            if let reason = board.desk({ $0.reason(change.id) }) { return reason }
            if board.desk({ $0.isRunning(change.id) }) { return "still being sent" }
            return change.reason.isEmpty ? "waits for its turn" : change.reason
        case .offline(_, let error): return "offline: \(error.description)"
        case .forced: return "offline by the user's wish"
        }
    }

    /// Waits until a change has been sent or has failed, for a close that waits for the cloud. While the store is
    /// offline it does not wait, nor once the file has lost its name: nothing of it is to be sent then.
    /// - Returns: why it was not sent; nil when it was, or when there is nothing to be sent.
    public func outcome(of id: Int64) async -> Unsent? {
        board.desk { $0.hurries += 1 }
        defer { board.desk { $0.hurries -= 1 } }
        board.announceNews()
        while true {
            let count = board.wakeups.count
            guard let change = context.staging.change(id: id), change.name != nil else { return nil }
            switch change.state {
            case .local, .open: return nil
            case .held: return Unsent(name: change.subject, reason: "held back by a batch")
            case .conflict, .failed, .refused:
                return Unsent(
                    name: change.subject, reason: change.reason.isEmpty ? change.state.rawValue : change.reason)
            case .ready:
                if !connectivity.state.isOnline || Task.isCancelled {
                    return Unsent(name: change.subject, reason: waiting(change, connectivity.state))
                }
            }
            // The journal may also change without a word to the desk: a change that is given up.
            await board.wakeups.wait(since: count, seconds: 1)
        }
    }
}
