internal import Catalog
internal import Platform
internal import SessionFormat
internal import Synchronization

/// What is wanted and not yet in the bucket: new and edited files, removals, renames, conflicts. All of it is in a
/// journal (`<state>/journal.sqlite`) and in files beside it, durable before the call that made it returns.
///
/// It is also the one view of the names in `sessions/`: the catalog's, with the pending changes laid over it.
/// Any thread may call any function; those that wait for the disk say so.
///
/// A change is made in ``Core``, in memory, and waits with others for the next commit of the journal, which whoever
/// comes first does for all. Only then it is shown (``View``). When the journal cannot be written, the core takes it
/// back together with everything that was built upon it.
///
/// Locks, in the order in which they may be taken: a draft's `flushing`, `journal` (both held while the disk is waited
/// for), `core`, `view`, a draft's `state`. `onChange` and `onReady` are called with none of them held.
public final class Staging: Sendable {
    /// The changes, those that are not durable yet among them.
    struct Core {
        var table = PendingTable()
        /// What waits for the next commit.
        var queue: [Operation] = []
        var lastConflict: Int64 = 0
        var lastBatch: Int64 = 0
        var nextFile: Int64 = 1
        /// Files that the journal knows and whose contents are gone.
        var lost: [String] = []
        /// The generations of what an earlier process has left, by id.
        var inherited: [Int64: Int64] = [:]
        /// What the step that is being made wants of the drafts.
        var detached: [Int64] = []
        var rebased: [PendingTable.Remote] = []
        /// How often a file without a row got another base.
        var rebases: Int64 = 0
        /// The last such bases, by id.
        var bases: [Int64: (number: Int64, remote: PendingTable.Remote)] = [:]
        var isClosed = false
    }

    /// What is shown.
    struct View {
        var table = PendingTable()
        var drafts: [Int64: OpenDraft] = [:]
        /// How many of ``Core/rebases`` are shown.
        var rebases: Int64 = 0
        /// Who waits for contents that are being fetched for editing.
        var preparing: [Int64: [Opening]] = [:]
        /// The ids of rows with a name, in order; nil before somebody asked for them.
        var named: [Int64]?
    }

    struct OpenDraft {
        var draft: Draft
        var writers: Int
    }

    /// Somebody who opens a file for writing.
    struct Opening {
        var truncating: Bool
        var reply: @Sendable (Result<StagedFile, StagingError>) -> Void
    }

    /// What an earlier process left and this one could not take up: a damaged journal, which was begun anew, and where it
    /// is kept with the contents that had not been sent; or the names of files whose contents are gone.
    public let damage: String?
    /// `<state>`.
    let directory: String
    /// `<state>/staging`: contents.
    let contents: String
    let catalog: Catalog
    let cache: SessionCache
    let onChange: @Sendable (CatalogDelta) -> Void
    /// What keeps other processes out; nil once closed.
    let lock: Guarded<FileLock?>
    let journal: Mutex<Journal?>
    let core: Mutex<Core>
    let view: Mutex<View>
    /// How many rows and drafts there are: with none, the catalog is all there is.
    let pending = Atomic<Int>(0)
    let hasWriters = Atomic<Bool>(false)
    let readyHandler = Guarded<(@Sendable () -> Void)?>(nil)
    let growth = GrowthObserver()
    let activity = Guarded<WritingActivity?>(nil)
    let pool = BlockingPool(name: "staging")

    static let log = Log("staging")

    init(
        directory: String, catalog: Catalog, cache: SessionCache, lock: FileLock, journal: consuming sending Journal,
        core: sending Core, damage: String?, onChange: @escaping @Sendable (CatalogDelta) -> Void
    ) {
        self.damage = damage
        self.directory = directory
        contents = directory + "/staging"
        self.catalog = catalog
        self.cache = cache
        self.lock = Guarded(lock)
        self.onChange = onChange
        self.journal = Mutex(journal)
        view = Mutex(View(table: core.table))
        pending.store(core.table.rows.count, ordering: .releasing)
        self.core = Mutex(core)
        cache.pendingRename.withLock { $0 = { [weak self] id in self?.pendingRename(of: id) } }
    }

    /// Closes the journal. Later calls throw `.io`.
    public func close() {
        journal.withLock { journal in
            core.withLock { $0.isClosed = true }
            journal = nil
        }
        lock.withLock { $0 = nil }
        readyHandler.withLock { $0 = nil }
        growth.set(nil)
    }

    /// Whether files of this name are sent to the bucket: `<stem>.fastshot` that is no dot-file. Others live here only.
    public static func isPublished(_ fileName: String) -> Bool {
        SessionName(fileName: fileName) != nil && fileName.utf8.first != UInt8(ascii: ".")
    }

    // MARK: What is pending

    /// The pending change of a session; nil when the bucket holds what is wanted.
    public func change(id: Int64) -> PendingChange? {
        if pending.load(ordering: .acquiring) == 0 { return nil }
        return view.withLock { $0.table.rows[id]?.change }
    }

    /// All changes, in the order in which they were made.
    public func changes() -> [PendingChange] {
        let found = view.withLock { view in view.table.rows.values.map(\.change) }
            // What stands for something that the open batch has taken away is no change.
            .filter { $0.name != nil || $0.remoteName != nil }
        return found.sorted { $0.sequence < $1.sequence }
    }

    /// Totals, kept up to date: the call does not count.
    public struct Counts: Sendable, Equatable {
        /// Changes that wait to be sent or are being sent (`ready`, `open`, `held`).
        public var pending = 0
        /// Their contents' bytes.
        public var pendingBytes: UInt64 = 0
        /// Changes of state `failed`.
        public var failed = 0
        /// Changes of state `refused`.
        public var refused = 0
        /// Files that are never sent.
        public var local = 0
        /// Conflicts that wait for a decision.
        public var conflicts = 0
        /// No counts.
        public init() {}
    }

    /// Totals over the changes and conflicts.
    public var counts: Counts { view.withLock { $0.table.counts } }

    // MARK: Telling

    /// Whether a file that is to be sent was made or opened for writing since the staging was opened.
    public var wasWritten: Bool { hasWriters.load(ordering: .acquiring) }

    /// Whether any file is open for writing now.
    public var isBeingWritten: Bool { view.withLock { !$0.drafts.isEmpty } }

    /// When files were opened or closed for writing without a break, up to the last time.
    public var writingActivity: WritingActivity? { activity.withLock { $0 } }

    /// A file was opened or closed for writing.
    func noteActivity() {
        let now = Timestamp.monotonic
        activity.withLock { $0 = WritingActivity(after: $0, at: now) }
    }

    /// A file of this name is about to be written: there will be something to send.
    func noteWriting(_ fileName: String?) {
        noteActivity()
        guard let fileName, Self.isPublished(fileName) else { return }
        if !hasWriters.exchange(true, ordering: .acquiringAndReleasing) { announceReady() }
    }

    /// Calls `handler`, on any thread, whenever something may have become ready to be sent, and when ``wasWritten``
    /// becomes true.
    public func onReady(_ handler: @escaping @Sendable () -> Void) {
        readyHandler.withLock { $0 = handler }
        handler()
    }

    /// Something may have become ready.
    func announceReady() {
        readyHandler.value?()
    }
}
