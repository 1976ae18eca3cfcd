internal import Digests
public import ObjectStore
internal import SessionFormat

/// Makes buckets as FastShot writes them, to try sessionfs on and to measure it with.
///
/// The same seed makes the same bytes. Meant for an empty store: the overall file is replaced.
public enum SampleStore {
    /// What was written.
    public struct Summary: Sendable, Equatable {
        /// How many sessions.
        public var sessions = 0
        /// How many PNG pictures in them: three for every window, a collage and a cover.
        public var pictures = 0
        /// The sum of the objects' lengths in bytes, indexes and overall file included.
        public var bytes: UInt64 = 0
    }

    /// Writes sessions with pictures, their indexes and the overall file, whose rows also carry the metadata.
    ///
    /// Creates the container when it is missing.
    /// - Parameters:
    ///   - count: how many sessions.
    ///   - key: FastShot's `encryption_key`, or nil for plain payloads.
    ///   - seed: chooses the contents.
    /// - Throws: the store's error; what was written stays.
    public static func generate(
        into store: any ObjectStore, count: Int = 40, key: String? = nil, seed: UInt64 = 1
    ) async throws(StoreError) -> Summary {
        try await store.createContainer()
        let overall = try OverallSpool(rows: count)
        var summary = Summary(sessions: count)
        try await inOrder(count, parallel: 8) { index async throws(StoreError) -> Stored in
            let content = SampleContent(index: index, of: count, seed: seed)
            let session = SampleSession(content, index: index, key: key, seed: seed)
            return try await put(session, withIndex: true, into: store)
        } each: { stored throws(StoreError) in
            summary.pictures += stored.pictures
            summary.bytes += stored.bytes
            try overall.append(stored.row)
        }
        summary.bytes += try await overall.store(in: store)
        return summary
    }

    /// What a store of many sessions holds.
    public struct CatalogOptions: Sendable {
        /// What lies in `sessions/`.
        public enum Bodies: Sendable {
            /// Nothing: the overall file names sessions that are not there.
            case none
            /// A small valid session for each, without pictures but for its cover.
            case tiny
        }
        /// What lies in `sessions/`.
        public var bodies: Bodies
        /// Whether each session has its index in `meta_indexes/`.
        public var indexes: Bool
        /// Whether the rows of the overall file carry the metadata.
        public var rowsCarryMetadata: Bool
        /// How many objects are written at the same time.
        public var parallel: Int

        /// Rows with metadata and nothing else, unless said otherwise.
        public init(
            bodies: Bodies = .none, indexes: Bool = false, rowsCarryMetadata: Bool = true, parallel: Int = 32
        ) {
            self.bodies = bodies
            self.indexes = indexes
            self.rowsCarryMetadata = rowsCarryMetadata
            self.parallel = parallel
        }
    }

    /// Writes an overall file of many sessions, for measurements. Memory does not grow with their number; the file is
    /// gathered in the temporary directory.
    ///
    /// Creates the container when it is missing.
    /// - Throws: the store's error; what was written stays.
    public static func generateCatalogOnly(
        into store: any ObjectStore, count: Int, options: CatalogOptions = CatalogOptions(), key: String? = nil,
        seed: UInt64 = 1
    ) async throws(StoreError) -> Summary {
        try await store.createContainer()
        let overall = try OverallSpool(rows: count)
        var summary = Summary(sessions: count)
        if options.bodies == .none, !options.indexes {
            for index in 0..<count { try overall.append(row(index, of: count, seed: seed, options)) }
        } else {
            try await inOrder(count, parallel: options.parallel) { index async throws(StoreError) -> Stored in
                try await putTiny(index, of: count, key: key, seed: seed, options, into: store)
            } each: { stored throws(StoreError) in
                summary.pictures += stored.pictures
                summary.bytes += stored.bytes
                try overall.append(stored.row)
            }
        }
        summary.bytes += try await overall.store(in: store)
        return summary
    }
}

extension SampleStore {
    /// What is left to do for a session whose objects are stored.
    private struct Stored: Sendable {
        var row: OverallRow
        var pictures = 0
        var bytes: UInt64 = 0
    }

    private static func put(
        _ session: SampleSession, withIndex: Bool, into store: any ObjectStore
    ) async throws(StoreError) -> Stored {
        let name = session.content.name
        var stored = Stored(row: session.row, pictures: session.pictures, bytes: UInt64(session.body.count))
        _ = try await store.put(name.bodyKey, .bytes(session.body), .always)
        if withIndex { stored.bytes += try await putIndex(session.content, into: store) }
        return stored
    }

    private static func putIndex(_ content: SampleContent, into store: any ObjectStore) async throws(StoreError)
        -> UInt64
    {
        let index = content.index
        _ = try await store.put(content.name.indexKey, .bytes(index), .always)
        return UInt64(index.count)
    }

    private static func putTiny(
        _ index: Int, of count: Int, key: String?, seed: UInt64, _ options: CatalogOptions, into store: any ObjectStore
    ) async throws(StoreError) -> Stored {
        let content = SampleContent(index: index, of: count, seed: seed)
        var stored: Stored
        switch options.bodies {
        case .tiny:
            stored = try await put(SampleSession(tiny: content, key: key), withIndex: options.indexes, into: store)
        case .none:
            stored = Stored(row: row(index, of: count, seed: seed, options))
            stored.bytes = try await putIndex(content.claimingSize(), into: store)
        }
        if !options.rowsCarryMetadata { stored.row.metadata = nil }
        return stored
    }

    /// The row of a session that has no body.
    private static func row(_ index: Int, of count: Int, seed: UInt64, _ options: CatalogOptions) -> OverallRow {
        let content = SampleContent(index: index, of: count, seed: seed).claimingSize()
        let digest = MD5.hex(Array(content.name.fileName.utf8))
        return OverallRow(
            fileName: content.name.fileName, createdAt: content.uploaded.iso8601, fileSize: content.metadata.fileSize,
            checksum: .etag(digest), metadata: options.rowsCarryMetadata ? content.metadata : nil)
    }
}

/// Does `count` pieces of work, some at the same time, and takes their results in the order of the pieces. The first
/// error ends it.
private func inOrder<Value: Sendable>(
    _ count: Int, parallel: Int, _ work: @escaping @Sendable (Int) async throws(StoreError) -> Value,
    each: (Value) throws(StoreError) -> Void
) async throws(StoreError) {
    let outcome = await withTaskGroup(of: (Int, Result<Value, StoreError>).self) { group -> Result<Void, StoreError> in
        func start(_ index: Int) {
            group.addTask {
                do throws(StoreError) {
                    return (index, .success(try await work(index)))
                } catch {
                    return (index, .failure(error))
                }
            }
        }
        var started = min(count, max(1, parallel))
        for index in 0..<started { start(index) }
        var next = 0
        var early: [Int: Value] = [:]
        do throws(StoreError) {
            while let (index, result) = await group.next() {
                early[index] = try result.get()
                while let value = early.removeValue(forKey: next) {
                    try each(value)
                    next += 1
                }
                if started < count {
                    start(started)
                    started += 1
                }
            }
            return .success(())
        } catch {
            group.cancelAll()
            return .failure(error)
        }
    }
    try outcome.get()
}
