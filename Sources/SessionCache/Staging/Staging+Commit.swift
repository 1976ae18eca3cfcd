internal import Catalog
internal import Platform
internal import Synchronization

/// How changes become durable.
extension Staging {
    /// How a change ended.
    final class Ticket: Sendable {
        struct State {
            var isDone = false
            var error: StagingError?
            /// It needs no room itself: it was only made upon what found none, and can be made again.
            var isRepeatable = false
        }
        let state = Mutex(State())
    }

    /// A change that was made in the core and is not durable yet.
    struct Operation {
        var ticket: Ticket
        var steps: [PendingTable.Step]
        /// Files that have no name any more.
        var detached: [Int64]
        /// What open files without a row are based on now.
        var rebased: [PendingTable.Remote]
        /// How often that happened by then.
        var rebases: Int64
        /// Whether the reserve of a full disk may be used for it.
        var isVital: Bool
        /// What has to happen between the journal and the view.
        var hook: (@Sendable () -> Void)?
        var lastBatch: Int64?
    }

    /// Makes a change and waits until it is durable.
    /// - Parameters:
    ///   - isVital: whether a full disk's reserve is for it: removals, renames and the ends of uploads, which make room,
    ///     and no new contents.
    ///   - hook: runs when the journal has it and before it is shown. It must not call staging.
    ///   - body: makes the change in the core's table; when it throws, nothing has happened.
    func commit<Value: Sendable>(
        isVital: Bool = false, hook: (@Sendable () -> Void)? = nil, _ body: (inout Core) throws(TableError) -> Value
    ) throws(StagingError) -> Value {
        while true {
            let (value, ticket) = try prepare(isVital, hook, body)
            journal.withLock { journal in
                if !ticket.state.withLock({ $0.isDone }) { writeAll(&journal) }
            }
            let end = ticket.state.withLock { $0 }
            guard let error = end.error else { return value }
            if !end.isRepeatable { throw error }
        }
    }

    /// Waits until all that was decided up to now is durable, or refused, and shown: a name that is taken is found then.
    public func waitUntilShown() { journal.withLock { writeAll(&$0) } }

    private func prepare<Value: Sendable>(
        _ isVital: Bool, _ hook: (@Sendable () -> Void)?, _ body: (inout Core) throws(TableError) -> Value
    ) throws(StagingError) -> (Value, Ticket) {
        let ticket = Ticket()
        while true {
            let unknown: String
            do throws(TableError) {
                let value = try core.withLock { core throws(TableError) -> Value in
                    if core.isClosed { throw .refused(StagingError(.io, "the journal is closed")) }
                    let lastBatch = core.lastBatch
                    core.detached = []
                    core.rebased = []
                    let value: Value
                    do throws(TableError) { value = try body(&core) } catch {
                        core.table.revertSteps()
                        core.lastBatch = lastBatch
                        throw error
                    }
                    core.noteBases()
                    core.queue.append(
                        Operation(
                            ticket: ticket, steps: core.table.takeSteps(), detached: core.detached,
                            rebased: core.rebased, rebases: core.rebases, isVital: isVital, hook: hook,
                            lastBatch: core.lastBatch == lastBatch ? nil : core.lastBatch))
                    return value
                }
                return (value, ticket)
            } catch {
                switch error {
                case .refused(let refusal): throw refusal
                case .needsFingerprint(let path): unknown = path
                }
            }
            let mark = fingerprint(of: unknown)
            core.withLock { $0.table.fingerprints[unknown] = .some(mark) }
        }
    }

    /// Commits everything that waits, in one transaction. The journal's lock is held.
    private func writeAll(_ journal: inout Journal?) {
        let (operations, writes, shown) = core.withLock { core in
            defer { core.queue = [] }
            return (core.queue, core.writes(), core.shown())
        }
        if !writes.isEmpty {
            let isVital = operations.contains(where: \.isVital)
            do throws(StagingError) { try write(writes, isVital: isVital, journal) } catch {
                let later = core.withLock { core in
                    defer { core.queue = [] }
                    let later = core.queue
                    for operation in (operations + later).reversed() { core.table.revert(operation.steps) }
                    return later
                }
                for operation in operations + later {
                    operation.ticket.end(error, isRepeatable: !operation.steps.contains(where: \.isRecorded))
                }
                return
            }
            FaultPoint.reached("staging.journal.after")
        }
        for operation in operations { operation.hook?() }
        show(shown, operations)
        for operation in operations { operation.ticket.end(nil) }
        collect(operations)
    }

    private func write(
        _ writes: Journal.Writes, isVital: Bool, _ journal: Journal?
    ) throws(StagingError) {
        guard let journal else { throw StagingError(.io, "the journal is closed") }
        FaultPoint.reached("staging.journal.before")
        while true {
            do throws(CatalogError) {
                try journal.commit(writes)
                break
            } catch {
                guard error.kind == .full, isVital, Reserve.release(in: directory) else { throw StagingError(error) }
            }
        }
        Reserve.keep(in: directory)
    }

