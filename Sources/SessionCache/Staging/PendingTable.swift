internal import Catalog
internal import Platform

/// Why a step of the table cannot be taken.
enum TableError: Error {
    case refused(StagingError)
    /// The fingerprint of these contents has to be known first: they may be in the bucket already.
    case needsFingerprint(path: String)
}

/// All pending changes, and the rules by which they change. No clock, disk or network: contents and ids are handed in.
///
/// For whatever the bucket holds, or may hold, under a name exactly one answers:
/// - a row whose object it is (``holder(ofRemote:)``): it moves, replaces or removes it;
/// - else a row with a half-done rename to the name (``holder(ofUnfinished:)``), which is finished first: it expects
///   there what that rename replaces, and has its own object there afterwards;
/// - else the row that wants the name (``holder(of:)``), which expects `replaces` there, or contents that were tried;
/// - else the catalog.
///
/// Whoever wants a name for which another row answers waits until that one has left it, and replaces nothing there.
/// Whoever takes a name over, or gives it up, takes or hands on what has to be answered for. What is in the catalog
/// under a name that a row speaks for is not shown. Nobody waits for himself (``waitsForItself(_:taking:)``).
///
/// Steps are recorded, so that they can be taken back when the journal cannot be written.
struct PendingTable {
    /// A change and what only the table has to know of it.
    struct Row: Equatable {
        /// What is wanted.
        var change: PendingChange
        /// A rename that may have been half done when something else was wanted. It is finished first.
        var unfinished: PendingChange?
        /// What was wanted before the open batch, without a name for a file that it has made. It is wanted again when the
        /// batch is cancelled.
        var before: PendingChange?
        /// The change as it is wanted may have reached the bucket: an upload under its name, or its removal.
        var maybeSent = false
        /// Whether it is in the journal: a file that was never flushed is not.
        var isDurable = true
        /// Whether it stays until the batch ends, as nothing else knows what had not been sent before.
        var isKept: Bool { before.map { $0.name != nil && $0.generation > 0 } ?? false }
        /// Rows whose place this one took before it was durable. They leave the journal when it comes in.
        var shadows: [Int64] = []
    }

    private(set) var rows = RowMap()
    /// The changes that are being sent, as they were when they began.
    private(set) var runs: [Int64: PendingChange] = [:]
    /// Those that have a name, wanted or in the bucket: one, as a rule.
    private var runsByName: [NameKey: [Int64]] = [:]
    /// All conflicts, decided ones too.
    private(set) var conflicts: [Int64: ConflictRecord] = [:]
    /// Uploads in parts that nobody goes on with, by their ids.
    private(set) var abandoned: [String: Abandoned] = [:]
    private(set) var counts = Staging.Counts()
    /// Rows that have gone from here, and not from the journal, as who took their place is not in it yet.
    private(set) var shadowed: Set<Int64> = []
    /// How often each name is spoken for, by its mark.
    private var marks: [UInt64: Int] = [:]
    private(set) var lastSequence: Int64 = 0
    /// The open batch.
    private(set) var batch: Int64?
    /// Of contents that were hashed; nil where they could not be read.
    var fingerprints: [String: ContentFingerprint?] = [:]

    /// The rows in the order of their sequence, and some that have gone.
    private var line: [(sequence: Int64, id: Int64)] = []
    private var isLineSorted = true

    private var byName: [NameKey: Int64] = [:]
    private var byRemote: [NameKey: Int64] = [:]
    private var byUnfinished: [NameKey: Int64] = [:]

    // MARK: Recording

    enum Step {
        case row(Int64, Row?)
        case run(Int64, PendingChange?)
        /// As `row`, where the journal need not know.
        case unrecorded(Int64, Row?)
        case batch(Int64?)
        case conflict(Int64, ConflictRecord?)
        case abandoned(String, Abandoned?)
    }

    /// What the steps since ``takeSteps()`` replaced.
    private var steps: [Step] = []

    /// What was replaced, oldest first; from now on it is somebody else's to take back.
    mutating func takeSteps() -> [Step] {
        defer { steps = [] }
        return steps
    }

    /// Takes steps back, the youngest first.
    mutating func revert(_ taken: [Step]) {
        for step in taken.reversed() {
            switch step {
            case .row(let id, let row), .unrecorded(let id, let row): replace(id, row)
            case .conflict(let id, let record): replaceConflict(id, record)
            case .run(let id, let change): replaceRun(id, change)
            case .batch(let old): batch = old
            case .abandoned(let uploadID, let upload): abandoned[uploadID] = upload
            }
        }
    }

    /// Takes back what was not handed out.
    mutating func revertSteps() { revert(takeSteps()) }

    /// Does something as a whole: when it throws, nothing of it has happened.
    mutating func allOrNothing(
        _ body: (inout PendingTable) throws(TableError) -> Void
    ) throws(TableError) {
        let mark = steps.count
        do throws(TableError) { try body(&self) } catch {
            let taken = Array(steps[mark...])
            steps.removeLast(taken.count)
            revert(taken)
            throw error
        }
    }

