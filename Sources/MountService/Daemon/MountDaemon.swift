internal import Catalog
public import Control
internal import FileTree
internal import FuseBridge
internal import Glibc
internal import ObjectStore
internal import Operations
internal import Platform
internal import SessionCache
internal import Sync
internal import Synchronization

/// A running mount from start to end: catalog, cache, tree, kernel session, refresh and control API, started in the
/// order in which they need each other and stopped the other way round.
public final class MountDaemon: Sendable {
    let plan: MountPlan
    let started = Timestamp.now
    let catalog: Catalog
    let cache: SessionCache
    let operations = OperationRegistry()
    let refresher: Refresher
    /// Whether the store can be reached.
    let connectivity: Connectivity
    /// What is not in the bucket yet; nil when the mount refuses changes.
    let staging: Staging?
    /// Sends what is staged; nil when the mount refuses changes.
    let publisher: Publisher?
    let localMetadata: LocalMetadata
    /// Where the control API waits for the disk.
    let pool = BlockingPool(name: "sessionfs.control")
    let board = ErrorBoard()
    let phase = Guarded(DaemonPhase.starting)
    /// Opens when the kernel has let go of the mount.
    let unmounted = Gate<Void>()
    /// Opens with what was not sent when the daemon has stopped sending.
    let drained = Gate<[Unsent]>()
    /// Opens when the last flush is to end, whatever is left: another daemon goes on with it.
    let hurry = Gate<Void>()
    /// Opens with the bytes freed when the cache has been cleaned.
    let cleaned = Gate<UInt64>()
    /// The longest last flush in seconds.
    let lastFlush: Guarded<Double>
    let chosenPolicy: Guarded<UnmountPolicy>
    /// The mount's name is gone while files in it are open.
    let detached = Atomic<Bool>(false)
    /// Signals are waited for; later ones mean something else.
    let awaitsSignals = Atomic<Bool>(true)
    /// This process has sent itself a signal, to end the wait, and has not received it yet.
    let hasSignalled = Atomic<Bool>(false)
    let session: FuseSession
    let tree: FileTree
    let log = Log("mount")

    /// Runs a mount on the calling thread, which must not be one of Swift's pool, until it is unmounted. The signals of
    /// ``Signals/termination`` must be blocked.
    /// - Parameters:
    ///   - progress: called while a first start, which has no catalog yet, learns which sessions there are.
    ///   - ready: called once the mount answers, with what the user should know about it; empty as a rule.
    /// - Returns: ``ExitCode/unsent`` when something was not sent; it stays in the state directory.
    /// - Throws: ``MountFailure`` when the mount does not come about. Afterwards nothing is left mounted.
    public static func run(
        _ plan: MountPlan, progress: (FirstLook) -> Void, ready: (MountEntry, _ warning: String) -> Void
    ) throws(MountFailure) -> ExitCode {
        let registry = MountRegistry()
        try Mountpoint.prepare(plan, registry: registry)
        let daemon = try MountDaemon(plan)
        return try daemon.serve(registry, progress, ready).isEmpty ? .done : .unsent
    }

