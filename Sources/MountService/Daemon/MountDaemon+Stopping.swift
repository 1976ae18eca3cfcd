internal import Control
internal import Platform
internal import SessionCache
internal import Sync
internal import Synchronization

/// The end of a mount: unmounting, the last flush, cleaning.
extension MountDaemon {
    /// Returns when the kernel has let go of the mount, or of its name while files are open.
    func stopOnSignals() {
        defer { awaitsSignals.store(false, ordering: .releasing) }
        while unmounted.current == nil {
            let signal = Signals.wait(for: Signals.termination)
            guard unmounted.current == nil else {
                hasSignalled.store(false, ordering: .releasing)
                return
            }
            log.info("stopping", ["signal": Signals.name(signal)])
            ServiceNotification.stopping("unmounting \(plan.mountpoint)")
            phase.withLock { $0 = .draining }
            do throws(SystemError) {
                try session.unmount(lazily: false)
            } catch {
                // Files are open, and a signal wants an end: the name goes now, the open files with this process.
                log.warning("\(error); detaching, open files will fail")
                try? session.unmount(lazily: true)
                detached.store(true, ordering: .releasing)
                return
            }
        }
    }

    // MARK: The last flush

    /// Sends what can be sent before the daemon ends.
    /// - Returns: what was not sent; it stays in the state directory.
    func sendTheRest() -> [Unsent] {
        guard let publisher, let staging, staging.counts.pending > 0 else { return remaining() + undecided() }
        phase.withLock { $0 = .draining }
        let timeout = lastFlush.withLock { $0 }
        log.info("sending what is pending", ["changes": String(staging.counts.pending)])
        let impatience = WorkerThread(name: "signals") { [self] in
            // Who sends a second signal does not want to wait; that of this process itself is none.
            repeat {
                _ = Signals.wait(for: Signals.termination)
            } while hasSignalled.exchange(false, ordering: .acquiringAndReleasing)
            hurry.open(())
        }
        impatience.detach()
        let unsent: [Unsent] = waitFor { [self] in
            let outcome = Gate<[Unsent]>()
            let flushing = Task { outcome.open(await publisher.flush(timeout: timeout) { _, _ in }) }
            let waiting = Task {
                await hurry.wait()
                outcome.open(remaining())
            }
            let found = await outcome.wait()
            flushing.cancel()
            waiting.cancel()
            hurry.open(())
            return found
        }
        let left = unsent + undecided()
        for item in left { log.warning("not sent: \(item.name): \(item.reason)") }
        return left
    }

    /// What is not in the bucket although it is meant for it.
    func remaining() -> [Unsent] {
        (staging?.changes() ?? []).filter { $0.state != .local }.map { change in
            Unsent(name: change.subject, reason: change.reason.isEmpty ? "not sent yet" : change.reason)
        }
    }

    /// Conflicts over removals and renames, which are no changes any more but wait for a decision.
    func undecided() -> [Unsent] {
        ((try? staging?.conflicts(includingDecided: false)) ?? []).filter { $0.changeID == nil }.map { record in
            Unsent(name: record.name, reason: "conflict \(record.id) waits for a decision")
        }
    }

    /// Ends the sending. A request that does not end by itself is left alone: its change stays in the journal.
    func end(_ publishing: Task<Void, Never>) {
        publishing.cancel()
        waitFor {
            let ended = Gate<Void>()
            Task {
                await publishing.value
                ended.open(())
            }
            Task {
                try? await Task.sleep(nanoseconds: 5_000_000_000)
                ended.open(())
            }
            await ended.wait()
        }
    }

    /// Cleans the cache as the policy says.
    /// - Returns: bytes freed.
    func clean(_ registry: MountRegistry, _ entry: MountEntry) -> UInt64 {
        cache.shutdown()
        waitFor { [cache] in await cache.drain() }
        defer { catalog.close() }
        let policy = chosenPolicy.withLock { $0 }
        // Another mount may live on the same cache; its bodies are not ours to take.
        let shared = (try? registry.list())?.contains {
            $0.cacheDirectory == plan.cacheDirectory && $0.mountpoint != plan.mountpoint
        }
        guard policy != .keep, shared != true else { return 0 }
        let freed = cache.clear(keepPinned: policy == .clean).bytes
        if policy == .purge {
            catalog.close()
            try? Files.removeTree(plan.cacheDirectory)
        }
        return freed
    }
}
