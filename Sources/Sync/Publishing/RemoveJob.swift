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
        let removal = ObjectRemoval(context: context, name: name, id: change.id)
        let info: ObjectInfo?
        switch try await removal.look(expected: change.remote, attempted: change.attempted) {
        case .absent: info = nil
        case .expected(let found), .ours(let found), .attempted(let found): info = found
        case .foreign(let found): throw .conflict(.removedEdited, found: found)
        }
        if let conflict = change.conflict, let tag = info?.etag {
            await BucketVersionKeeper(context: context).keep(name, etag: tag, conflict: conflict)
        }
        let before = Before(context, change, name)
        FaultPoint.reached("publish.remove.before")
        try await stopping(undoes: true) { () throws(StoreError) in
            try await context.writeRows(
                [.remove(fileName: name.fileName, checksum: nil)], about: nil, of: change.id)
        }
        FaultPoint.reached("publish.remove.row.after")
        do throws(PublishStop) {
            let outcome = try await context.finishing { () throws(PublishStop) in try await removal.remove(info) }
            if case .replaced(let found) = outcome { throw .conflict(.removedEdited, found: found) }
        } catch {
            if case .undone = error { await before.putBack() }
            throw error
        }
        try await context.commit(Staging.Sent(change: change, object: nil))
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

    init(_ context: PublishContext, _ change: PendingChange, _ name: SessionName) {
        self.context = context
        self.name = name
        id = change.id
        index = (try? context.catalog.indexBytes(id: change.id)) ?? nil
        let entry = (try? context.catalog.entry(id: change.id)) ?? nil
        let metadata = (try? context.catalog.metadata(id: change.id)) ?? nil
        object = entry.map { context.object($0, name) }
        row = entry.map { context.row($0, name, metadata) }
    }

    func putBack() async {
        do throws(StoreError) {
            if let index { _ = try await context.store.put(name.indexKey, .bytes(index), .ifAbsent) }
        } catch {
            if error.kind != .precondition { report(error) }
        }
        do throws(StoreError) {
            if let row { try await context.writeRows([.set(row)], about: object, of: id) }
        } catch { report(error) }
    }

    private func report(_ error: StoreError) {
        PublishContext.log.warning("not put back", ["session": name.fileName, "cause": error.description])
    }
}