    private init(_ plan: MountPlan) throws(MountFailure) {
        self.plan = plan
        connectivity = Connectivity(activity: plan.activity)
        chosenPolicy = Guarded(plan.unmountPolicy)
        lastFlush = Guarded(plan.flushTimeout)
        localMetadata = LocalMetadata(key: plan.key)
        let metadataDirectory = plan.cacheDirectory + "/meta_cache"
        do throws(SystemError) {
            try Files.makePrivateDirectory(plan.cacheDirectory)
            try Files.makePrivateDirectory(plan.stateDirectory)
        } catch {
            throw MountFailure("\(error)", error.code == EPERM || error.code == EACCES ? .denied : .failed)
        }
        do throws(CatalogError) {
            catalog = try Catalog.open(directory: metadataDirectory)
        } catch {
            throw MountFailure("cannot open the catalog in \(metadataDirectory): \(error)")
        }
        // The session comes last and is told of changes by all before it.
        let fan = ChangeFan()
        var options = CacheOptions()
        options.maxBytes = plan.cacheLimit
        options.waitsWhenOffline = plan.offlineReads == .wait
        let line = connectivity
        let store = GatedStore(plan.store, line)
        // The last one asks whether the line is back: without retries, which would be long about it.
        let bodies = GatedStore(plan.bodies, line)
        do throws(CacheError) {
            // Without the retries of `plan.store`: a download repeats each range itself, from where it broke off.
            cache = try SessionCache(
                directory: plan.cacheDirectory + "/sessions", catalog: catalog, store: bodies,
                operations: operations, options: options, connectivity: line, onFactsChanged: { fan.catalogChanged($0) }
            )
        } catch {
            throw MountFailure(error)
        }
        var refreshing = RefresherOptions()
        refreshing.pollInterval = plan.pollInterval
        // Who asks for few looks does not want the other kinds of look more often.
        refreshing.tailInterval = max(refreshing.tailInterval, plan.pollInterval)
        refreshing.reconcileInterval = max(refreshing.reconcileInterval, plan.pollInterval)
        refresher = Refresher(
            store: store, catalog: catalog, cacheDirectory: plan.cacheDirectory, operations: operations,
            options: refreshing, publish: { fan.catalogChanged($0) })
        staging = try Self.openStaging(plan, catalog, cache) { fan.stagingChanged($0) }
        publisher = staging.map { [operations, connectivity, catalog, cache] staging in
            Publisher(
                store: store, staging: staging, catalog: catalog, connectivity: connectivity,
                operations: operations, stateDirectory: plan.stateDirectory, options: plan.publishing, cache: cache)
        }
        let status = Guarded<(@Sendable () -> [UInt8])?>(nil)
        tree = FileTree(
            FileTree.Sources(
                catalog: catalog, cache: cache, overallPath: metadataDirectory + "/overall_meta.json",
                status: { status.value?() ?? [] }, staging: staging,
                uploadPercent: { [publisher] in publisher?.percent(of: $0) },
                localMetadata: { [staging, localMetadata] id in
                    staging?.change(id: id).flatMap(localMetadata.metadata)
                },
                awaitCloud: plan.close == .cloud
                    ? Self.cloudWait(staging: staging, publisher: publisher, connectivity: connectivity) : nil))
        do throws(MountError) {
            session = try FuseSession(
                tree: tree,
                options: FuseMountOptions(
                    mountpoint: plan.mountpoint, source: plan.store.location, allowOther: plan.allowOther,
                    kernelOptions: plan.kernelOptions, passthrough: plan.passthrough, readOnly: staging == nil,
                    uid: getuid(), gid: getgid()))
        } catch {
            throw MountFailure(error.description, error.code == EPERM || error.code == EACCES ? .denied : .failed)
        }
        fan.connect(staging: staging, cache: cache, tree: tree, session: session, publisher: publisher)
        connectivity.observe { [refresher] state in
            if state.isOnline { refresher.wake() }
        }
        status.withLock { holder in
            holder = { [weak self] in
                guard let self, let report = try? self.statusReport() else { return [] }
                return report.json.serialized(.pretty) + [UInt8(ascii: "\n")]
            }
        }
        if let recovered = catalog.recovered {
            log.warning("the catalog was damaged and is made anew", ["reason": recovered])
            board.post("catalog", recovered)
        }
        if let damage = staging?.damage { board.post("queue", "changes of an earlier mount: \(damage)") }
    }

    // MARK: Life

