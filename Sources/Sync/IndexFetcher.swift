internal import Catalog
internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Fetches unknown indexes, many at a time, and applies what comes in batches.
struct IndexFetcher {
    let journey: Journey
    let queue: IndexQueue
    let pauses: FetchPauses

    /// What a fetch came to.
    struct Fetched: Sendable {
        var item: CatalogDelta.Item
        var result: Result<IndexFinding, StoreError>
    }

    /// The largest index that is read, in bytes.
    private static let sizeLimit = 1 << 20
    /// Failures in a row after which the store counts as out of order.
    private static let failuresLimit = 32
    /// Seconds that results wait for a fuller batch.
    private static let patience = 0.1

    /// Works until the queue has ended and the catalog holds no unknown index that was not tried.
    /// - Throws: what kept it from going on; what came before is applied.
    func run() async throws {
        defer { queue.close() }
        var work = try Work(journey: journey, queue: queue, pauses: pauses)
        try await withThrowingDiscardingTaskGroup { group in
            // Cancelling ends the stream, and with it this loop.
            for await event in queue.events {
                switch event {
                case .poke: work.mayLook = true
                case .items(let items): work.add(items)
                case .fetched(let fetched): try work.take(fetched)
                case .end: work.hasEnded = true
                }
                while let item = try work.next() {
                    journey.willRequest()
                    group.addTask { queue.fetched(await fetch(item)) }
                }
                if work.isDone { break }
            }
            try Task.checkCancellation()
        }
        try work.finish()
    }

    private func fetch(_ item: CatalogDelta.Item) async -> Fetched {
        guard let key = SessionName(fileName: item.fileName)?.indexKey else {
            return Fetched(item: item, result: .success(.missing))
        }
        do throws(StoreError) {
            let (info, bytes) = try await journey.store.bytes(key, limit: Self.sizeLimit)
            do throws(FormatError) {
                let index = try MetadataIndex.decode(bytes)
                return Fetched(item: item, result: .success(.known(index, bytes: bytes, etag: info.etag)))
            } catch {
                return Fetched(item: item, result: .success(.corrupt(reason: error.description, etag: info.etag)))
            }
        } catch {
            switch error.kind {
            case .notFound: return Fetched(item: item, result: .success(.missing))
            case .permanent: return Fetched(item: item, result: .success(.corrupt(reason: error.message, etag: nil)))
            default: return Fetched(item: item, result: .failure(error))
            }
        }
    }

    /// The state of one run.
    private struct Work {
        let journey: Journey
        let queue: IndexQueue
        let pauses: FetchPauses
        /// Whether the catalog may hold unknown indexes behind `cursor`.
        var mayLook = false
        var hasEnded = false
        private var items: ArraySlice<CatalogDelta.Item> = []
        private var cursor: Int64 = 0
        private var tried = IDSet()
        private var begun = 0
        private var done = 0
        private var failuresInRow = 0
        private var stop: StoreError?
        private var results: [CatalogChange] = []
        private var batch = 32
        private var lastBatch = Timestamp.monotonic
        /// From before the first request.
        private let mark: WriteMark

        init(journey: Journey, queue: IndexQueue, pauses: FetchPauses) throws {
            self.journey = journey
            self.queue = queue
            self.pauses = pauses
            mark = try journey.catalog.writeMark()
        }

        var isDone: Bool { begun == done && (stop != nil || (hasEnded && items.isEmpty && !mayLook)) }

        mutating func add(_ more: [CatalogDelta.Item]) {
            queue.took(more.count)
            items += more
        }

        /// The next one to fetch, as long as the window has room.
        mutating func next() throws -> CatalogDelta.Item? {
            guard stop == nil, begun - done < journey.options.parallel else { return nil }
            while true {
                while let item = items.popFirst() {
                    guard !tried.contains(item.id), !pauses.isPaused(item.id) else { continue }
                    tried.insert(item.id)
                    if begun == 0 { journey.becomeOperation() }
                    begun += 1
                    return item
                }
                guard mayLook else { return nil }
                let found = try journey.catalog.unknownIndexes(after: cursor, limit: 512)
                items += found
                if let last = found.last {
                    cursor = last.id
                } else {
                    mayLook = false
                    // Sessions of smaller ids may have become unknown meanwhile.
                    cursor = 0
                }
            }
        }

        mutating func take(_ fetched: Fetched) throws {
            done += 1
            switch fetched.result {
            case .success(let finding):
                failuresInRow = 0
                pauses.forget(fetched.item.id)
                results.append(.index(id: fetched.item.id, finding))
                journey.note { report in
                    switch finding {
                    case .known: report.indexesRead += 1
                    case .missing: report.indexesMissing += 1
                    case .corrupt: report.indexesCorrupt += 1
                    }
                }
            case .failure(let error):
                failuresInRow += 1
                journey.note { $0.indexesFailed += 1 }
                pauses.pause(fetched.item.id)
                switch error.kind {
                case .unreachable, .offline, .unauthenticated, .noContainer, .cancelled, .local: stop = stop ?? error
                default: if failuresInRow >= IndexFetcher.failuresLimit { stop = stop ?? error }
                }
            }
            let waited = Timestamp.monotonic.seconds(since: lastBatch)
            if results.count >= batch || begun == done || waited > IndexFetcher.patience { try commit() }
        }

        mutating func finish() throws {
            try commit()
            if let stop { throw stop }
        }

        private mutating func commit() throws {
            lastBatch = .monotonic
            if results.isEmpty { return }
            var sighting = Sighting(since: mark)
            try journey.apply(results, &sighting)
            results.removeAll(keepingCapacity: true)
            batch = min(512, batch * 2)
            let left = try journey.catalog.counts.unknownIndexes
            journey.progress("fetching indexes", done, of: done + left)
        }
    }
}

/// Indexes that could not be fetched rest before the next try, longer each time.
final class FetchPauses: Sendable {
    private struct Pause {
        var failures = 0
        var until = Timestamp.monotonic
    }
    private let pauses = Guarded<[Int64: Pause]>([:])
    private let first: Double

    /// Seconds of the longest rest.
    private static let longest = 600.0

    /// - Parameter first: seconds of the first rest.
    init(first: Double) { self.first = first }

    func isPaused(_ id: Int64) -> Bool {
        pauses.withLock { $0[id].map { $0.until > .monotonic } ?? false }
    }

    func pause(_ id: Int64) {
        pauses.withLock { pauses in
            var pause = pauses[id] ?? Pause()
            pause.failures += 1
            let seconds = min(Self.longest, first * Double(1 << min(pause.failures - 1, 16)))
            pause.until = Timestamp(nanoseconds: Timestamp.monotonic.nanoseconds + Int64(seconds * 1e9))
            pauses[id] = pause
        }
    }

    func forget(_ id: Int64) { pauses.withLock { _ = $0.removeValue(forKey: id) } }

    /// The user asked for a refresh: nothing rests.
    func clear() { pauses.withLock { $0 = [:] } }
}
