public import Catalog
internal import ObjectStore
internal import Operations
internal import Platform
internal import SessionCache
public import Sync

/// A store as commands see it that run without a mount: the same catalog and cache that a mount of it uses.
public final class StoreView: Sendable {
    /// What is configured.
    public let settings: StoreSettings
    /// The bucket.
    public let store: OpenedStore
    /// The local catalog; other processes may use it at the same time.
    public let catalog: Catalog
    private let operations = OperationRegistry()

    /// Opens store and catalog; makes no request.
    public init(_ settings: StoreSettings) throws(MountFailure) {
        self.settings = settings
        store = try OpenedStore(settings)
        do throws(SystemError) {
            try Files.makePrivateDirectory(settings.cacheDirectory)
        } catch {
            throw MountFailure("\(error)", .denied)
        }
        do throws(CatalogError) {
            catalog = try Catalog.open(directory: settings.cacheDirectory + "/meta_cache")
        } catch {
            throw MountFailure("cannot open the catalog: \(error)")
        }
    }

    /// Brings the catalog up to date.
    /// - Parameter progress: completed and total units, where known, and the step in words.
    public func refresh(
        _ mode: RefreshMode, progress: @escaping @Sendable (UInt64, UInt64?, String) -> Void
    ) async throws(MountFailure) -> RefreshReport {
        let refresher = Refresher(
            store: store.store, catalog: catalog, cacheDirectory: settings.cacheDirectory, operations: operations,
            options: RefresherOptions(), publish: { _ in })
        let ticker = Task {
            while !Task.isCancelled {
                let status = refresher.status
                progress(status.completed, status.total, status.phase)
                try? await Task.sleep(nanoseconds: 100_000_000)
            }
        }
        defer { ticker.cancel() }
        do throws(StoreError) {
            return try await refresher.refresh(mode)
        } catch {
            throw MountFailure("\(settings.location.url): \(error)", ExitCode(error))
        }
    }

    /// A session by its file name, with or without `.fastshot`.
    public func entry(named name: String) throws(MountFailure) -> SessionEntry? {
        do throws(CatalogError) {
            if let entry = try catalog.entry(fileName: name) { return entry }
            return try catalog.entry(fileName: name + ".fastshot")
        } catch {
            throw MountFailure("catalog: \(error)")
        }
    }

    /// Downloads a session's body through the cache and hands it on in order, verified before its last bytes.
    /// - Parameter part: bytes in order; false stops.
    public func read(_ entry: SessionEntry, part: ([UInt8]) throws(MountFailure) -> Void) throws(MountFailure) {
        let cache: SessionCache
        let body: OpenBody
        do throws(CacheError) {
            var options = CacheOptions()
            options.maxBytes = settings.cacheLimit
            cache = try SessionCache(
                directory: settings.cacheDirectory + "/sessions", catalog: catalog, store: store.unretried,
                operations: operations, options: options, onFactsChanged: { _ in })
            body = try cache.open(entry.id)
        } catch {
            throw MountFailure(error)
        }
        defer {
            body.close()
            waitFor { await cache.drain() }
            cache.shutdown()
        }
        var offset: UInt64 = 0
        while true {
            let position = offset
            let result: Result<[UInt8], MountFailure> = waitFor {
                await withCheckedContinuation { continuation in
                    body.read(at: position, count: 1 << 20) { continuation.resume(returning: StoreView.bytes($0)) }
                }
            }
            let bytes = try result.get()
            if bytes.isEmpty { return }
            try part(bytes)
            offset += UInt64(bytes.count)
        }
    }

    private static func bytes(_ result: Result<BodyBytes, CacheError>) -> Result<[UInt8], MountFailure> {
        switch result {
        case .failure(let error): return .failure(MountFailure(error))
        case .success(.file(let file, let offset, let count)):
            do throws(SystemError) {
                return .success(try file.read(at: offset, count: count))
            } catch {
                return .failure(MountFailure("\(error)"))
            }
        }
    }
}

extension MountFailure {
    /// A cache's failure as a command's.
    init(_ error: CacheError) {
        let code: ExitCode =
            switch error.kind {
            case .offline: .unreachable
            case .denied: .denied
            default: .failed
            }
        self.init(error.message, code)
    }
}
