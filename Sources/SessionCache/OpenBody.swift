public import Catalog
public import Platform
internal import Synchronization

/// Bytes of a body, where they lie. The descriptor stays good whatever becomes of the cache.
public enum BodyBytes: Sendable {
    /// `count` bytes from `offset` of a file; 0 at the end of the body.
    case file(FileDescriptor, offset: UInt64, count: Int)
}

/// A session's body opened for reading, of exactly one version. Closes itself when the last reference goes.
public final class OpenBody: Sendable {
    enum Source {
        case cached(FileDescriptor, size: UInt64, etag: String?)
        case arriving(Download, reader: UInt64)
        case closed
    }

    /// The session.
    public let id: Int64
    private let cache: SessionCache
    private let source: Mutex<Source>

    init(id: Int64, cache: SessionCache, source: sending Source) {
        self.id = id
        self.cache = cache
        self.source = Mutex(source)
    }

    deinit { close() }

    private var current: Source { source.withLock { $0 } }

    /// The file when the body is whole and verified in the cache, for passthrough; nil while it is arriving.
    public var complete: FileDescriptor? {
        switch current {
        case .cached(let file, _, _): file
        case .arriving(let download, _): download.kept
        case .closed: nil
        }
    }

    /// The number of the download that the bytes come by; nil where they come from a file of the cache. What is read of
    /// one download is all of one version.
    public var arrival: UInt64? {
        if case .arriving(let download, _) = current { return download.number }
        return nil
    }

    /// The size in bytes as known now: that of the catalog until the store has answered.
    public var size: UInt64 {
        switch current {
        case .cached(_, let size, _): size
        case .arriving(let download, _): download.size
        case .closed: 0
        }
    }

    /// Whether these are the bytes of the version that the catalog names, as far as both sides know.
    public func isCurrent(for entry: SessionEntry) -> Bool {
        let etag: String?
        switch current {
        case .cached(_, _, let known): etag = known
        case .arriving(let download, _): etag = download.etag
        case .closed: return false
        }
        guard size == entry.size else { return false }
        guard let etag, let named = entry.etag else { return true }
        return etag == named
    }

    /// Reads bytes. Nothing waits: `reply` runs on the calling thread when the bytes are there or it is clear that
    /// they will not come, else later on another thread, once in any case.
    /// - Parameters:
    ///   - offset: in bytes from the start; at or behind the end the reply has a count of 0.
    ///   - count: the most bytes wanted. Fewer come only at the end.
    public func read(
        at offset: UInt64, count: Int, reply: @escaping @Sendable (Result<BodyBytes, CacheError>) -> Void
    ) {
        switch current {
        case .cached(let file, let size, _):
            let start = min(offset, size)
            reply(.success(.file(file, offset: start, count: Int(min(UInt64(max(0, count)), size - start)))))
        case .arriving(let download, let reader): download.read(reader, at: offset, count: count, reply: reply)
        case .closed: reply(.failure(CacheError(.interrupted, "the file is closed")))
        }
    }

    /// Interrupts the reads of this open file that are waiting. Later ones are served again.
    public func cancelReads() {
        if case .arriving(let download, let reader) = current { download.cancelReads(reader) }
    }

    /// Ends the use; waiting reads are interrupted. Again is harmless.
    public func close() {
        let last = source.withLock { source in
            defer { source = .closed }
            return source
        }
        switch last {
        case .closed: return
        case .cached: break
        case .arriving(let download, let reader): download.leave(reader)
        }
        cache.closed(id)
    }
}