    mutating func put(_ row: Row) {
        giveUpUploads(of: rows[row.change.id], for: row)
        steps.append(.row(row.change.id, rows[row.change.id]))
        replace(row.change.id, row)
    }

    /// Puts what is the same for the next process, which takes it up anew.
    mutating func putUnrecorded(_ row: Row) {
        steps.append(.unrecorded(row.change.id, rows[row.change.id]))
        replace(row.change.id, row)
    }

    mutating func put(_ record: ConflictRecord) {
        steps.append(.conflict(record.id, conflicts[record.id]))
        replaceConflict(record.id, record)
    }

    /// Shows a row as it is elsewhere.
    mutating func show(_ id: Int64, _ row: Row?) { replace(id, row) }

    mutating func drop(_ id: Int64) {
        guard let old = rows[id] else { return }
        giveUpUploads(of: old, for: nil)
        steps.append(.row(id, old))
        replace(id, nil)
    }

    /// Rows are gone already, and have to leave the journal now.
    mutating func noteGone(_ ids: [Int64]) {
        for id in ids { steps.append(.row(id, rows[id])) }
    }

    mutating func setRun(_ id: Int64, _ change: PendingChange?) {
        steps.append(.run(id, runs[id]))
        replaceRun(id, change)
    }

    mutating func setAbandoned(_ uploadID: String, _ upload: Abandoned?) {
        guard abandoned[uploadID] != upload else { return }
        steps.append(.abandoned(uploadID, abandoned[uploadID]))
        abandoned[uploadID] = upload
    }

    mutating func setBatch(_ new: Int64?) {
        steps.append(.batch(batch))
        batch = new
    }

    /// The number of a new change.
    mutating func nextSequence() -> Int64 {
        lastSequence += 1
        return lastSequence
    }

    private mutating func replace(_ id: Int64, _ row: Row?) {
        let oldSequence = rows[id]?.change.sequence
        if let old = rows[id] {
            shadowed.subtract(old.shadows)
            unlist(\.byName, old.change.name, id)
            unlist(\.byRemote, old.change.remoteName, id)
            unlist(\.byUnfinished, old.unfinished?.name, id)
            counts.add(old.change, -1)
        }
        rows[id] = row
        guard let row else { return }
        shadowed.formUnion(row.shadows)
        list(\.byName, row.change.name, id)
        list(\.byRemote, row.change.remoteName, id)
        list(\.byUnfinished, row.unfinished?.name, id)
        counts.add(row.change, 1)
        if rows[id]?.change.sequence != oldSequence { enqueue(row.change) }
        lastSequence = max(lastSequence, row.change.sequence)
    }

    private mutating func replaceRun(_ id: Int64, _ change: PendingChange?) {
        for key in Self.names(of: runs[id]) {
            runsByName[key]?.removeAll { $0 == id }
            if runsByName[key]?.isEmpty ?? false { runsByName[key] = nil }
        }
        runs[id] = change
        for key in Self.names(of: change) { runsByName[key, default: []].append(id) }
    }

    /// The names that a change has, each once.
    private static func names(of change: PendingChange?) -> Set<NameKey> {
        Set([change?.name, change?.remoteName].compactMap { $0.map(NameKey.init) })
    }

    private mutating func replaceConflict(_ id: Int64, _ record: ConflictRecord?) {
        if let old = conflicts[id], old.decided == nil { counts.conflicts -= 1 }
        conflicts[id] = record
        if let record, record.decided == nil { counts.conflicts += 1 }
    }

    private mutating func list(_ index: WritableKeyPath<PendingTable, [NameKey: Int64]>, _ name: String?, _ id: Int64) {
        guard let name else { return }
        let key = NameKey(name)
        self[keyPath: index][key] = id
        marks[key.mark, default: 0] += 1
    }

    private mutating func unlist(
        _ index: WritableKeyPath<PendingTable, [NameKey: Int64]>, _ name: String?, _ id: Int64
    ) {
        guard let name else { return }
        let key = NameKey(name)
        if self[keyPath: index][key] == id { self[keyPath: index][key] = nil }
        guard let count = marks[key.mark] else { return }
        marks[key.mark] = count > 1 ? count - 1 : nil
    }

    private mutating func enqueue(_ change: PendingChange) {
        if let last = line.last, last.sequence >= change.sequence { isLineSorted = false }
        line.append((change.sequence, change.id))
        if line.count > 4 * rows.count + 64 { sortLine() }
    }

    private mutating func sortLine() {
        line = rows.values.map { ($0.change.sequence, $0.change.id) }.sorted { $0 < $1 }
        isLineSorted = true
    }

    /// The ids of all rows, oldest change first.
    mutating func inOrder() -> [Int64] {
        if !isLineSorted || line.count > 2 * rows.count + 16 { sortLine() }
        return line.filter { rows[$0.id]?.change.sequence == $0.sequence }.map(\.id)
    }

    // MARK: Questions

