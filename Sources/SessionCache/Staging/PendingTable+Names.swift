internal import Platform

/// What the user does: contents, removals, renames.
extension PendingTable {
    /// A session that the catalog knows and that no row speaks for.
    struct Remote: Equatable {
        var id: Int64
        var fileName: String
        var version: ObjectVersion
    }

    /// Hands out an id that no session has.
    typealias Reserve = () throws(StagingError) -> Int64

    // MARK: Contents

    /// A file that was just made: listed, and not in the journal until it is flushed.
    mutating func create(id: Int64, name: String, content: StagedContent, at now: Timestamp) throws(TableError) {
        var change = PendingChange(id: id, sequence: nextSequence(), name: nil, content: content, changed: now)
        change.batch = batch
        var row = Row(change: change, isDurable: false)
        if batch != nil { row.before = PendingChange(id: id, generation: 0, sequence: 0, name: nil) }
        row.shadows = try take(name, for: &row)
        row.change.state = .open
        put(row)
    }

    /// Takes contents that were flushed.
    /// - Parameters:
    ///   - base: what the file was when it was opened; used when it has no row yet.
    ///   - isOpen: whether it is still open for writing.
    /// - Returns: whether the file still has a name.
    mutating func write(
        id: Int64, base: Remote?, content: StagedContent, isOpen: Bool, at now: Timestamp
    ) throws(TableError) -> Bool {
        var row: Row
        if let known = rows[id] {
            guard known.change.name != nil else { return false }
            row = known
            keepBefore(&row)
            if let old = known.change.content, old.path != content.path { try attempt(old, in: &row) }
            keepUnfinished(&row)
        } else {
            // A file of this name that came meanwhile has taken the place of the one that was opened.
            guard let base, holder(of: base.fileName) == nil, holder(ofRemote: base.fileName) == nil else {
                return false
            }
            row = Row(
                change: PendingChange(
                    id: id, generation: 0, sequence: nextSequence(), name: base.fileName, remoteName: base.fileName,
                    remote: base.version))
            keepBefore(&row)
        }
        row.change.content = content
        makeDurable(&row)
        touch(&row, at: now)
        if isOpen, row.change.state != .conflict { row.change.state = .open }
        put(row)
        return true
    }

    /// The last writer has closed the file, which has these contents now.
    mutating func settle(id: Int64, content: StagedContent) {
        guard var row = rows[id], row.change.content?.path == content.path else { return }
        row.change.content = content
        if row.change.state == .open { row.change.state = restingState(row.change) }
        // A next process does the same with what it finds open.
        putUnrecorded(row)
    }

    /// A file that never came into the journal goes.
    mutating func abandon(id: Int64, reserve: Reserve, at now: Timestamp) throws(TableError) {
        guard let row = rows[id], !row.isDurable else { return }
        try remove(id: id, remote: nil, reserve: reserve, at: now)
    }

    /// Another time is to be shown.
    mutating func setModified(id: Int64, _ time: Timestamp) {
        guard var row = rows[id], row.change.content != nil else { return }
        row.change.content?.modified = time
        put(row)
    }

    // MARK: Names

    /// Removes the name of a file.
    mutating func remove(id: Int64, remote: Remote?, reserve: Reserve, at now: Timestamp) throws(TableError) {
        guard var row = rows[id] ?? remote.map(fresh) else { return }
        keepBefore(&row)
        try leave(&row, reserve: reserve)
        row.change.name = nil
        row.change.content = nil
        try finish(row, at: now)
    }

    /// Gives a file a new name. A file that has it goes.
    /// - Parameters:
    ///   - remote: the file, where it has no row.
    ///   - target: the catalog's session that has the new name, where no row speaks for it.
    ///   - content: contents for a session that will be local from now on and has none here.
    mutating func rename(
        id: Int64, remote: Remote?, to name: String, replacing target: Remote?, content: StagedContent?,
        reserve: Reserve, at now: Timestamp
    ) throws(TableError) {
        guard var row = rows[id] ?? remote.map(fresh) else { return }
        keepBefore(&row)
        let isLocal = !Staging.isPublished(name)
        if isLocal, row.change.remoteName != nil, row.unfinished != nil || isRename(row.change) && mayBeInBucket(row) {
            throw .refused(StagingError(.busy, "\(row.change.subject) is being renamed in the bucket"))
        }
        if !isLocal { try comeBy(&row, to: name, reserve: reserve) }
        try leave(&row, reserve: reserve)
        if isLocal {
            if row.change.content == nil { row.change.content = content }
            try partFromRemote(&row, reserve: reserve)
        }
        row.change.name = nil
        if row.change.state == .conflict { row.change.state = .ready }
        put(row)
        noteGone(try take(name, for: &row, target: target))
        try finish(row, at: now)
    }

