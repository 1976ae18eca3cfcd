public import Catalog
public import ObjectStore
public import Platform
public import SessionFormat

/// What is wanted and not yet in the bucket: new and edited files, removals, renames, conflicts. All of it is in a
/// journal (`<state>/journal.sqlite`) and in files beside it, durable before the call that made it returns.
///
/// It is also the one view of the names in `sessions/`: the catalog's, with the pending changes laid over it.
/// Any thread may call any function; those that wait for the disk say so.
public final class Staging: Sendable {
    // MARK: Opening

    /// Opens the state directory, makes what is missing, and takes up what an earlier process left.
    /// - Parameters:
    ///   - directory: `<state>/<store-id>`; private.
    ///   - onChange: hears, on any thread and with no lock held, of names and contents that changed otherwise than by a
    ///     call of the tree: after an upload, by a conflict, by an undo.
    /// - Returns: nil when another process holds the journal.
    /// - Throws: `.io` or `.diskFull`.
    public static func open(
        directory: String, catalog: Catalog, cache: SessionCache,
        onChange: @escaping @Sendable (CatalogDelta) -> Void
    ) throws(StagingError) -> Staging? { fatalError("skeleton") }

    init() {}

    /// Closes the journal. Later calls throw `.io`.
    public func close() { fatalError("skeleton") }

    // MARK: The view of sessions/

    /// A name in `sessions/`; nil when there is none. The entry has the size and time that programs see.
    public func entry(fileName: String) throws(CatalogError) -> SessionEntry? { fatalError("skeleton") }

    /// A file by its id; nil when it has no name any more.
    public func entry(id: Int64) throws(CatalogError) -> SessionEntry? { fatalError("skeleton") }

    /// As ``Catalog/scan(after:_:)``, with the pending changes: in the order of ids.
    public func scan(after id: Int64, _ body: (borrowing CatalogRow) -> Bool) throws(CatalogError) {
        fatalError("skeleton")
    }

    /// The pending change of a session; nil when the bucket holds what is wanted.
    public func change(id: Int64) -> PendingChange? { fatalError("skeleton") }

    /// Follows a change of the catalog: names that are claimed here may have got another id there. Called before the
    /// kernel is told.
    public func apply(_ delta: CatalogDelta) { fatalError("skeleton") }

    // MARK: Contents

    /// The contents of a file that lie here, open for reading, as the last write left them; nil when its contents are
    /// the bucket's and the cache has to be asked.
    public func openContents(id: Int64) throws(StagingError) -> StagedFile? { fatalError("skeleton") }

    /// Makes a file of no bytes and opens it for writing. It is listed from now on and durable from its first flush.
    /// - Throws: `.exists`, `.invalidName`, `.nameTooLong`, `.diskFull`, `.io`.
    public func create(_ fileName: String) throws(StagingError) -> StagedFile { fatalError("skeleton") }

    /// Opens a file for writing. Contents that the bucket holds are fetched first, unless they are dropped.
    /// Never waits: the reply may come on another thread.
    /// - Parameter truncating: begins with no bytes.
    public func openForWriting(
        id: Int64, truncating: Bool, reply: @escaping @Sendable (Result<StagedFile, StagingError>) -> Void
    ) { fatalError("skeleton") }

    /// Sets the modification time that is shown until the upload. Of a file whose contents are the bucket's it does
    /// nothing, for sessions show the time of their creation.
    public func setModified(id: Int64, _ time: Timestamp) throws(StagingError) { fatalError("skeleton") }

    // MARK: Names

    /// Removes a name. Durable when it returns; waits for the disk.
    /// - Returns: the id of the file that had it.
    /// - Throws: `.notFound`, `.diskFull`, `.io`.
    public func remove(_ fileName: String) throws(StagingError) -> Int64 { fatalError("skeleton") }

    /// What a rename did.
    public struct Renamed: Sendable, Equatable {
        /// The file that was renamed.
        public var id: Int64
        /// The file whose name it took; nil when the name was free.
        public var replaced: Int64?
    }

    /// Renames, over a file that has the new name unless that is forbidden. Durable when it returns; waits for the disk.
    /// - Throws: `.notFound`; `.exists` when `replacing` is false and the name is taken; `.busy` when the bucket's object
    ///   of the new name still has to be moved by another rename; `.crossDevice` when a session whose body is not cached
    ///   would get a name that is never uploaded.
    public func rename(
        _ fileName: String, to newName: String, replacing: Bool
    ) throws(StagingError) -> Renamed { fatalError("skeleton") }

    /// Whether files of this name are sent to the bucket: `<stem>.fastshot` that is no dot-file. Others live here only.
    public static func isPublished(_ fileName: String) -> Bool { fatalError("skeleton") }

    // MARK: What is pending

    /// All changes, in the order in which they were made.
    public func changes() -> [PendingChange] { fatalError("skeleton") }

    /// Totals, kept up to date: the call does not count.
    public struct Counts: Sendable, Equatable {
        /// Changes that wait to be sent or are being sent (`ready`, `open`, `held`).
        public var pending = 0
        /// Their contents' bytes.
        public var pendingBytes: UInt64 = 0
        /// Changes of state `failed` and `refused`.
        public var failed = 0
        public var refused = 0
        /// Files that are never sent.
        public var local = 0
        /// Conflicts that wait for a decision.
        public var conflicts = 0
        /// No counts.
        public init() {}
    }

