internal import Platform

/// What the publisher does: it begins changes, and tells how they ended.
extension PendingTable {
    /// Changes that may be sent now, oldest first.
    mutating func sendable(limit: Int) -> [PendingChange] {
        var found: [PendingChange] = []
        for id in inOrder() {
            if found.count >= limit { break }
            if let row = rows[id], mayBegin(row) { found.append(next(row)) }
        }
        return found
    }

    private func mayBegin(_ row: Row) -> Bool {
        row.change.state == .ready && runs[row.change.id] == nil && !isBlocked(row)
    }

    /// Begins to send a row's next change.
    mutating func begin(_ id: Int64) -> PendingChange? {
        guard var row = rows[id], mayBegin(row) else { return nil }
        let change = next(row)
        if !row.maybeSent, row.unfinished == nil {
            row.maybeSent = true
            putUnrecorded(row)
        }
        setRun(id, change)
        return change
    }

    /// What an earlier process left may have been sent by it, unless it had to wait.
    mutating func assumeSent() {
        for row in rows.values where !isBlocked(row) {
            // What a batch holds back was never begun.
            guard ![.local, .conflict, .held].contains(row.change.state) else { continue }
            var row = row
            row.maybeSent = true
            put(row)
        }
        _ = takeSteps()
    }

    /// Whether a change is the one that is being sent.
    private func isRunning(_ change: PendingChange) -> Bool { runs[change.id]?.generation == change.generation }

    // MARK: Ends

    /// A change is in the bucket as a whole.
    /// - Parameters:
    ///   - version: what the bucket holds under its name; nil after a removal.
    /// - Returns: whether it was the last that was wanted of this session.
    mutating func sent(_ change: PendingChange, _ version: ObjectVersion?, reserve: Reserve) throws(TableError) -> Bool
    {
        if isRunning(change) { setRun(change.id, nil) }
        if let old = change.remoteName, !change.name.hasSameBytes(as: old) { noteAbsent(old, id: change.id) }
        if var row = rows[change.id] {
            if row.change.generation == change.generation {
                drop(change.id)
                if let name = change.name { noteAlone(name, except: change.id) }
                return true
            }
            row.unfinished = nil
            row.maybeSent = false
            if let name = change.name { row.before?.remoteName = name }
            guard answers(row.change, for: change) else {
                putOrDrop(row)
                if let name = change.name, let version { try assign(name, version, id: change.id, reserve: reserve) }
                return false
            }
            // What was tried under another name that is wanted now may be there still.
            if row.change.name == nil || row.change.name.hasSameBytes(as: change.name) { row.change.attempted = [] }
            row.change.remoteName = nil
            row.change.remote = nil
            if let name = change.name, let version { try join(&row, to: name, version) } else { putOrDrop(row) }
        } else if let name = change.name, let version {
            try assign(name, version, id: change.id, reserve: reserve)
        }
        return false
    }

    /// Whether the object that a change was about is that of the row still: it may have been parted from it meanwhile,
    /// and even answer for another one.
    private func answers(_ current: PendingChange, for change: PendingChange) -> Bool {
        guard let home = current.remoteName else {
            return current.name.hasSameBytes(as: change.name) && change.name.flatMap(holder(ofRemote:)) == nil
        }
        return change.name.hasSameBytes(as: home) || change.remoteName.hasSameBytes(as: home)
    }

    /// A row whose wanted state is another by now learns what the bucket holds.
    private mutating func join(_ row: inout Row, to name: String, _ version: ObjectVersion) throws(TableError) {
        // A removal of what was believed to be there is this row's affair now.
        dropRemoval(of: name, except: row.change.id)
        if row.change.name.hasSameBytes(as: name) {
            row.change.replaces = nil
            row.change.replacedID = nil
        } else if var claimant = holder(of: name) {
            // The claimant waits for this row to leave the name, or takes its place when this row has no other.
            // What is not in the journal yet cannot speak for the object.
            let isGoing =
                row.change.name == nil && !row.isKept && claimant.isDurable
                && claimant.change.batch == row.change.batch
            claimant.change.replaces = isGoing ? version : nil
            claimant.change.replacedID = isGoing ? row.change.id : nil
            if !isGoing { dropShadows(of: &claimant) }
            put(claimant)
            if isGoing {
                drop(row.change.id)
                return
            }
        }
        row.change.remoteName = name
        row.change.remote = version
        putOrDrop(row)
    }

    /// An object of ours belongs to no row: whoever speaks for its name learns its version, else it is removed.
    private mutating func assign(
        _ name: String, _ version: ObjectVersion, id: Int64, reserve: Reserve
    ) throws(TableError) {
        if var other = holder(ofRemote: name) {
            other.change.remote = version
            put(other)
        } else if var other = holder(ofUnfinished: name) {
            other.unfinished?.replaces = version
            other.unfinished?.replacedID = id
            put(other)
        } else if var claimant = holder(of: name), claimant.isDurable {
            claimant.change.replaces = version
            claimant.change.replacedID = id
            put(claimant)
        } else {
            if var claimant = holder(of: name) {
                claimant.change.replaces = nil
                claimant.change.replacedID = nil
                dropShadows(of: &claimant)
                put(claimant)
            }
            put(removal(id: try reserved(reserve), of: name, version, attempted: []))
        }
    }

    /// A row of the journal accounts for the name now, and not those any more that its claimant stands for.
    private mutating func dropShadows(of claimant: inout Row) {
        noteGone(claimant.shadows)
        claimant.shadows = []
    }

