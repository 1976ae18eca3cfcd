public import Catalog
public import ObjectStore
public import Operations
internal import Platform
internal import Synchronization

/// The bodies of sessions on the local disk: downloaded once on demand, verified, kept up to a limit.
///
/// A body counts as cached when its file has the recorded size and modification time and the version that the catalog
/// names. Several processes may use one directory: files in it appear whole or not at all.
/// Locks: the cache's own and each download's; the download's may be taken under the cache's, never the reverse.
public final class SessionCache: Sendable {
    static let keyPrefix = "sessions/"
    static let log = Log("cache")

    struct State {
        /// The download that a new open of a session joins.
        var downloads: [Int64: Download] = [:]
        /// Every download that has not ended; one that was replaced by a newer version's is only here.
        var active: [ObjectIdentifier: Download] = [:]
        /// How many open files a session has.
        var opens: [Int64: Int] = [:]
        /// Open sessions of which the file goes at the last close.
        var doomed: Set<Int64> = []
        /// Raised whenever a download ends, so that an open which looked before looks again.
        var ended: UInt64 = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
        /// Bodies that are open keep the cache above its limit.
        var isOverLimit = false
        var isShutDown = false
        /// ``Catalog/generation`` that the ids here are of.
        var generation = 0
        var statistics = CacheStatistics()
    }

    let directory: String
    let catalog: Catalog
    let store: any ObjectStore
    let operations: OperationRegistry
    let options: CacheOptions
    let connectivity: Connectivity?
    let lanes = Lanes()
    let state = Mutex(State())
    private let downloaded = Atomic<UInt64>(0)
    /// How many downloads there have been, for their numbers.
    let arrivals = Atomic<UInt64>(0)
    private let onFactsChanged: @Sendable (CatalogDelta) -> Void

    /// Opens the cache. What earlier processes left behind is tidied up in the background.
    /// - Parameters:
    ///   - directory: `<cache>/sessions`; made private when it is missing.
    ///   - connectivity: what is known of the store's being there; nil: nothing is.
    ///   - onFactsChanged: hears, on any thread, what a download taught the catalog, and which sessions' kernel pages
    ///     must go.
    /// - Throws: `.io` or `.diskFull` when the directory cannot be used.
    public init(
        directory: String, catalog: Catalog, store: any ObjectStore, operations: OperationRegistry,
        options: CacheOptions = CacheOptions(), connectivity: Connectivity? = nil,
        onFactsChanged: @escaping @Sendable (CatalogDelta) -> Void
    ) throws(CacheError) {
        do throws(SystemError) { try Files.makePrivateDirectory(directory) } catch { throw CacheError(error) }
        self.directory = directory
        self.catalog = catalog
        self.store = store
        self.operations = operations
        self.options = options
        self.connectivity = connectivity
        self.onFactsChanged = onFactsChanged
        let generation = catalog.generation
        state.withLock { $0.generation = generation }
        connectivity?.observe { [weak self] _ in self?.connectivityChanged() }
        lanes.disk { [weak self] in self?.tidy() }
    }

    // MARK: Opening

    /// Opens a session's body. Never waits for the network: a body that is not in the cache begins to arrive, or
    /// joins the download that is under way.
    /// - Throws: `.notFound` for an unknown session, `.io` when the catalog fails, `.interrupted` after shutdown;
    ///   `.offline` (`.denied` without good credentials) for a body that is not here while the store is known to be
    ///   away, unless ``CacheOptions/waitsWhenOffline``.
    public func open(_ id: Int64) throws(CacheError) -> OpenBody {
        while true {
            let ended = state.withLock { $0.ended }
            guard let entry = try entry(id) else { throw CacheError(.notFound, "no session with id \(id)") }
            if let (file, body) = try validFile(entry) {
                try retain(id)
                state.withLock { $0.statistics.hits += 1 }
                catalog.touchBody(id: id, at: .now)
                return OpenBody(id: id, cache: self, source: .cached(file, size: body.size, etag: body.etag))
            }
            if let (download, reader) = try join(entry, unless: ended) {
                if options.startOnOpen { download.begin() }
                return OpenBody(id: id, cache: self, source: .arriving(download, reader: reader))
            }
        }
    }