    // MARK: Parts

    /// Makes that names can be exchanged, of which each row would have to leave its own for another one first. Contents
    /// that are here need no object of the bucket; others go by the name that they were given in between.
    private mutating func comeBy(
        _ row: inout Row, to name: String, reserve: Reserve
    ) throws(TableError) {
        keepUnfinished(&row)
        guard waitsForItself(row, taking: name) else { return }
        if row.unfinished == nil, runs[row.change.id] == nil {
            if row.change.content != nil {
                let attempted = row.change.attempted
                try partFromRemote(&row, reserve: reserve)
                // Some may have been sent under the name that it has.
                row.change.attempted = attempted
            } else if isRename(row.change), let between = row.change.name, holder(ofRemote: between) == nil,
                holder(ofUnfinished: between) == nil
            {
                row.unfinished = row.change
            }
        }
        guard waitsForItself(row, taking: name) else { return }
        throw .refused(StagingError(.busy, "\(name) is still to be renamed in the bucket"))
    }

    /// A row for a session that has none, changing nothing.
    private func fresh(_ remote: Remote) -> Row {
        Row(
            change: PendingChange(
                id: remote.id, generation: 0, sequence: 0, name: remote.fileName, remoteName: remote.fileName,
                remote: remote.version))
    }

    private func isRename(_ change: PendingChange) -> Bool {
        guard let name = change.name, let remoteName = change.remoteName else { return false }
        return !name.hasSameBytes(as: remoteName)
    }

    /// A rename that may have begun is finished before what is wanted now. It accounts for what it replaces.
    func keepUnfinished(_ row: inout Row) {
        guard row.unfinished == nil else { return }
        defer {
            if let unfinished = row.unfinished, unfinished.name.hasSameBytes(as: row.change.name) {
                row.change.replaces = nil
                row.change.replacedID = nil
            }
        }
        if let run = runs[row.change.id] {
            guard isRename(run) else { return }
            row.unfinished = run
            // An upload was begun meanwhile.
            if run.generation == row.change.generation { row.unfinished?.multipart = row.change.multipart }
        } else if row.maybeSent, isRename(row.change) {
            row.unfinished = row.change
        }
    }

    /// Notes contents that are superseded and may be in the bucket.
    func attempt(_ content: StagedContent, in row: inout Row) throws(TableError) {
        guard mayBeInBucket(row), let mark = try fingerprint(content), !row.change.attempted.contains(mark) else {
            return
        }
        row.change.attempted.append(mark)
    }

    /// The file gives up its name. What may be in the bucket under it is accounted for from now on: by this row, or by
    /// a removal of its own.
    private mutating func leave(_ row: inout Row, reserve: Reserve) throws(TableError) {
        guard let name = row.change.name else { return }
        if let content = row.change.content { try attempt(content, in: &row) }
        keepUnfinished(&row)
        let change = row.change
        // Where another row still accounts for the object of this name, nothing of this one can have been sent there.
        let isHeld = [holder(ofRemote: name), holder(ofUnfinished: name)].contains { other in
            other.map { $0.change.id != change.id } ?? false
        }
        if Staging.isPublished(name), !isHeld, !change.remoteName.hasSameBytes(as: name) {
            if change.remoteName == nil {
                if change.replaces != nil || mayBeInBucket(row) || !change.attempted.isEmpty {
                    row.change.remoteName = name
                    row.change.remote = change.replaces
                }
            } else if change.replaces != nil || !change.attempted.isEmpty,
                !(row.unfinished?.name.hasSameBytes(as: name) ?? false)
            {
                // The row needs its remote name itself. A rename to this very name that is finished first takes the
                // place of what it replaces.
                let id: Int64
                if let known = change.replacedID, rows[known] == nil { id = known } else { id = try reserved(reserve) }
                put(removal(id: id, of: name, change.replaces, attempted: change.attempted))
            }
        }
        row.change.replaces = nil
        row.change.replacedID = nil
        row.maybeSent = false
    }

    func reserved(_ reserve: Reserve) throws(TableError) -> Int64 {
        do throws(StagingError) { return try reserve() } catch { throw .refused(error) }
    }

    /// The bucket's part of a file that becomes local is removed there by a row of its own.
    private mutating func partFromRemote(_ row: inout Row, reserve: Reserve) throws(TableError) {
        guard let name = row.change.remoteName else { return }
        let id = try reserved(reserve)
        let other = removal(id: id, of: name, row.change.remote, attempted: row.change.attempted)
        row.change.remoteName = nil
        row.change.remote = nil
        row.change.attempted = []
        put(row)
        put(other)
    }