    /// The bucket holds nothing of ours under a name any more.
    private mutating func noteAbsent(_ name: String, id: Int64) {
        // It may stand for a chain of files that came and went meanwhile, so whom it replaces does not matter.
        if var claimant = holder(of: name), claimant.change.id != id, claimant.change.replaces != nil {
            claimant.change.replaces = nil
            claimant.change.replacedID = nil
            put(claimant)
        }
        if var other = holder(ofUnfinished: name), other.unfinished?.replaces != nil {
            other.unfinished?.replaces = nil
            other.unfinished?.replacedID = nil
            put(other)
        }
        if var other = holder(ofRemote: name), other.change.id != id {
            other.change.remoteName = nil
            other.change.remote = nil
            putOrDrop(other)
        }
    }

    /// Nobody else speaks for a name that has just been written.
    private mutating func noteAlone(_ name: String, except id: Int64) {
        dropRemoval(of: name, except: id)
    }

    /// Nothing has to be removed under a name any more.
    private mutating func dropRemoval(of name: String, except id: Int64) {
        guard var other = holder(ofRemote: name), other.change.id != id, other.change.name == nil else { return }
        guard other.isKept else { return drop(other.change.id) }
        other.change.remoteName = nil
        other.change.remote = nil
        other.change.attempted = []
        put(other)
    }

    mutating func putOrDrop(_ row: Row) {
        let change = row.change
        let isSame = change.name.hasSameBytes(as: change.remoteName)
        if isSame, change.content == nil, row.unfinished == nil, !row.isKept, runs[change.id] == nil {
            drop(change.id)
        } else {
            put(row)
        }
    }

    /// A change was not sent, for a reason that passes.
    mutating func postponed(_ change: PendingChange, reason: String) {
        guard isRunning(change) else { return }
        setRun(change.id, nil)
        guard var row = rows[change.id] else { return }
        if next(row).generation == change.generation {
            row.change.reason = reason
            putUnrecorded(row)
        }
    }

    /// A change is not sent, for good.
    mutating func rejected(_ change: PendingChange, _ state: PendingChange.State, reason: String) throws(TableError) {
        guard isRunning(change) else { return }
        setRun(change.id, nil)
        guard var row = rows[change.id] else { return }
        if row.change.generation == change.generation {
            row.change.state = state
            row.change.reason = reason
            put(row)
        } else {
            try giveUpUnfinished(&row, change)
        }
    }

    /// The store refuses a removal or a rename: the file is back under its old name.
    /// - Returns: false where that name has been taken meanwhile; the change has failed then.
    mutating func undone(_ change: PendingChange, reason: String) throws(TableError) -> Bool {
        if isRunning(change) { setRun(change.id, nil) }
        guard var row = rows[change.id] else { return false }
        guard row.change.generation == change.generation else {
            try giveUpUnfinished(&row, change)
            return false
        }
        guard let old = change.remoteName, holder(of: old).map({ $0.change.id == change.id }) ?? true else {
            row.change.state = .failed
            row.change.reason = reason
            put(row)
            return false
        }
        revertName(&row, to: old)
        row.change.reason = reason
        putOrDrop(row)
        return true
    }

    private func revertName(_ row: inout Row, to old: String) {
        row.change.name = old
        row.change.replaces = nil
        row.change.replacedID = nil
        row.maybeSent = false
        row.change.generation += 1
        row.change.state = restingState(row.change)
    }

    /// A rename that was to be finished first is refused; the rest of the row goes on without it.
    private mutating func giveUpUnfinished(_ row: inout Row, _ change: PendingChange) throws(TableError) {
        guard row.unfinished?.generation == change.generation else { return }
        row.unfinished = nil
        failIfStuck(&row)
        putOrDrop(row)
        guard let name = change.name, let replaced = change.replaces, let id = change.replacedID else { return }
        if var claimant = holder(of: name) {
            claimant.change.replaces = replaced
            claimant.change.replacedID = id
            put(claimant)
        } else if rows[id] == nil {
            put(removal(id: id, of: name, replaced, attempted: []))
        }
    }

    /// Names were to be exchanged by way of one that the bucket does not grant: another name has to be found.
    func failIfStuck(_ row: inout Row) {
        guard let name = row.change.name, waitsForItself(row, taking: name) else { return }
        row.change.state = .failed
        row.change.reason = "its name and that of another file cannot be exchanged"
    }

    // MARK: The user

    /// Gives up a change: what the bucket holds is wanted.
    /// - Throws: `.busy` while it is being sent, or when its old name has been taken.
    mutating func discard(_ id: Int64, reserve: Reserve, at now: Timestamp) throws(TableError) {
        guard var row = rows[id] else { return }
        guard runs[id] == nil, row.unfinished == nil else {
            throw .refused(StagingError(.busy, "\(row.change.subject) is being sent"))
        }
        guard let old = row.change.remoteName else {
            // What may have arrived has to go again.
            if mayBeInBucket(row) || !row.change.attempted.isEmpty, row.change.replaces == nil {
                return try remove(id: id, remote: nil, reserve: reserve, at: now)
            }
            return drop(id)
        }
        if let holder = holder(of: old), holder.change.id != id {
            throw .refused(StagingError(.busy, "\(old) has been taken by another file"))
        }
        row.change.content = nil
        if row.change.remote == nil {
            return row.change.name == nil ? () : try remove(id: id, remote: nil, reserve: reserve, at: now)
        }
        drop(id)
    }

    /// Changes that failed are tried again.
    mutating func retry(refused: Bool) -> Int {
        var count = 0
        for row in rows.values where row.change.state == .failed || refused && row.change.state == .refused {
            var row = row
            row.change.state = restingState(row.change)
            row.change.reason = ""
            put(row)
            count += 1
        }
        return count
    }
}
