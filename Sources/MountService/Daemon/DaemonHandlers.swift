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
            session: { [self] name throws(ControlProblem) in try sessionReport(name) },
            writing: writingHandlers())
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
            store: plan.store.location, readOnly: staging == nil, started: started, cacheDirectory: plan.cacheDirectory,
            stateDirectory: plan.stateDirectory,
            sessions: SessionCounts(
                count: UInt64(counts.sessions), indexed: UInt64(counts.indexed), bytes: counts.bytes,
                rejected: UInt64(rejected)),
            freshness: Freshness(
                lastSuccess: refreshed.lastSuccess, lastError: refreshed.lastError?.description,
                lastErrorTime: refreshed.lastErrorTime, online: refreshed.isOnline && connectivity.state.isOnline,
                requests: plan.requests()),
            cache: cacheReport(), queue: queueSummary(), connection: connectionReport(), limits: limitsReport(),
            conditions: publisher?.status.conditions.map { support in
                ConditionsReport(
                    ifAbsent: support.ifAbsent, ifMatch: support.ifMatch, deleteIfMatch: support.deleteIfMatch)
            }, operations: operations.list().filter { $0.state == .running }, errors: errors())
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
        let connection = connectionReport()
        let isOnline = refreshed.isOnline && connection.state == .online
        let reason = connection.reason ?? refreshed.lastError?.description ?? "not reached yet"
        checks.append(HealthCheck(name: "store", healthy: isOnline, message: isOnline ? "reachable" : reason))
        if let queue = queueSummary() {
            let message = "\(queue.pending) pending, \(queue.failed) failed, \(queue.conflicts) conflicts"
            checks.append(
                HealthCheck(name: "queue", healthy: queue.failed == 0 && queue.conflicts == 0, message: message))
        } else {
            checks.append(
                HealthCheck(
                    name: "queue", healthy: plan.readOnly, message: readOnlyWarning ?? "read-only as configured"))
        }
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
        await connectivity.lookNow()
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
}
