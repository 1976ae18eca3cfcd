internal import Catalog
public import ObjectStore
internal import Platform
public import SessionFormat
internal import Synchronization

/// What the publisher asks and tells.
extension Staging {
    /// Changes that may be sent now, oldest first: ready, not begun, and no other change has to go before.
    public func sendable(limit: Int) -> [PendingChange] {
        if pending.load(ordering: .acquiring) == 0 { return [] }
        return core.withLock { $0.table.sendable(limit: limit) }
    }

    /// Begins to send a change: until one of the ends below, its contents stay as they are and nobody else begins it.
    /// - Returns: the change as it is to be sent; nil when it may not be sent any more.
    public func begin(_ id: Int64) -> PendingChange? {
        (try? commit(isVital: true) { core throws(TableError) in core.table.begin(id) }) ?? nil
    }

    /// Whether an earlier process has left a change, which it may have begun to send.
    public func isInherited(_ change: PendingChange) -> Bool {
        core.withLock { core in core.inherited[change.id].map { change.generation <= $0 } ?? false }
    }

    /// The rename of a session whose contents stay, that may have been begun.
    func pendingRename(of id: Int64) -> PendingRename? {
        core.withLock { core in
            guard let row = core.table.rows[id] else { return nil }
            let change = core.table.next(row)
            guard change.content == nil, let new = change.name, let old = change.remoteName, let remote = change.remote,
                !new.hasSameBytes(as: old)
            else { return nil }
            return PendingRename(oldName: old, newName: new, version: remote)
        }
    }

    /// A change that is in the bucket as a whole.
    public struct Sent: Sendable {
        /// The change as ``Staging/begin(_:)`` gave it.
        public var change: PendingChange
        /// What the bucket holds now; nil after a removal.
        public var object: ObjectInfo?
        /// The contents' MD5, lower-case hex, where it is known.
        public var contentMD5: String?
        /// The contents' SHA-256, lower-case hex, where it is known.
        public var sha256: String?
        /// The metadata of its index; nil where it has none.
        public var metadata: SessionMetadata?
        /// The index object's tag.
        public var indexETag: String?
        /// The index object's bytes; nil where they are those that the metadata gives.
        public var indexBytes: [UInt8]?
        /// After a removal: what has the name in the bucket is somebody else's and stays in the catalog.
        public var leavesName = false

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

        fileprivate var version: ObjectVersion? {
            object.map { ObjectVersion(etag: $0.etag, size: $0.size, contentMD5: contentMD5 ?? $0.contentMD5) }
        }

        fileprivate var digest: String? { sha256.map { "sha256:" + $0 } ?? contentMD5.map { "md5:" + $0 } }
    }

    /// Changes are in the bucket: the catalog learns it, contents become cached bodies, the journal forgets them, in
    /// one transaction. A change that came meanwhile goes on from what the bucket holds now. Waits for the disk.
    /// - Throws: `.diskFull`, `.io`. The changes count as being sent still then.
    public func sent(_ changes: [Sent]) throws(StagingError) {
        if changes.isEmpty { return }
        var delta = try recordInCatalog(changes)
        FaultPoint.reached("staging.sent.catalog")
        let finished = Guarded<Set<Int64>>([])
        let hook: @Sendable () -> Void = {
            let ids = finished.withLock { $0 }
            for item in changes { self.handOver(item, isFinished: ids.contains(item.change.id)) }
        }
        try commit(isVital: true, hook: hook) { core throws(TableError) in
            var done: Set<Int64> = []
            for item in changes {
                let isDone = try core.table.sent(item.change, item.version, reserve: self.reserveID)
                guard isDone else { continue }
                done.insert(item.change.id)
                if let name = item.change.name, let version = item.version {
                    core.rebased.append(.init(id: item.change.id, fileName: name, version: version))
                }
            }
            let ids = done
            finished.withLock { $0 = ids }
        }
        FaultPoint.reached("staging.sent.journal")
        for item in changes where item.change.name != nil && !delta.changed.contains(item.change.id) {
            delta.changed.append(item.change.id)
        }
        onChange(delta)
        announceReady()
    }