    /// Opens the body of a session that was not found under the name that it had, under the one to which this machine is
    /// moving it: the copy has another tag, and the same contents.
    /// - Parameter entry: what was known of it under the old name.
    /// - Throws: as ``open(_:)``.
    public func open(_ entry: SessionEntry, movedTo name: String) throws(CacheError) -> OpenBody {
        var moved = entry
        (moved.fileName, moved.etag) = (name, nil)
        while true {
            let ended = state.withLock { $0.ended }
            guard let (download, reader) = try join(moved, unless: ended) else { continue }
            if options.startOnOpen { download.begin() }
            return OpenBody(id: entry.id, cache: self, source: .arriving(download, reader: reader))
        }
    }

    /// Joins the download of an entry's version, or makes it.
    /// - Returns: nil when a download has ended since `mark`: the file may be there now.
    private func join(_ entry: SessionEntry, unless mark: UInt64) throws(CacheError) -> (Download, UInt64)? {
        let refusal = options.waitsWhenOffline ? nil : connectivity?.refusal.map { CacheError($0) }
        return try state.withLock { state throws(CacheError) -> (Download, UInt64)? in
            if state.isShutDown { throw SessionCache.shutDown }
            var joined: (Download, UInt64)?
            if let download = state.downloads[entry.id], let reader = download.join(expecting: entry.etag) {
                joined = (download, reader)
            } else if state.ended == mark {
                if let refusal { throw refusal }
                let download = Download(entry, cache: self)
                if let reader = download.join(expecting: entry.etag) {
                    state.downloads[entry.id] = download
                    state.active[ObjectIdentifier(download)] = download
                    joined = (download, reader)
                }
            }
            if joined != nil {
                state.opens[entry.id, default: 0] += 1
                state.statistics.misses += 1
            }
            return joined
        }
    }

    private func retain(_ id: Int64) throws(CacheError) {
        try state.withLock { state throws(CacheError) in
            if state.isShutDown { throw SessionCache.shutDown }
            state.opens[id, default: 0] += 1
        }
    }

    private static var shutDown: CacheError { CacheError(.interrupted, "the cache is shutting down") }

    func entry(_ id: Int64) throws(CacheError) -> SessionEntry? {
        do throws(CatalogError) { return try catalog.entry(id: id) } catch { throw CacheError(.io, error.description) }
    }

    /// The cached file of an entry, open, when it is the whole verified body of the version that the catalog names.
    func validFile(_ entry: SessionEntry) throws(CacheError) -> (FileDescriptor, CachedBody)? {
        let recorded: CachedBody?
        do throws(CatalogError) { recorded = try catalog.body(id: entry.id) } catch {
            throw CacheError(.io, error.description)
        }
        guard let body = recorded, body.isCurrent(for: entry),
            let file = try? FileDescriptor.open(path(of: entry.fileName), [.read, .noFollow]),
            let status = try? file.status(), body.describes(status)
        else { return nil }
        return (file, body)
    }

    func path(of fileName: String) -> String { directory + "/" + fileName }

    /// An open file was closed.
    func closed(_ id: Int64) {
        let (isDoomed, isOverLimit) = state.withLock { state -> (Bool, Bool) in
            guard let count = state.opens[id] else { return (false, false) }
            state.opens[id] = count > 1 ? count - 1 : nil
            return count > 1 ? (false, false) : (state.doomed.remove(id) != nil, state.isOverLimit)
        }
        if isDoomed { lanes.disk { self.removeUnlessOpen(id, evenCurrent: true) } }
        if isOverLimit { lanes.disk { self.trim(adding: 0) } }
    }

    // MARK: Questions

