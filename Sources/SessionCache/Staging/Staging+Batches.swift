internal import Catalog
internal import Platform
internal import Synchronization

/// Changes given up or tried again by the user, and batches of them.
extension Staging {
    /// Gives up a change: a new file goes, an edit, removal or rename is undone. Contents are kept aside. Waits for the
    /// disk.
    /// - Returns: where the contents are kept; nil when there were none.
    /// - Throws: `.notFound`; `.busy` while a program has it open or it is being sent, or when its old name has been
    ///   taken by another file; `.diskFull`, `.io`.
    public func discard(id: Int64) throws(StagingError) -> String? {
        guard let change = core.withLock({ $0.table.rows[id]?.change }) else {
            throw StagingError(.notFound, "no pending change with id \(id)")
        }
        if view.withLock({ $0.drafts[id] != nil || $0.preparing[id] != nil }) {
            throw StagingError(.busy, "\(change.subject) is open")
        }
        let kept = try keepContents(of: id, named: "discarded-\(change.subject)")
        do throws(StagingError) {
            try commit(isVital: true) { core throws(TableError) in
                guard let row = core.table.rows[id], row.change.content == change.content else {
                    throw .refused(StagingError(.busy, "\(change.subject) has just changed"))
                }
                try core.table.discard(id, reserve: self.reserveID, at: .now)
                core.decide(row.change, .theirs, kept: kept)
            }
        } catch {
            if let kept { try? Files.remove(kept) }
            throw error
        }
        FaultPoint.reached("staging.discard.journal")
        onChange(discarded(change))
        announceReady()
        return kept
    }

    /// What is shown otherwise when a change is given up.
    private func discarded(_ change: PendingChange) -> CatalogDelta {
        var delta = CatalogDelta(changed: [change.id])
        if let name = change.name, !change.remoteName.hasSameBytes(as: name) {
            delta.removed.append(.init(id: change.id, fileName: name))
            if let replaced = change.replacedID { delta.added.append(.init(id: replaced, fileName: name)) }
        }
        if let old = change.remoteName, !change.name.hasSameBytes(as: old) {
            delta.added.append(.init(id: change.id, fileName: old))
        }
        return delta
    }

    /// Makes changes of state `failed` ready again, and `refused` ones too when asked for. Waits for the disk.
    /// - Throws: `.diskFull`, `.io`.
    public func retry(refused: Bool) throws(StagingError) {
        let count = try commit { core throws(TableError) in core.table.retry(refused: refused) }
        if count > 0 { announceReady() }
    }

    /// The batch that changes belong to from now on; nil when there is none.
    public var batch: Int64? { view.withLock { $0.table.batch } }

    /// Holds back the changes that are made from now on. Waits for the disk.
    /// - Throws: `.busy` when a batch is open; `.diskFull`, `.io`.
    public func beginBatch() throws(StagingError) -> Int64 {
        try commit { core throws(TableError) in
            if let open = core.table.batch { throw .refused(StagingError(.busy, "batch \(open) is open")) }
            core.lastBatch += 1
            core.table.setBatch(core.lastBatch)
            return core.lastBatch
        }
    }

    /// Lets the changes of the batch be sent, together. Waits for the disk.
    /// - Returns: how many.
    /// - Throws: `.notFound` when no batch is open; `.diskFull`, `.io`.
    public func commitBatch() throws(StagingError) -> Int {
        let count = try commit { core throws(TableError) in
            if core.table.batch == nil { throw .refused(StagingError(.notFound, "no batch is open")) }
            return core.table.commitBatch()
        }
        FaultPoint.reached("staging.batch.journal")
        announceReady()
        return count
    }

    /// Gives up the changes of the batch: what was wanted before it is wanted again. Contents are kept aside. Waits for
    /// the disk.
    /// - Returns: how many.
    /// - Throws: `.notFound` when no batch is open; `.busy` while a program has a file of it open; `.diskFull`, `.io`.
    public func cancelBatch() throws(StagingError) -> Int {
        guard let batch else { throw StagingError(.notFound, "no batch is open") }
        let members = view.withLock { view in view.table.rows.values.filter { $0.change.batch == batch } }
        let isOpen = view.withLock { view in
            members.contains { view.drafts[$0.change.id] != nil || view.preparing[$0.change.id] != nil }
        }
        if isOpen { throw StagingError(.busy, "a file of the batch is open") }
        var kept: [String] = []
        do throws(StagingError) {
            for change in members.map(\.change) {
                if let path = try keepContents(of: change.id, named: "discarded-\(change.subject)") {
                    kept.append(path)
                }
            }
            try commit(isVital: true) { core throws(TableError) in
                try core.cancelBatch(batch, members, reserve: self.reserveID)
            }
        } catch {
            for path in kept { try? Files.remove(path) }
            throw error
        }
        FaultPoint.reached("staging.cancel.journal")
        var delta = CatalogDelta()
        for row in members {
            delta.merge(discarded(row.change))
            if let name = row.before?.name { delta.added.append(.init(id: row.change.id, fileName: name)) }
        }
        onChange(delta)
        announceReady()
        return members.count
    }
}

extension Staging.Core {
    /// Gives up what a batch has changed, all or nothing.
    fileprivate mutating func cancelBatch(
        _ batch: Int64, _ members: [PendingTable.Row], reserve: PendingTable.Reserve
    ) throws(TableError) {
        let current = table.rows.values.filter { $0.change.batch == batch }
        let isSame = members.allSatisfy { row in table.rows[row.change.id]?.change.content == row.change.content }
        guard table.batch == batch, isSame, current.count == members.count else {
            throw .refused(StagingError(.busy, "the batch has just changed"))
        }
        try table.cancelBatch(reserve: reserve, at: .now)
    }
}