    /// A removal of an object.
    mutating func removal(id: Int64, of name: String, _ version: ObjectVersion?, attempted: [ContentFingerprint]) -> Row
    {
        // Its id may be of a row that is being sent still: the end of that must not be taken for this one's.
        let generation = (runs[id]?.generation ?? 0) + 1
        var change = PendingChange(
            id: id, generation: generation, sequence: nextSequence(), name: nil, remoteName: name, remote: version,
            attempted: attempted)
        change.batch = batch
        change.state = restingState(change)
        return Row(change: change)
    }

    /// Claims a name. Whoever had it goes, and what the bucket holds under it is replaced.
    /// - Returns: rows that have gone.
    private mutating func take(_ name: String, for row: inout Row, target: Remote? = nil) throws(TableError) -> [Int64]
    {
        var gone: [Int64] = []
        let isPublished = Staging.isPublished(name)
        if let other = holder(of: name), other.change.id != row.change.id {
            gone += try displace(other, from: name, for: &row)
        } else if let target {
            row.change.replaces = target.version
            row.change.replacedID = target.id
        } else if let other = holder(ofRemote: name), other.change.id != row.change.id, other.change.name == nil,
            other.unfinished == nil, !other.isKept, other.change.batch == batch
        {
            row.change.replaces = other.change.remote
            if mayBeInBucket(other) { row.change.replaces?.mayBeGone = true }
            row.change.replacedID = other.change.id
            row.change.attempted += other.change.attempted
            drop(other.change.id)
            gone.append(other.change.id)
        } else if row.change.remoteName.hasSameBytes(as: name), row.change.remote == nil, row.unfinished == nil {
            // It comes back to a name under which it may have arrived. A rename that is finished first needs it there.
            row.change.remoteName = nil
        }
        if !isPublished {
            row.change.replaces = nil
            row.change.replacedID = nil
        }
        row.change.name = name
        return gone
    }

    /// A file loses its name to another one, which accounts from now on for what the loser was to replace there.
    private mutating func displace(_ loser: Row, from name: String, for row: inout Row) throws(TableError) -> [Int64] {
        var loser = loser
        keepBefore(&loser)
        if let content = loser.change.content { try attempt(content, in: &loser) }
        keepUnfinished(&loser)
        let change = loser.change
        let isHome = change.remoteName.hasSameBytes(as: name)
        // Its object under another name still has to go, and what was begun has to be finished first.
        let stays = change.remoteName != nil && !isHome || loser.unfinished != nil || loser.isKept
        // A half-done rename takes its object away from here, or brings it: the winner waits for it then.
        let isAccountedFor = stays && (isHome || loser.unfinished?.name.hasSameBytes(as: name) ?? false)
        if Staging.isPublished(name) {
            if !isAccountedFor {
                row.change.replaces = isHome ? change.remote : change.replaces
                row.change.replacedID = isHome ? change.id : change.replacedID
            }
            row.change.attempted += change.attempted.filter { !row.change.attempted.contains($0) }
        }
        guard stays else {
            drop(change.id)
            return [change.id] + loser.shadows
        }
        loser.change.name = nil
        loser.change.content = nil
        loser.change.replaces = nil
        loser.change.replacedID = nil
        loser.maybeSent = false
        touch(&loser, at: loser.change.changed)
        put(loser)
        return []
    }

    /// Puts a row after its name or contents changed, or drops it when nothing is left to do.
    private mutating func finish(_ changed: Row, at now: Timestamp) throws(TableError) {
        var row = changed
        let change = row.change
        let isSame = change.name.hasSameBytes(as: change.remoteName)
        if change.content == nil, isSame, row.unfinished == nil, !row.isKept, runs[change.id] == nil {
            // The bucket has what is wanted.
            noteGone(row.shadows)
            drop(change.id)
            return
        }
        if change.sequence == 0 { row.change.sequence = nextSequence() }
        if change.name == nil { makeDurable(&row) }
        touch(&row, at: now)
        put(row)
    }

    /// The row comes into the journal, and those whose place it took leave it.
    private mutating func makeDurable(_ row: inout Row) {
        row.isDurable = true
        noteGone(row.shadows)
        row.shadows = []
    }

    /// Something else is wanted of a row.
    func touch(_ row: inout Row, at now: Timestamp) {
        row.change.generation += 1
        row.change.changed = now
        row.change.reason = ""
        row.change.multipart = nil
        if row.change.state != .conflict { row.change.batch = row.change.batch ?? batch }
        row.change.state = row.change.name == nil && row.change.state == .conflict ? .ready : row.change.state
        // A program goes on writing into contents that are open, whatever they are called: they are not sent yet.
        let isOpen = row.change.state == .open && row.change.name != nil && row.change.content != nil
        if !isOpen { row.change.state = restingState(row.change) }
    }
}
