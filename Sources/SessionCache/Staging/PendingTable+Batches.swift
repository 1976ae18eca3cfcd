internal import Platform

/// Batches: changes that are held back until they are committed, and can be given up until then.
extension PendingTable {
    /// Keeps what was wanted of a row before the open batch changed it, for it may be cancelled.
    func keepBefore(_ row: inout Row) {
        guard batch != nil, row.change.batch == nil, row.before == nil, row.isDurable, row.change.state != .conflict
        else { return }
        row.before = row.change
        row.before?.multipart = nil
    }

    /// Lets the changes of the batch go.
    mutating func commitBatch() -> Int {
        guard let batch else { return 0 }
        var count = 0
        for row in rows.values where row.change.batch == batch {
            if row.change.name != nil || row.change.remoteName != nil { count += 1 }
            letGo(row)
        }
        setBatch(nil)
        return count
    }

    /// A row that left the journal for a file which was never flushed has not heard of the end of its batch.
    mutating func endOldBatches() {
        for row in rows.values where row.change.batch != nil && row.change.batch != batch { letGo(row) }
    }

    private mutating func letGo(_ held: Row) {
        var row = held
        row.change.batch = nil
        row.before = nil
        if row.change.state == .held { row.change.state = restingState(row.change) }
        putOrDrop(row)
    }

    /// Gives up what the batch has changed. What was wanted before, and not sent, is wanted again.
    /// - Throws: `.busy` where a name has been taken by a file that is none of the batch's.
    mutating func cancelBatch(reserve: Reserve, at now: Timestamp) throws(TableError) {
        let members = rows.values.filter { $0.change.batch == batch }.sorted { $0.change.sequence > $1.change.sequence }
        let names = members.flatMap { [$0.before?.name, $0.before?.remoteName] }
        let wanted = Set(names.compactMap { $0.map(NameKey.init) })
        // A file may have the name that another one has to go back to, so what cannot be given up yet comes again.
        var left = members.map(\.change.id)
        while !left.isEmpty {
            var refused: [Int64] = []
            var reason: TableError?
            for id in left {
                do throws(TableError) {
                    try allOrNothing { table throws(TableError) in
                        try table.giveBack(id, wanted, reserve: reserve, at: now)
                    }
                } catch {
                    if case .needsFingerprint = error { throw error }
                    reason = error
                    refused.append(id)
                }
            }
            if let reason, refused.count == left.count { throw reason }
            left = refused
        }
        // What may be in the bucket already is removed there, held back by nothing.
        _ = commitBatch()
    }

    /// - Parameter wanted: the names for which rows of the batch answered before.
    private mutating func giveBack(
        _ id: Int64, _ wanted: Set<NameKey>, reserve: Reserve, at now: Timestamp
    ) throws(TableError) {
        guard let row = rows[id], row.change.batch == batch else { return }
        if let before = row.before { return try restore(row, before, wanted, reserve: reserve, at: now) }
        // Who had the name before takes over what has to be removed there.
        let isWanted = row.change.remoteName.map { wanted.contains(NameKey($0)) } ?? false
        if row.change.name != nil || !isWanted { try discard(id, reserve: reserve, at: now) }
    }

    private mutating func restore(
        _ changed: Row, _ before: PendingChange, _ wanted: Set<NameKey>, reserve: Reserve, at now: Timestamp
    ) throws(TableError) {
        var row = changed
        row.before = nil
        try goHome(&row, before, wanted, reserve: reserve)
        // Written through a descriptor from before the batch, they have no earlier version.
        let isSame = row.change.content?.path == before.content?.path
        let isElsewhere = before.content == nil && !row.change.remoteName.hasSameBytes(as: before.remoteName)
        if !isSame, !isElsewhere {
            if let content = row.change.content { try attempt(content, in: &row) }
            row.change.content = before.content
        }
        keepUnfinished(&row)
        touch(&row, at: now)
        guard !row.change.name.hasSameBytes(as: before.name) else { return putOrDrop(row) }
        if let name = row.change.name, !wanted.contains(NameKey(name)) {
            // Nothing was sent: the catalog answers again for what it was to replace.
            row.change.name = nil
            row.change.replaces = nil
            row.change.replacedID = nil
        }
        put(row)
        guard let name = before.name else { return try remove(id: before.id, remote: nil, reserve: reserve, at: now) }
        try goBack(before.id, to: name, reserve: reserve, at: now)
    }

    /// The row answers again for the object for which it did before the batch.
    private mutating func goHome(
        _ row: inout Row, _ before: PendingChange, _ wanted: Set<NameKey>, reserve: Reserve
    ) throws(TableError) {
        let home = before.remoteName
        guard !row.change.remoteName.hasSameBytes(as: home) else { return }
        if let other = row.change.remoteName {
            row.change.remoteName = nil
            if wanted.contains(NameKey(other)) {
                put(row)
                let id = try reserved(reserve)
                put(removal(id: id, of: other, row.change.remote, attempted: row.change.attempted))
            }
            row.change.remote = nil
        }
        guard let home else { return }
        if let other = holder(ofRemote: home), other.change.name == nil, other.before == nil,
            other.change.batch == batch
        {
            row.change.remoteName = home
            row.change.remote = other.change.remote
            row.change.attempted += other.change.attempted.filter { !row.change.attempted.contains($0) }
            drop(other.change.id)
        } else if before.content == nil,
            row.change.content == nil || holder(of: home) != nil || holder(ofRemote: home) != nil
        {
            // Who answers for it is yet to be given back.
            throw .refused(StagingError(.busy, "\(home) has been taken by another file"))
        }
    }

    private mutating func goBack(
        _ id: Int64, to name: String, reserve: Reserve, at now: Timestamp
    ) throws(TableError) {
        if let other = holder(of: name), other.change.id != id {
            throw .refused(StagingError(.busy, "\(name) has been taken by another file"))
        }
        try rename(id: id, remote: nil, to: name, replacing: nil, content: nil, reserve: reserve, at: now)
    }
}