    /// The view follows the journal.
    private func show(_ rows: Shown, _ operations: [Operation]) {
        view.withLock { view in
            for (id, row) in rows.rows {
                view.table.show(id, row)
                view.note(id, isNamed: row?.change.name != nil)
            }
            for record in rows.conflicts { view.table.put(record) }
            view.table.setBatch(rows.batch)
            _ = view.table.takeSteps()
            for operation in operations {
                view.rebases = max(view.rebases, operation.rebases)
                for remote in operation.rebased {
                    view.drafts[remote.id]?.draft.state.withLock { $0.base = remote }
                }
                for id in operation.detached {
                    view.drafts.removeValue(forKey: id)?.draft.state.withLock { $0.isDetached = true }
                }
            }
            pending.store(view.table.rows.count + view.drafts.count, ordering: .releasing)
        }
    }

    /// Removes files that nobody needs any more.
    private func collect(_ operations: [Operation]) {
        var paths: [(Int64, String)] = []
        for step in operations.flatMap(\.steps) {
            switch step {
            case .row(let id, let row), .unrecorded(let id, let row):
                for content in [row?.change.content, row?.unfinished?.content, row?.before?.content] {
                    if let content { paths.append((id, content.path)) }
                }
            case .run(let id, let change): if let content = change?.content { paths.append((id, content.path)) }
            case .batch, .conflict, .abandoned: break
            }
        }
        for (id, path) in paths { removeUnlessNeeded(path, of: id) }
    }

    /// Removes a file of contents when no change, upload or open draft needs it.
    func removeUnlessNeeded(_ path: String, of id: Int64) {
        let isNeeded = core.withLock { core in
            let row = core.table.rows[id]
            let queued = core.queue.contains { operation in operation.steps.contains { $0.mentions(path) } }
            return queued || row?.needs(path) ?? false || core.table.runs[id]?.content?.path == path
        }
        if isNeeded || view.withLock({ $0.drafts[id]?.draft.path == path }) { return }
        do throws(SystemError) { try Files.remove(path) } catch {
            Staging.log.warning("file not removed", ["path": path, "cause": error.description])
        }
        core.withLock { _ = $0.table.fingerprints.removeValue(forKey: path) }
    }
}

/// What the view takes over.
struct Shown {
    var rows: [(Int64, PendingTable.Row?)] = []
    var conflicts: [ConflictRecord] = []
    var batch: Int64?
}

extension Staging.Core {
    /// What the queue's operations change in the journal.
    fileprivate func writes() -> Journal.Writes {
        var writes = Journal.Writes()
        for operation in queue {
            writes.lastBatch = operation.lastBatch ?? writes.lastBatch
            for step in operation.steps {
                switch step {
                case .row(let id, _):
                    let row = table.rows[id]
                    // What is not durable yet does not come in, nor does what it stands for go.
                    if row.map({ !$0.isDurable }) ?? table.shadowed.contains(id) { continue }
                    writes.rows[id] = .some(row)
                case .conflict(let id, _): if let record = table.conflicts[id] { writes.conflicts.append(record) }
                case .batch: writes.batch = .some(table.batch)
                case .abandoned(let uploadID, _):
                    writes.abandoned[uploadID] = .some(table.abandoned[uploadID]?.progress)
                case .run, .unrecorded: break
                }
            }
        }
        return writes
    }

    fileprivate func shown() -> Shown {
        var shown = Shown(batch: table.batch)
        for step in queue.flatMap(\.steps) {
            switch step {
            case .row(let id, _), .unrecorded(let id, _): shown.rows.append((id, table.rows[id]))
            case .conflict(let id, _): if let record = table.conflicts[id] { shown.conflicts.append(record) }
            case .run, .batch, .abandoned: break
            }
        }
        return shown
    }
}

extension PendingTable.Row {
    /// Whether a file of contents is one of its.
    fileprivate func needs(_ path: String) -> Bool {
        [change.content, unfinished?.content, before?.content].contains { $0?.path == path }
    }
}

extension PendingTable.Step {
    /// Whether the journal has to know of it.
    fileprivate var isRecorded: Bool {
        switch self {
        case .run, .unrecorded: false
        case .row, .batch, .conflict, .abandoned: true
        }
    }

    fileprivate func mentions(_ path: String) -> Bool {
        switch self {
        case .row(_, let row), .unrecorded(_, let row):
            row?.needs(path) ?? false
        case .run(_, let change): change?.content?.path == path
        case .batch, .conflict, .abandoned: false
        }
    }
}

extension Staging.Ticket {
    fileprivate func end(_ error: StagingError?, isRepeatable: Bool = false) {
        state.withLock { $0 = State(isDone: true, error: error, isRepeatable: isRepeatable) }
    }
}

extension Staging.Core {
    /// Bases that are kept at least: whoever opens a file meanwhile is known to the view before so many more come.
    private static let mostBases: Int64 = 4096

    /// Keeps what files are based on now for drafts that the view does not know yet.
    fileprivate mutating func noteBases() {
        for remote in rebased {
            rebases += 1
            bases[remote.id] = (rebases, remote)
        }
        guard bases.count > 2 * Self.mostBases else { return }
        let oldest = rebases - Self.mostBases
        bases = bases.filter { $0.value.number > oldest }
    }

    /// What a draft's file is based on, should it have no row: what it was when it was opened, or what has arrived in
    /// the bucket since.
    func base(of draft: Draft) -> PendingTable.Remote? {
        if let (number, remote) = bases[draft.id], number > draft.rebases { return remote }
        return draft.state.withLock { $0.base }
    }
}