    /// Where a session's bytes are. Unknown sessions are `.remote`.
    public func state(_ id: Int64) -> BodyState {
        if let download = state.withLock({ $0.downloads[id] }) {
            let progress = download.progress
            return .downloading(done: progress.done, total: progress.total)
        }
        guard let entry = try? catalog.entry(id: id), let body = try? catalog.body(id: id), body.isCurrent(for: entry),
            let status = try? Files.status(path(of: entry.fileName)), body.describes(status)
        else { return .remote }
        return .cached
    }

    /// What the cache holds and has done.
    public func statistics() -> CacheStatistics {
        var (result, downloads) = state.withLock { ($0.statistics, Array($0.active.values)) }
        result.bytesDownloaded = downloaded.load(ordering: .relaxed)
        result.inFlight = downloads.map(\.progress).sorted { $0.id < $1.id }
        if let held = try? catalog.cachedBytes { (result.cachedBodies, result.cachedBytes) = held }
        return result
    }

    func countDownloaded(_ bytes: UInt64) { downloaded.add(bytes, ordering: .relaxed) }

    // MARK: Ends

    /// A download has ended, well (nil) or not.
    func ended(_ download: Download, _ error: CacheError?) {
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.active[ObjectIdentifier(download)] = nil
            if state.downloads[download.id] === download { state.downloads[download.id] = nil }
            state.ended += 1
            if error == nil { state.statistics.downloads += 1 }
            if let error, error.kind != .interrupted { state.statistics.failures += 1 }
            guard state.active.isEmpty else { return [] }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Waits until the downloads under way have ended and what they left is on the disk.
    public func drain() async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let isIdle = state.withLock { state -> Bool in
                if state.active.isEmpty { return true }
                state.waiters.append(done)
                return false
            }
            if isIdle { done.resume() }
        }
        await lanes.diskIsIdle()
    }

    /// Ends every download; reads that wait are interrupted. Cached bodies that are open can still be read, new opens
    /// fail.
    public func shutdown() {
        let downloads = state.withLock { state in
            state.isShutDown = true
            return Array(state.active.values)
        }
        for download in downloads { download.end(SessionCache.shutDown) }
    }

    // MARK: The line

    /// The store went away or is back.
    private func connectivityChanged() {
        for download in state.withLock({ Array($0.active.values) }) { download.connectivityChanged() }
    }

    // MARK: The catalog

    /// The store said this of a session's object, under a name and in an answer to a request from after a mark.
    func learn(_ id: Int64, _ fileName: String, _ version: DownloadPlan.Version, since mark: WriteMark?) {
        let facts = ObjectFacts(
            size: version.size, etag: version.etag, contentMD5: version.contentMD5, uploaded: version.modified)
        do throws(CatalogError) {
            publish(try catalog.update(id: id, facts: facts, fileName: fileName, since: mark))
        } catch {
            SessionCache.log.warning("facts not recorded", ["cause": error.description])
        }
    }

    /// A session's object is gone.
    func forget(_ id: Int64, _ fileName: String, since mark: WriteMark?) {
        do throws(CatalogError) {
            let delta = try catalog.remove(id: id, fileName: fileName, since: mark)
            publish(delta)
            apply(delta)
        } catch { SessionCache.log.warning("session not removed", ["cause": error.description]) }
    }

    /// The kernel may hold pages of this session that are wrong or old.
    func announceChange(_ id: Int64) { publish(CatalogDelta(changed: [id])) }

    private func publish(_ delta: CatalogDelta) {
        if !delta.isEmpty { onFactsChanged(delta) }
    }
}

extension CachedBody {
    /// Whether it is of the version that the catalog names, as far as both sides know.
    func isCurrent(for entry: SessionEntry) -> Bool {
        guard size == entry.size else { return false }
        guard let etag, let current = entry.etag else { return true }
        return etag == current
    }

    /// Whether the file is the one that was verified and nobody has written to it.
    func describes(_ status: FileStatus) -> Bool {
        status.kind == .regular && status.size == size && status.modified == fileModified
    }
}
