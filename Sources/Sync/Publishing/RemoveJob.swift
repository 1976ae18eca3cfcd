internal import Catalog
internal import ObjectStore
internal import Platform
internal import SessionCache
internal import SessionFormat

/// Removes a session: row, index, body.
struct RemoveJob {
    let context: PublishContext
    let change: PendingChange
    let name: SessionName

    func run() async throws(PublishStop) {
        let removal = ObjectRemoval(context: context, name: name, id: change.id, version: change.remote)
        let info: ObjectInfo?
        switch try await removal.look(expected: change.remote, attempted: change.attempted) {
        case .absent: info = nil
        case .expected(let found), .ours(let found), .attempted(let found): info = found
        case .foreign where change.remote == nil:
            // An upload of ours that may have arrived has not, or somebody has replaced it: its index at most is ours.
            try await removal.giveBack(change)
            var sent = Staging.Sent(change: change, object: nil)
            sent.leavesName = true
            try await context.commit(sent)
            return context.board.untouch(change.id)
        case .foreign(let found):
            try await removal.giveBack(change)
            throw .conflict(.removedEdited, found: found)
        }
        if let conflict = change.conflict, let tag = info?.etag {
            await BucketVersionKeeper(context: context).keep(name, etag: tag, conflict: conflict)
        }
        let before = Before(context, change.id, name, info)
        FaultPoint.reached("publish.remove.before")
        context.board.touch(change.id)
        _ = try await stopping(undoes: true) { () throws(StoreError) in
            try await context.writeRows(
                [.remove(fileName: name.fileName, checksum: nil)], about: nil, of: change.id)
        }
        FaultPoint.reached("publish.remove.row.after")
        var sent = Staging.Sent(change: change, object: nil)
        do throws(PublishStop) {
            switch try await removal.remove(info) {
            case .removed: break
            case .followed:
                sent.leavesName = true
                try? context.catalog.setValue(Catalog.listingNeededKey, "a session was made anew while it was removed")
            case .replaced(let found): throw .conflict(.removedEdited, found: found)
            }
        } catch {
            if case .undone = error { await before.putBack() }
            throw error
        }
        try await context.commit(sent)
        context.board.untouch(change.id)
    }
}

/// Index and row of a session as they were before a job took them away.
struct Before {
    private let context: PublishContext
    private let name: SessionName
    private let id: Int64
    private let object: ObjectInfo?
    private let row: OverallRow?
    private let index: [UInt8]?

    /// By what the catalog knows, if that is of this object.
    init(_ context: PublishContext, _ id: Int64, _ name: SessionName, _ object: ObjectInfo?) {
        self.context = context
        self.name = name
        self.id = id
        self.object = object
        guard let object, let entry = (try? context.catalog.entry(id: id)) ?? nil, entry.isKnown(to: object),
            let metadata = (try? context.catalog.metadata(id: id)) ?? nil, metadata.fileSize == object.size
        else {
            (index, row) = (nil, nil)
            return
        }
        index = (try? context.catalog.indexBytes(id: id)) ?? nil
        row = context.row(name.fileName, object, sha256: entry.sha256, metadata: metadata)
    }

    /// By what was found out about the object.
    init(_ context: PublishContext, _ id: Int64, _ name: SessionName, _ object: ObjectInfo, _ facts: SessionFacts) {
        self.context = context
        self.name = name
        self.id = id
        self.object = object
        index = context.index(name, facts.metadata, keeping: facts.foreign)
        row = context.row(name.fileName, object, sha256: facts.sha256, metadata: facts.metadata)
    }

    /// Where neither is at hand, both are made from the body.
    func putBack() async {
        guard let object else { return }
        do throws(StoreError) {
            guard let index, let row else {
                try await SessionRestorer(context: context).settle(name, of: id)
                return
            }
            do throws(StoreError) {
                _ = try await context.put(name.indexKey, index, .ifAbsent)
            } catch  where error.kind == .precondition {}
            if try await context.writeRows([.set(row)], about: object, of: id) == .stands { return }
            try await SessionRestorer(context: context).settle(name, of: id, own: [index])
        } catch {
            PublishContext.log.warning("not put back", ["session": name.fileName, "cause": error.description])
        }
    }
}