    /// Totals over the changes and conflicts.
    public var counts: Counts { fatalError("skeleton") }

    /// Gives up a change: a new file goes, an edit, removal or rename is undone. Contents are kept aside.
    /// - Returns: where the contents are kept; nil when there were none.
    /// - Throws: `.notFound`; `.busy` while a program has it open or it is being sent.
    public func discard(id: Int64) throws(StagingError) -> String? { fatalError("skeleton") }

    /// Makes changes of state `failed` ready again, and `refused` ones too when asked for.
    public func retry(refused: Bool) throws(StagingError) { fatalError("skeleton") }

    // MARK: Batches

    /// The batch that changes belong to from now on; nil when there is none.
    public var batch: Int64? { fatalError("skeleton") }

    /// Holds back the changes that are made from now on.
    /// - Throws: `.busy` when a batch is open.
    public func beginBatch() throws(StagingError) -> Int64 { fatalError("skeleton") }

    /// Lets the changes of the batch be sent, together.
    /// - Returns: how many.
    /// - Throws: `.notFound` when no batch is open.
    public func commitBatch() throws(StagingError) -> Int { fatalError("skeleton") }

    /// Gives up the changes of the batch, as ``discard(id:)`` does.
    /// - Returns: how many.
    /// - Throws: `.notFound` when no batch is open; `.busy` while a program has a file of it open.
    public func cancelBatch() throws(StagingError) -> Int { fatalError("skeleton") }

    // MARK: Conflicts

    /// Conflicts in the order in which they were noticed, pending ones or all.
    public func conflicts(includingDecided: Bool) throws(StagingError) -> [ConflictRecord] { fatalError("skeleton") }

    /// One conflict; nil when there is none of this id.
    public func conflict(_ id: Int64) throws(StagingError) -> ConflictRecord? { fatalError("skeleton") }

    /// Decides a conflict. For `.mine`, `current` is what the bucket holds under the name now (nil: nothing), which the
    /// upload or removal then expects.
    /// - Throws: `.notFound`; `.busy` when it is decided already or its file is open.
    public func decide(
        _ id: Int64, _ choice: ConflictChoice, by decider: String, current: ObjectVersion?
    ) throws(StagingError) -> ConflictRecord { fatalError("skeleton") }

    // MARK: Sending (for the publisher)

    /// Calls `handler`, on any thread, whenever something may have become ready to be sent.
    public func onReady(_ handler: @escaping @Sendable () -> Void) { fatalError("skeleton") }

    /// Changes that may be sent now, oldest first: ready, not begun, and no older change touches one of their names.
    public func sendable(limit: Int) -> [PendingChange] { fatalError("skeleton") }

    /// Begins to send a change: until one of the ends below, its contents stay as they are and nobody else begins it.
    /// - Returns: the change as it is now; nil when it may not be sent any more.
    public func begin(_ id: Int64) -> PendingChange? { fatalError("skeleton") }

    /// Notes an upload in parts, durably, so that a later process goes on with it; nil when it has ended.
    public func note(_ change: PendingChange, multipart: MultipartProgress?) throws(StagingError) {
        fatalError("skeleton")
    }

    /// A change that is in the bucket as a whole.
    public struct Sent: Sendable {
        /// The change as ``begin(_:)`` gave it.
        public var change: PendingChange
        /// What the bucket holds now; nil after a removal.
        public var object: ObjectInfo?
        /// The contents' digests, lower-case hex, where they are known.
        public var contentMD5: String?
        public var sha256: String?
        /// The metadata of its index; nil where it has none.
        public var metadata: SessionMetadata?
        /// The index object's tag.
        public var indexETag: String?

        /// A sent change by its parts.
        public init(
            change: PendingChange, object: ObjectInfo?, contentMD5: String? = nil, sha256: String? = nil,
            metadata: SessionMetadata? = nil, indexETag: String? = nil
        ) {
            self.change = change
            self.object = object
            self.contentMD5 = contentMD5
            self.sha256 = sha256
            self.metadata = metadata
            self.indexETag = indexETag
        }
    }

    /// Changes are in the bucket: the catalog learns it, contents become cached bodies, the journal forgets them, in
    /// one transaction. A change that came meanwhile goes on from what the bucket holds now.
    public func sent(_ changes: [Sent]) throws(StagingError) { fatalError("skeleton") }

    /// The change could not be sent for a reason that passes: it stays ready.
    public func postponed(_ change: PendingChange, reason: String) { fatalError("skeleton") }

    /// The change is not sent: `.failed` or `.refused`. It stays, with its reason.
    public func rejected(
        _ change: PendingChange, _ state: PendingChange.State, reason: String
    ) throws(StagingError) { fatalError("skeleton") }

    /// The store refuses a removal or a rename: the file is back under its old name.
    public func undone(_ change: PendingChange, reason: String) throws(StagingError) { fatalError("skeleton") }

    /// The bucket holds something else than the change expected.
    /// - Parameters:
    ///   - found: what it holds; nil: nothing.
    ///   - decision: by a strategy; nil leaves it to the user: the bucket's version then shows under its own name, and
    ///     local contents under ``ConflictRecord/localName``.
    ///   - decider: the strategy's name.
    public func conflicted(
        _ change: PendingChange, _ kind: ConflictKind, found: ObjectInfo?, decision: ConflictChoice?, decider: String
    ) throws(StagingError) -> ConflictRecord { fatalError("skeleton") }
}
