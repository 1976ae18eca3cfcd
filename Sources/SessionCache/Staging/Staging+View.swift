public import Catalog
internal import Platform
internal import Synchronization

/// The names in `sessions/`.
///
/// The view is asked before the catalog: what has just left the view is in the catalog by then, for a change is
/// recorded there first.
extension Staging {
    /// What the view knows of a file.
    fileprivate enum Seen {
        /// The catalog decides.
        case nothing
        case hidden
        case row(PendingChange, size: UInt64?, modified: Timestamp?)
        /// Open for writing, and without a row.
        case draft(size: UInt64, modified: Timestamp)
    }

    /// A name in `sessions/`; nil when there is none. The entry has the size and time that programs see.
    public func entry(fileName: String) throws(CatalogError) -> SessionEntry? {
        if pending.load(ordering: .acquiring) == 0 { return try catalog.entry(fileName: fileName) }
        let seen = view.withLock { view in
            view.table.holder(of: fileName).map { view.seen($0.change) } ?? .nothing
        }
        if case .row(let change, let size, let modified) = seen {
            return try entry(of: change, size: size, modified: modified)
        }
        guard let found = try catalog.entry(fileName: fileName) else { return nil }
        return overlaid(found)
    }

    /// A file by its id; nil when it has no name any more.
    public func entry(id: Int64) throws(CatalogError) -> SessionEntry? {
        if pending.load(ordering: .acquiring) == 0 { return try catalog.entry(id: id) }
        let seen = view.withLock { view in view.table.rows[id].map { view.seen($0.change) } ?? .nothing }
        switch seen {
        case .row(let change, let size, let modified):
            return try entry(of: change, size: size, modified: modified)
        case .hidden: return nil
        case .nothing, .draft:
            guard let found = try catalog.entry(id: id) else { return nil }
            return overlaid(found)
        }
    }

    /// The catalog's entry as it is shown; nil when a pending change speaks for its name.
    private func overlaid(_ found: SessionEntry) -> SessionEntry? {
        let seen = view.withLock { view in view.seen(found.id, found.fileName) }
        switch seen {
        case .nothing: return found
        case .draft(let size, let modified):
            var entry = found
            entry.size = size
            entry.modified = modified
            return entry
        case .hidden, .row: return nil
        }
    }

    private func entry(
        of change: PendingChange, size: UInt64?, modified: Timestamp?
    ) throws(CatalogError) -> SessionEntry? {
        guard let name = change.name else { return nil }
        let known = try catalog.entry(id: change.id)
        var entry =
            known
            ?? SessionEntry(
                pending: change.id, fileName: name, size: change.remote?.size ?? 0, modified: change.changed)
        if !entry.fileName.hasSameBytes(as: name) {
            // The index of another name has other bytes.
            entry.indexSize = 0
            entry.fileName = name
        }
        if let size {
            entry.size = size
            entry.etag = nil
            entry.contentMD5 = nil
            entry.sha256 = nil
        }
        entry.modified = modified ?? entry.modified
        return entry
    }

    /// As ``Catalog/scan(after:_:)``, with the pending changes: in the order of ids.
    public func scan(after id: Int64, _ body: (borrowing CatalogRow) -> Bool) throws(CatalogError) {
        if pending.load(ordering: .acquiring) == 0 { return try catalog.scan(after: id, body) }
        let (table, ids, drafts) = view.withLock { view in
            let drafts = Dictionary(uniqueKeysWithValues: view.drafts.keys.map { ($0, view.namedDraft($0)) })
            return (view.table, view.namedIDs(after: id), drafts.compactMapValues { $0 })
        }
        var next = ids.startIndex
        var isStopped = false
        // Rows that the catalog does not know come between those that it knows.
        func give(before limit: Int64) -> Bool {
            while next < ids.endIndex, ids[next] < limit {
                let id = ids[next]
                next += 1
                guard let change = table.rows[id]?.change else { continue }
                isStopped = !pass(shown(change, drafts[id]), indexSize: 0, body)
                if isStopped { return false }
            }
            return true
        }
        try catalog.scan(after: id) { row in
            guard give(before: row.id) else { return false }
            if let change = table.rows[row.id]?.change {
                guard next < ids.endIndex, ids[next] == row.id else { return true }
                next += 1
                var entry = shown(change, drafts[row.id])
                if change.content == nil, drafts[row.id] == nil {
                    entry.size = row.size
                    entry.modified = Timestamp(nanoseconds: row.modifiedNanoseconds)
                }
                // The index of another name has other bytes.
                let keepsName = row.withFileName { name in NameKey.mark(name) == NameKey.mark(entry.fileName) }
                isStopped = !pass(entry, indexSize: keepsName ? row.indexSize : 0, body)
            } else if table.hides(row) {
                return true
            } else if let draft = drafts[row.id] {
                let content = draft.content
                isStopped = !row.with(
                    size: content.size, modified: content.modified, indexSize: row.indexSize, body)
            } else {
                isStopped = !body(row)
            }
            return !isStopped
        }
        if !isStopped { _ = give(before: Int64.max) }
    }

