internal import Platform

/// What becomes of a change that found something else in the bucket than it expected.
extension PendingTable {
    /// The row that a conflict is about; nil when something else is wanted by now, which meets its own conflict.
    func conflicting(_ change: PendingChange) -> Row? {
        guard let row = rows[change.id] else { return nil }
        if row.change.generation == change.generation { return row }
        let hasContents = row.change.content != nil && change.content != nil
        return hasContents && row.unfinished == nil && row.change.name.hasSameBytes(as: change.name) ? row : nil
    }

    /// The change is not being sent any more. What was to be finished first is given up.
    mutating func end(_ change: PendingChange) {
        if runs[change.id]?.generation == change.generation { setRun(change.id, nil) }
        if var row = rows[change.id], row.unfinished?.generation == change.generation {
            row.unfinished = nil
            failIfStuck(&row)
            put(row)
        }
    }

    /// A change is about to be given up or set aside. What earlier tries may have left under another name than that of the
    /// conflict is removed there: nobody else answers for it.
    mutating func leaveAttempts(of id: Int64, except name: String, reserve: Reserve) throws(TableError) {
        guard var row = rows[id], let home = row.change.remoteName, !home.hasSameBytes(as: name),
            row.change.remote == nil || !row.change.attempted.isEmpty
        else { return }
        var other = removal(id: try reserved(reserve), of: home, nil, attempted: row.change.attempted)
        other.change.batch = nil
        other.change.state = .ready
        (row.change.remoteName, row.change.remote, row.change.attempted) = (nil, nil, [])
        put(row)
        put(other)
    }

    /// Contents stay under a name of their own until the user decides; the bucket's version has its name.
    mutating func setAside(_ id: Int64, as localName: String, conflict: Int64) {
        guard var row = rows[id] else { return }
        detach(&row)
        row.change.name = localName
        row.change.state = .conflict
        row.change.conflict = conflict
        row.change.batch = nil
        row.change.reason = ""
        row.change.generation += 1
        put(row)
    }

    /// Set-aside contents are wanted under a name now.
    mutating func release(_ id: Int64, as name: String, replacing version: ObjectVersion?, of replaced: Int64?) {
        guard var row = rows[id] else { return }
        detach(&row)
        row.change.name = name
        row.change.replaces = version
        row.change.replacedID = version == nil ? nil : replaced
        row.change.state = .ready
        row.change.state = restingState(row.change)
        row.change.generation += 1
        put(row)
    }

    private func detach(_ row: inout Row) {
        row.change.remoteName = nil
        row.change.remote = nil
        row.change.replaces = nil
        row.change.replacedID = nil
        row.change.attempted = []
        row.change.multipart = nil
        row.unfinished = nil
        row.before = nil
        row.maybeSent = false
    }

    /// The change goes on, from what was found in the bucket.
    /// - Parameters:
    ///   - atTarget: it was found under the new name of a rename.
    ///   - replaced: the catalog's id of what was found.
    mutating func rebase(_ id: Int64, on version: ObjectVersion?, atTarget: Bool, replaced: Int64?) {
        guard var row = rows[id] else { return }
        if atTarget || row.change.remoteName == nil {
            row.change.replaces = version
            row.change.replacedID = version == nil ? nil : replaced
        } else {
            row.change.remote = version
            if version == nil, row.change.name != nil { row.change.remoteName = nil }
        }
        put(row)
    }

    /// A removal or a rename that the user has decided for again.
    /// - Parameters:
    ///   - remote: the session that it is about, in the version that the bucket holds.
    ///   - target: what has the new name now.
    mutating func renew(
        _ remote: Remote, to wanted: String?, replacing target: Remote?, conflict: Int64, reserve: Reserve,
        at now: Timestamp
    ) throws(TableError) {
        if let wanted {
            try rename(
                id: remote.id, remote: remote, to: wanted, replacing: target, content: nil, reserve: reserve, at: now)
        } else {
            try remove(id: remote.id, remote: remote, reserve: reserve, at: now)
        }
        guard var row = rows[remote.id] else { return }
        row.change.conflict = conflict
        put(row)
    }
}