    private func serve(
        _ registry: MountRegistry, _ progress: (FirstLook) -> Void, _ ready: (MountEntry, String) -> Void
    ) throws(MountFailure) -> [Unsent] {
        let isFirstStart = refresher.status.lastSuccess == nil
        let server = WorkerThread(name: "fuse-loop") { [self] in
            session.run()
            unmounted.open(())
            if awaitsSignals.load(ordering: .acquiring) {
                hasSignalled.store(true, ordering: .releasing)
                Signals.raise(SIGTERM)
            }
        }
        let refreshing = Task {
            // What is known is shown at once and without a request; the look for news stays out of its way.
            if !isFirstStart { try? await Task.sleep(nanoseconds: 500_000_000) }
            if Task.isCancelled { return }
            if plan.pollInterval > 0 {
                await refresher.run()
            } else {
                // Once at the start; afterwards only when it is asked for. A failure is in the refresher's status.
                _ = try? await refresher.refresh(.tail)
            }
        }
        var control: ControlServer?
        let entry: MountEntry
        do throws(MountFailure) {
            // Through the kernel and back: the mount answers.
            guard access(plan.mountpoint + "/sessions", F_OK) == 0 else {
                throw MountFailure("the mount does not answer: \(SystemError.message(for: errno))")
            }
            let api = ControlAPI(operations: operations, handlers: controlHandlers())
            control = try startControl(registry.socketPath(mountpoint: plan.mountpoint), api)
            entry = try register(registry)
            if isFirstStart { try awaitFirstLook(progress) }
        } catch {
            refreshing.cancel()
            control?.stopNow()
            try? session.unmount(lazily: true)
            server.join()
            staging?.close()
            cache.shutdown()
            throw error
        }
        phase.withLock { $0 = .ready }
        let publishing = Task { [publisher] in await publisher?.run() ?? () }
        ready(entry, startWarning ?? "")
        ServiceNotification.ready("\(plan.store.location) at \(plan.mountpoint)")
        let housekeeping = Task { await keepSmall() }

        stopOnSignals()
        refreshing.cancel()
        housekeeping.cancel()
        if detached.load(ordering: .relaxed) { server.detach() } else { server.join() }
        let unsent = sendTheRest()
        end(publishing)
        staging?.close()
        drained.open(unsent)
        phase.withLock { $0 = .stopped }
        cleaned.open(clean(registry, entry))
        try? registry.unregister(entry)
        if let control { waitFor { await control.stop() } }
        return unsent
    }

    /// A first start knows nothing: an empty directory would say that there are no sessions. So the command waits until
    /// the listing is there, but not for the metadata, and fails when the store refuses.
    private func awaitFirstLook(_ progress: (FirstLook) -> Void) throws(MountFailure) {
        let began = Timestamp.monotonic
        while true {
            let status = refresher.status
            if status.lastSuccess != nil || status.isListed { return }
            if let error = status.lastError {
                throw MountFailure("\(plan.store.location): \(error)", ExitCode(error))
            }
            let waited = Timestamp.monotonic.seconds(since: began)
            guard waited < 60 else { return }
            // A look that is soon over is not reported: telling would take longer than looking.
            if waited > 0.3 {
                progress(
                    FirstLook(
                        step: status.phase, completed: status.completed, total: status.total, seconds: waited))
            }
            usleep(waited < 0.3 ? 1000 : 50_000)
        }
    }

    /// Start-up and refreshes use memory that the time between them does not need.
    private func keepSmall() async {
        var trimmedAfter: Timestamp?
        while !Task.isCancelled {
            try? await Task.sleep(nanoseconds: 1_000_000_000)
            let status = refresher.status
            guard !status.isRunning, let finished = status.lastReport == nil ? nil : status.lastSuccess else {
                continue
            }
            if trimmedAfter == nil { Memory.releaseText() }
            // Most refreshes find nothing and leave nothing behind.
            if trimmedAfter == nil || status.lastReport?.overall != .unchanged, trimmedAfter != finished {
                Memory.trimHeap()
            }
            trimmedAfter = finished
        }
    }

    private func startControl(_ path: String, _ api: ControlAPI) throws(MountFailure) -> ControlServer {
        let began = Timestamp.monotonic
        while true {
            do throws(ControlServerError) {
                return try ControlServer.start(path) { await api.respond($0) }
            } catch {
                // The daemon of the mount before, which was here until just now, closes its socket last.
                if case .inUse = error, Timestamp.monotonic.seconds(since: began) < Mountpoint.patience {
                    usleep(10_000)
                    continue
                }
                throw MountFailure("control socket \(path): \(error)")
            }
        }
    }

    private func register(_ registry: MountRegistry) throws(MountFailure) -> MountEntry {
        do throws(SystemError) {
            return try registry.register(
                mountpoint: plan.mountpoint, store: plan.store.location, cacheDirectory: plan.cacheDirectory,
                stateDirectory: plan.stateDirectory)
        } catch {
            throw MountFailure("\(error)")
        }
    }
}