    /// What was put into the bucket comes into the catalog, and what was removed goes.
    private func recordInCatalog(_ changes: [Sent]) throws(StagingError) -> CatalogDelta {
        while true {
            do throws(CatalogError) { return try tryToRecord(changes) } catch {
                guard error.kind == .full, Reserve.release(in: directory) else { throw StagingError(error) }
            }
        }
    }

    private func tryToRecord(_ changes: [Sent]) throws(CatalogError) -> CatalogDelta {
        var gone: [Int64] = []
        var left: [CatalogDelta.Item] = []
        for item in changes {
            if item.object == nil, !item.leavesName { gone.append(item.change.id) }
            guard !item.leavesName, let name = item.change.remoteName, !item.change.name.hasSameBytes(as: name) else {
                continue
            }
            // A refresh that is under way may have met an upload there that the catalog never heard of.
            left.append(.init(id: item.change.id, fileName: name))
            // What was removed or renamed has another id there where this file had taken its place, where its row was
            // parted from its file, and after a reset of the catalog.
            if let entry = try catalog.entry(fileName: name), entry.id != item.change.id { gone.append(entry.id) }
        }
        var delta = try catalog.unpublished(gone, under: left)
        let published = changes.compactMap { item -> PublishedSession? in
            guard let name = item.change.name, let object = item.object else { return nil }
            var session = PublishedSession(
                id: item.change.id, fileName: name,
                facts: ObjectFacts(
                    size: object.size, etag: object.etag, contentMD5: item.contentMD5 ?? object.contentMD5,
                    uploaded: object.modified),
                sha256: item.sha256, metadata: item.metadata, indexETag: item.indexETag)
            session.indexBytes = item.indexBytes
            return session
        }
        if !published.isEmpty { delta.merge(try catalog.published(published)) }
        return delta
    }

    /// Contents become a cached body, and a cached body follows its session's name.
    private func handOver(_ item: Sent, isFinished: Bool) {
        guard let name = item.change.name, let object = item.object else { return }
        let isRenamed = item.change.remoteName.map { !$0.hasSameBytes(as: name) } ?? false
        if let content = item.change.content {
            guard isFinished, let digest = item.digest, content.size == object.size else { return }
            _ = cache.adopt(
                id: item.change.id, fileName: name, path: content.path, size: content.size, etag: object.etag,
                digest: digest)
            FaultPoint.reached("staging.sent.adopted")
        } else if isRenamed, let old = item.change.remoteName {
            cache.renamed(id: item.change.id, from: old, to: name)
        }
    }

    /// The change could not be sent for a reason that passes: it stays ready.
    public func postponed(_ change: PendingChange, reason: String) {
        // In memory only; a journal that cannot be written does not matter to it.
        do throws(StagingError) {
            try commit(isVital: true) { core throws(TableError) in core.table.postponed(change, reason: reason) }
        } catch { Staging.log.warning("not postponed", ["cause": error.description]) }
    }

    /// The change is not sent: `.failed` or `.refused`. It stays, with its reason.
    /// - Throws: `.diskFull`, `.io`.
    public func rejected(
        _ change: PendingChange, _ state: PendingChange.State, reason: String
    ) throws(StagingError) {
        try commit(isVital: true) { core throws(TableError) in
            try core.table.rejected(change, state, reason: reason)
        }
        FaultPoint.reached("staging.rejected.journal")
        announceReady()
    }

    /// The store refuses a removal or a rename: the file is back under its old name.
    /// - Throws: `.diskFull`, `.io`.
    public func undone(_ change: PendingChange, reason: String) throws(StagingError) {
        let isBack = try commit(isVital: true) { core throws(TableError) in
            try core.table.undone(change, reason: reason)
        }
        FaultPoint.reached("staging.undone.journal")
        Staging.log.warning("undone", ["name": change.subject, "cause": reason])
        if isBack, let old = change.remoteName {
            var delta = CatalogDelta(added: [.init(id: change.id, fileName: old)])
            if let name = change.name {
                delta.removed.append(.init(id: change.id, fileName: name))
                if let replaced = change.replacedID { delta.added.append(.init(id: replaced, fileName: name)) }
            }
            onChange(delta)
        }
        announceReady()
    }
}
