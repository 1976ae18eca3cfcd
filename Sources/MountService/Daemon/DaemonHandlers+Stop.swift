internal import Control
internal import Glibc
internal import Platform
internal import SessionCache
internal import Sync
internal import Synchronization

/// `POST /v1/stop` and `POST /v1/flush`.
extension MountDaemon {
    /// Sends what can be sent.
    /// - Returns: what was not, and what waits for a decision.
    func flush(
        _ timeout: Double?, _ progress: @escaping ControlHandlers.Progress
    ) async throws(ControlProblem) -> [Unsent] {
        let publisher = try writingSide().1
        await connectivity.lookNow()
        let unsent = await publisher.flush(timeout: timeout) { done, total in
            progress(
                ProgressUpdate(
                    phase: "flush", completed: UInt64(clamping: done), total: UInt64(clamping: total),
                    message: "\(done) of \(total) changes sent"))
        }
        return unsent + undecided()
    }

    /// Flushes and unmounts for `sessionfs unmount`. A busy mount is tried again until the time is up, then stays.
    func stop(
        _ wish: StopRequest, _ progress: @escaping ControlHandlers.Progress
    ) async throws(ControlProblem) -> StopResult {
        if let policy = wish.policy { chosenPolicy.withLock { $0 = policy } }
        let began = Timestamp.monotonic
        func left() -> Double? { wish.timeout.map { max(0, $0 - Timestamp.monotonic.seconds(since: began)) } }
        if unmounted.current == nil, !detached.load(ordering: .acquiring) {
            phase.withLock { $0 = .draining }
            if publisher != nil {
                let unsent = try await flush(wish.timeout, progress)
                // What could not be sent just now is not tried again, and what comes meanwhile has what time is left.
                lastFlush.withLock { $0 = unsent.isEmpty ? min(plan.flushTimeout, left() ?? plan.flushTimeout) : 0 }
            }
            try await unmount(wish, left() ?? 10, progress)
            await unmounted.wait()
        } else if wish.timeout == 0 {
            hurry.open(())
        }
        let unsent = await drained.wait()
        progress(ProgressUpdate(phase: "clean", message: "cleaning the cache"))
        return StopResult(unsent: unsent.map(UnsentItem.init), unmounted: true, freedBytes: await cleaned.wait())
    }

    private func unmount(
        _ wish: StopRequest, _ patience: Double, _ progress: @escaping ControlHandlers.Progress
    ) async throws(ControlProblem) {
        let began = Timestamp.monotonic
        progress(ProgressUpdate(phase: "unmount", message: "unmounting \(plan.mountpoint)"))
        while unmounted.current == nil {
            do throws(SystemError) {
                try MountTable.unmount(plan.mountpoint)
                return
            } catch {
                guard error.code == EBUSY, Timestamp.monotonic.seconds(since: began) < patience else {
                    phase.withLock { $0 = .ready }
                    chosenPolicy.withLock { $0 = plan.unmountPolicy }
                    lastFlush.withLock { $0 = plan.flushTimeout }
                    throw .conflict("\(plan.mountpoint) is in use: close the files and shells in it (\(error))")
                }
                progress(ProgressUpdate(phase: "unmount", message: "\(plan.mountpoint) is in use, trying again"))
            }
            try? await Task.sleep(nanoseconds: 100_000_000)
        }
    }
}

extension UnsentItem {
    /// A change that was not sent, for the wire.
    init(_ unsent: Unsent) { self.init(name: unsent.name, reason: unsent.reason) }
}