    /// As ``Catalog/scan(after:_:)``, without the sessions that are not shown under the name that the catalog has for
    /// them: removed, renamed or replaced here.
    public func scanUnmoved(after id: Int64, _ body: (borrowing CatalogRow) -> Bool) throws(CatalogError) {
        if pending.load(ordering: .acquiring) == 0 { return try catalog.scan(after: id, body) }
        let table = view.withLock { $0.table }
        try catalog.scan(after: id) { row in
            let isShown: Bool
            if let change = table.rows[row.id]?.change {
                isShown =
                    change.name.map { name in
                        row.withFileName { NameKey.mark($0) == NameKey.mark(name) }
                    } ?? false
            } else {
                isShown = !table.hides(row)
            }
            return isShown ? body(row) : true
        }
    }

    private func pass(_ entry: SessionEntry, indexSize: UInt64, _ body: (borrowing CatalogRow) -> Bool) -> Bool {
        CatalogRow.with(
            id: entry.id, size: entry.size, modified: entry.modified, indexSize: indexSize,
            fileName: Array(entry.fileName.utf8), body)
    }

    /// An entry of what is known here alone.
    private func shown(_ change: PendingChange, _ draft: Draft?) -> SessionEntry {
        let content = draft?.content ?? change.content
        return SessionEntry(
            pending: change.id, fileName: change.name ?? "", size: content?.size ?? change.remote?.size ?? 0,
            modified: content?.modified ?? change.changed)
    }

    /// Follows a change of the catalog. Names are resolved anew at every look, so only ids have to be kept apart: a
    /// catalog that was made anew must not hand out those of files that are pending.
    public func apply(_ delta: CatalogDelta) {
        guard delta.reset else { return }
        let greatest = core.withLock { core in core.table.rows.keys.max() ?? 0 }
        guard greatest > 0 else { return }
        do throws(CatalogError) { try catalog.reserveIDs(above: greatest) } catch {
            Staging.log.error("ids not reserved", ["cause": error.description])
        }
    }
}

extension Staging.View {
    /// The draft of a file that has a name. One of contents without a name goes by the id of a file that was removed, and
    /// that may be back: its removal was refused, or given up.
    func namedDraft(_ id: Int64) -> Draft? {
        drafts[id].flatMap { open in open.draft.state.withLock { $0.isDetached } ? nil : open.draft }
    }

    fileprivate func seen(_ change: PendingChange) -> Staging.Seen {
        guard change.name != nil else { return .hidden }
        let draft = namedDraft(change.id)?.state.withLock { ($0.size, $0.modified) }
        return .row(
            change, size: draft?.0 ?? change.content?.size, modified: draft?.1 ?? change.content?.modified)
    }

    fileprivate func seen(_ id: Int64, _ fileName: String) -> Staging.Seen {
        if table.hides(id: id, fileName: fileName) { return .hidden }
        guard let draft = namedDraft(id) else { return .nothing }
        return draft.state.withLock { .draft(size: $0.size, modified: $0.modified) }
    }

    /// The ids of rows with a name, in order, behind one.
    fileprivate mutating func namedIDs(after id: Int64) -> ArraySlice<Int64> {
        let all = named ?? table.rows.named.sorted()
        named = all
        return all[Self.place(behind: id, in: all)...]
    }

    /// Follows a row that is shown.
    mutating func note(_ id: Int64, isNamed: Bool) {
        guard let all = named else { return }
        let next = Self.place(behind: id, in: all)
        let isListed = next > 0 && all[next - 1] == id
        if isNamed, !isListed { named?.insert(id, at: next) }
        if !isNamed, isListed { named?.remove(at: next - 1) }
    }

    /// Where the first id is that is greater.
    private static func place(behind id: Int64, in all: [Int64]) -> Int {
        var low = 0
        var high = all.count
        while low < high {
            let middle = (low + high) / 2
            if all[middle] > id { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
