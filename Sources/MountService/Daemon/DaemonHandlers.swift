internal import Catalog
internal import Control
internal import Glibc
internal import JSON
internal import ObjectStore
internal import Operations
internal import Platform
internal import SessionCache
internal import SessionFormat
internal import Sync

/// What the daemon does for the control API.
extension MountDaemon {
    func controlHandlers() -> ControlHandlers {
        ControlHandlers(
            status: { [self] () throws(ControlProblem) in try statusReport() },
            health: { [self] () throws(ControlProblem) in healthReport() },
            refresh: { [self] wish, progress throws(ControlProblem) in try await refresh(wish, progress) },
            cache: { [self] () throws(ControlProblem) in cacheReport() },
            clearCache: { [self] wish throws(ControlProblem) in
                let freed = cache.clear(keepPinned: wish.keepPinned)
                return CacheClearResult(bodies: UInt64(freed.bodies), bytes: freed.bytes)
            },
            stop: { [self] wish, progress throws(ControlProblem) in try await stop(wish, progress) },
            session: { [self] name throws(ControlProblem) in try sessionReport(name) })
    }

    func statusReport() throws(ControlProblem) -> StatusReport {
        let counts: CatalogCounts
        let rejected: Int
        do throws(CatalogError) {
            counts = try catalog.counts
            rejected = try catalog.rejectedNames().count
        } catch {
            throw .failed("catalog: \(error)")
        }
        let refreshed = refresher.status
        return StatusReport(
            version: Version.current, pid: getpid(), phase: phase.withLock { $0 }, mountpoint: plan.mountpoint,
            store: plan.store.location, readOnly: true, started: started, cacheDirectory: plan.cacheDirectory,
            stateDirectory: plan.stateDirectory,
            sessions: SessionCounts(
                count: UInt64(counts.sessions), indexed: UInt64(counts.indexed), bytes: counts.bytes,
                rejected: UInt64(rejected)),
            freshness: Freshness(
                lastSuccess: refreshed.lastSuccess, lastError: refreshed.lastError?.description,
                lastErrorTime: refreshed.lastErrorTime, online: refreshed.isOnline,
                requests: plan.requests()),
            cache: cacheReport(), operations: operations.list().filter { $0.state == .running }, errors: errors())
    }

    /// Errors of the refresh and of ended operations, newest first.
    private func errors() -> [ErrorNotice] {
        let failed = operations.list().filter { $0.state == .failed }.map {
            ErrorNotice(time: $0.ended ?? $0.started, subject: $0.subject, message: $0.message)
        }
        return Array((failed + board.newest).sorted { $0.time > $1.time }.prefix(20))
    }

    func healthReport() -> HealthReport {
        let refreshed = refresher.status
        var checks: [HealthCheck] = []
        do throws(CatalogError) {
            let counts = try catalog.counts
            checks.append(HealthCheck(name: "catalog", healthy: true, message: "\(counts.sessions) sessions"))
        } catch {
            checks.append(HealthCheck(name: "catalog", healthy: false, message: "\(error)"))
        }
        checks.append(
            HealthCheck(
                name: "store", healthy: refreshed.isOnline,
                message: refreshed.isOnline ? "reachable" : refreshed.lastError?.description ?? "not reached yet"))
        return HealthReport(checks: checks)
    }

    func cacheReport() -> CacheReport {
        let statistics = cache.statistics()
        let pinned = ((try? catalog.bodies()) ?? []).filter(\.pinned)
        return CacheReport(
            directory: plan.cacheDirectory, bodies: UInt64(statistics.cachedBodies), bytes: statistics.cachedBytes,
            limit: plan.cacheLimit, pinned: UInt64(pinned.count), pinnedBytes: pinned.reduce(0) { $0 + $1.size },
            hits: statistics.hits, misses: statistics.misses, downloadedBytes: statistics.bytesDownloaded)
    }

    private func refresh(
        _ wish: RefreshRequest, _ progress: @escaping ControlHandlers.Progress
    ) async throws(ControlProblem) -> RefreshResult {
        let ticker = Task { [operations] in
            while !Task.isCancelled {
                if let running = operations.list().first(where: { $0.kind == .refresh && $0.state == .running }) {
                    progress(
                        ProgressUpdate(
                            phase: "refresh", completed: running.completed, total: running.total,
                            message: running.message))
                }
                try? await Task.sleep(nanoseconds: 200_000_000)
            }
        }
        defer { ticker.cancel() }
        do throws(StoreError) {
            let report = try await refresher.refresh(refresherMode(wish.mode))
            return RefreshResult(
                added: UInt64(report.added), removed: UInt64(report.removed), changed: UInt64(report.changed),
                requests: UInt64(report.requests), seconds: report.seconds)
        } catch {
            throw ControlProblem(status: 502, code: error.kind.rawValue, message: error.description)
        }
    }

    private func refresherMode(_ mode: Control.RefreshMode) -> Sync.RefreshMode {
        switch mode {
        case .poll: .poll
        case .tail: .tail
        case .full: .full
        }
    }

    /// Unmounts for `sessionfs unmount`. A busy mount is tried again until the time is up, then stays.
    private func stop(
        _ wish: StopRequest, _ progress: @escaping ControlHandlers.Progress
    ) async throws(ControlProblem) -> StopResult {
        if let policy = wish.policy { chosenPolicy.withLock { $0 = policy } }
        phase.withLock { $0 = .draining }
        let began = Timestamp.monotonic
        progress(ProgressUpdate(phase: "unmount", message: "unmounting \(plan.mountpoint)"))
        while unmounted.current == nil {
            do throws(SystemError) {
                try MountTable.unmount(plan.mountpoint)
                break
            } catch {
                guard error.code == EBUSY, Timestamp.monotonic.seconds(since: began) < wish.timeout ?? 10 else {
                    phase.withLock { $0 = .ready }
                    chosenPolicy.withLock { $0 = plan.unmountPolicy }
                    throw .conflict("\(plan.mountpoint) is in use: close the files and shells in it (\(error))")
                }
                progress(ProgressUpdate(phase: "unmount", message: "\(plan.mountpoint) is in use, trying again"))
            }
            try? await Task.sleep(nanoseconds: 100_000_000)
        }
        await unmounted.wait()
        progress(ProgressUpdate(phase: "clean", message: "cleaning the cache"))
        return StopResult(unsent: [], unmounted: true, freedBytes: await cleaned.wait())
    }

    private func sessionReport(_ name: String) throws(ControlProblem) -> SessionReport? {
        do throws(CatalogError) {
            var found = try catalog.entry(fileName: name)
            if found == nil { found = try catalog.entry(fileName: name + ".fastshot") }
            guard let entry = found else { return nil }
            let state = cache.state(entry.id)
            let local: UInt64 =
                switch state {
                case .remote: 0
                case .cached: entry.size
                case .downloading(let done, _): done
                }
            return SessionReport(
                name: entry.fileName, id: entry.id, size: entry.size, modified: entry.modified,
                uploaded: entry.uploaded, etag: entry.etag, state: state.description, localBytes: local,
                pinned: try catalog.body(id: entry.id)?.pinned ?? false,
                metadata: try catalog.metadata(id: entry.id)?.json ?? .null)
        } catch {
            throw .failed("catalog: \(error)")
        }
    }
}
