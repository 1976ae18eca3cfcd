internal import Catalog
internal import Platform
internal import Synchronization

/// The unknown indexes on their way to the fetcher. The catalog itself is the queue; what is handed over here only lets
/// the fetching begin sooner.
final class IndexQueue: Sendable {
    enum Event: Sendable {
        /// The catalog holds unknown indexes that may all be fetched.
        case poke
        /// These may be fetched.
        case items([CatalogDelta.Item])
        /// A fetch ended.
        case fetched(IndexFetcher.Fetched)
        /// Nothing more will be found.
        case end
    }

    let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation
    private let handed = Atomic<Int>(0)
    /// While a complete listing is to come, an index that it does not show costs no request.
    private let waitsForListing: Atomic<Bool>

    /// Items that may wait here; more of them are found in the catalog later.
    private static let most = 4096

    init(waitsForListing: Bool) {
        (events, continuation) = AsyncStream.makeStream()
        self.waitsForListing = Atomic(waitsForListing)
    }

    /// The catalog may hold unknown indexes.
    func poke() {
        if !waitsForListing.load(ordering: .relaxed) { continuation.yield(.poke) }
    }

    /// From now on, only what a listing showed is fetched before the end.
    func waitForListing() { waitsForListing.store(true, ordering: .relaxed) }

    /// The listing is complete.
    func listingEnded() {
        waitsForListing.store(false, ordering: .relaxed)
        poke()
    }

    /// Hands over what a listing showed.
    func add(_ items: [CatalogDelta.Item]) {
        guard !items.isEmpty, handed.load(ordering: .relaxed) < Self.most else { return }
        handed.add(items.count, ordering: .relaxed)
        continuation.yield(.items(items))
    }

    /// The fetcher took items over.
    func took(_ count: Int) { handed.subtract(count, ordering: .relaxed) }

    func fetched(_ result: IndexFetcher.Fetched) { continuation.yield(.fetched(result)) }
    func end() { continuation.yield(.end) }
    func close() { continuation.finish() }
}
