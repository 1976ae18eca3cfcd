internal import Catalog
internal import ObjectStore
internal import Operations
internal import Platform

/// What every step of one refresh shares: where it reads, where it writes, and what it has done so far.
final class Journey: Sendable {
    /// Changes of one transaction, at most.
    static let batch = 2000

    let store: any ObjectStore
    let catalog: Catalog
    /// `<cache>/meta_cache`.
    let directory: String
    let options: RefresherOptions
    private let tellDelta: @Sendable (CatalogDelta) -> Void
    private let tellStatus: @Sendable (_ phase: String, _ completed: UInt64, _ total: UInt64?) -> Void
    private let countRequest: @Sendable () -> Void
    private let beginOperation: @Sendable () -> OperationHandle
    private let held: Guarded<Held>

    private struct Held {
        var report: RefreshReport
        var operation: OperationHandle?
    }

    init(
        store: any ObjectStore, catalog: Catalog, directory: String, options: RefresherOptions, mode: RefreshMode,
        tellDelta: @escaping @Sendable (CatalogDelta) -> Void,
        tellStatus: @escaping @Sendable (String, UInt64, UInt64?) -> Void,
        countRequest: @escaping @Sendable () -> Void, beginOperation: @escaping @Sendable () -> OperationHandle
    ) {
        self.store = store
        self.catalog = catalog
        self.directory = directory
        self.options = options
        self.tellDelta = tellDelta
        self.tellStatus = tellStatus
        self.countRequest = countRequest
        self.beginOperation = beginOperation
        held = Guarded(Held(report: RefreshReport(mode: mode)))
    }

    var overallPath: String { directory + "/overall_meta.json" }
    var report: RefreshReport { held.withLock { $0.report } }
    /// The operation, where the refresh came to be one.
    var operation: OperationHandle? { held.withLock { $0.operation } }

    /// Notes something in the report.
    func note(_ change: (inout RefreshReport) -> Void) { held.withLock { change(&$0.report) } }

    /// Counts a request that is about to be made.
    func willRequest() {
        held.withLock { $0.report.requests += 1 }
        countRequest()
    }

    /// Makes the refresh an operation that is listed and can be cancelled. A look that finds nothing new, every few
    /// seconds, is none.
    func becomeOperation() {
        if held.withLock({ $0.operation != nil }) { return }
        let begun = beginOperation()
        held.withLock { $0.operation = begun }
    }

    /// Reports where it stands.
    func progress(_ phase: String, _ completed: Int, of total: Int? = nil) {
        let all = total.map { UInt64(max(0, $0)) }
        operation?.progress(completed: UInt64(max(0, completed)), total: all, message: phase)
        tellStatus(phase, UInt64(max(0, completed)), all)
    }

    /// Applies changes in batches, so that no other writer waits long, tells the mount of each, and keeps count.
    func apply(_ changes: [CatalogChange], _ sighting: inout Sighting) throws(CatalogError) {
        var rest = changes[...]
        while !rest.isEmpty {
            let batch = Array(rest.prefix(Self.batch))
            tell(try catalog.apply(batch, sighting: &sighting))
            rest = rest.dropFirst(batch.count)
        }
    }

    /// Tells the mount what a committed change did.
    func tell(_ delta: CatalogDelta) {
        if delta.isEmpty { return }
        note { report in
            report.added += delta.added.count
            report.removed += delta.removed.count
            report.changed += delta.changed.count
        }
        tellDelta(delta)
    }
}

/// The keys of what a refresh remembers in the catalog.
enum Setting {
    /// The tag of the overall file that was read to its end.
    static let overallTag = "overall.etag"
    /// `present`, `absent`, or `damaged: <reason>`.
    static let overallState = "overall.state"
    /// The marks of both directories when they were last listed, where the store has such marks.
    static let changeMarks = "listing.marks"
    /// When a refresh last ended well, and when complete listings were last made: nanoseconds since the epoch.
    static let lastSuccess = "refresh.last"
    static let lastListing = "listing.last"
}

/// Brings whatever a step throws into the one kind that a refresh throws.
func storeError(_ error: any Error) -> StoreError {
    switch error {
    case let error as StoreError: error
    case let error as CatalogError: StoreError(.local, message: error.description, system: error.system)
    case let error as SystemError: StoreError(error)
    case is CancellationError: StoreError(.cancelled, message: "cancelled")
    default: StoreError(.permanent, message: "\(error)")
    }
}