    /// The row that wants a name.
    func holder(of name: String) -> Row? { byName[NameKey(name)].flatMap { rows[$0] } }

    /// The row that accounts for the bucket's object of a name.
    func holder(ofRemote name: String) -> Row? { byRemote[NameKey(name)].flatMap { rows[$0] } }

    /// The row whose rename to this name has to be finished first.
    func holder(ofUnfinished name: String) -> Row? { byUnfinished[NameKey(name)].flatMap { rows[$0] } }

    /// Whether the catalog's session of this id and name is not shown, as a row speaks for it.
    func hides(id: Int64, fileName: String) -> Bool {
        guard !rows.isEmpty else { return false }
        let key = NameKey(fileName)
        return rows[id] != nil || byName[key] != nil || byRemote[key] != nil || byUnfinished[key] != nil
    }

    /// As ``hides(id:fileName:)``, of a listing's row.
    func hides(_ row: borrowing CatalogRow) -> Bool {
        if rows[row.id] != nil { return true }
        let isMarked = row.withFileName { name in marks[NameKey.mark(name)] != nil }
        guard isMarked else { return false }
        return hides(id: row.id, fileName: row.withFileName { name in String(decoding: name) })
    }

    /// Whether a row's change may be under way to the bucket, or there already.
    func mayBeInBucket(_ row: Row) -> Bool { row.maybeSent || runs[row.change.id] != nil }

    /// What is to be sent of a row now.
    func next(_ row: Row) -> PendingChange { row.unfinished ?? row.change }

    /// Whether a row's next change has to wait for another one.
    func isBlocked(_ row: Row) -> Bool {
        let change = next(row)
        for name in [change.name, change.remoteName] {
            guard let name, let others = runsByName[NameKey(name)] else { continue }
            if others.contains(where: { $0 != change.id }) { return true }
        }
        guard let name = change.name else { return false }
        if let other = holder(ofRemote: name), other.change.id != change.id { return true }
        if let other = holder(ofUnfinished: name), other.change.id != change.id { return true }
        return false
    }

    // MARK: The order of renames

    /// What a row does next may have to wait for what another one does.
    private struct Move: Hashable {
        var id: Int64
        /// Its half-done rename, else the change that is wanted.
        var isUnfinished: Bool
    }

    /// Whether a row, as it is to be, could not take a name, as all would wait for each other then.
    func waitsForItself(_ row: Row, taking name: String) -> Bool {
        let id = row.change.id
        let last = Move(id: id, isUnfinished: false)
        var open = leaving(name, except: id, as: row)
        if row.unfinished != nil { open.append(Move(id: id, isUnfinished: true)) }
        var seen: Set<Move> = []
        while let move = open.popLast() {
            if move == last { return true }
            guard seen.insert(move).inserted, let other = move.id == id ? row : rows[move.id] else { continue }
            let wanted = move.isUnfinished ? other.unfinished?.name : other.change.name
            if let wanted { open += leaving(wanted, except: move.id, as: row) }
            if !move.isUnfinished, other.unfinished != nil { open.append(Move(id: move.id, isUnfinished: true)) }
        }
        return false
    }

    /// What has to be done before the bucket's object of a name has left it.
    private func leaving(_ name: String, except id: Int64, as changed: Row) -> [Move] {
        var moves: [Move] = []
        if let home = holder(ofRemote: name), home.change.id != id {
            let row = home.change.id == changed.change.id ? changed : home
            moves.append(Move(id: row.change.id, isUnfinished: row.unfinished != nil))
        }
        let isArriving = changed.unfinished?.name.hasSameBytes(as: name) ?? false
        if let other = isArriving ? changed : holder(ofUnfinished: name), other.change.id != id {
            moves.append(Move(id: other.change.id, isUnfinished: false))
        }
        return moves
    }

    /// The state of a change that nobody has open.
    func restingState(_ change: PendingChange) -> PendingChange.State {
        if change.state == .conflict { return .conflict }
        if let name = change.name, !Staging.isPublished(name) { return .local }
        return change.batch != nil ? .held : .ready
    }

    /// The fingerprint of contents that may be in the bucket.
    /// - Returns: nil where they could not be read.
    func fingerprint(_ content: StagedContent) throws(TableError) -> ContentFingerprint? {
        guard let known = fingerprints[content.path] else { throw .needsFingerprint(path: content.path) }
        return known
    }
}

extension Staging.Counts {
    /// Adds a change to the totals, or takes it away.
    fileprivate mutating func add(_ change: PendingChange, _ sign: Int) {
        // It stands for what the open batch has taken away.
        if change.name == nil, change.remoteName == nil { return }
        switch change.state {
        case .ready, .open, .held:
            pending += sign
            let bytes = change.content?.size ?? 0
            pendingBytes = sign > 0 ? pendingBytes &+ bytes : pendingBytes &- bytes
        case .failed: failed += sign
        case .refused: refused += sign
        case .local: local += sign
        case .conflict: break
        }
    }
}
