internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Sessions that somebody else has replaced while this machine wrote their index and row.
extension WatchedRows {
    /// Whether the catalog knows another version than the one that the row was written for.
    func isReplaced(_ item: Item, _ context: PublishContext) -> Bool {
        guard let tag = item.etag, let entry = (try? context.catalog.entry(fileName: item.row.fileName)) ?? nil else {
            return false
        }
        return entry.etag.map { $0 != tag } ?? false
    }

    /// Gives sessions that others have replaced index and row of their own, where they have this machine's.
    func repair(
        _ items: [Item], _ writer: RowWriter, _ context: PublishContext
    ) async throws(StoreError) {
        // What this machine is about to send gets its index and row by that.
        var done = context.pendingNames
        var rest: [Overtaken] = items.compactMap { item in
            guard done.insert(Array(item.row.fileName.utf8)).inserted else { return nil }
            return SessionName(fileName: item.row.fileName).map { Overtaken(name: $0, item: item) }
        }
        for _ in 0..<Self.mostRounds {
            let written = try await describe(rest, writer, context)
            // What was removed or replaced meanwhile has an index and a row of ours again.
            let objects = written.map {
                ObjectInfo(key: $0.name.bodyKey, size: $0.item.row.fileSize ?? 0, etag: $0.item.etag)
            }
            rest = []
            for (session, standing) in zip(written, await context.bodyCheck.look(at: objects))
            where try standing.get() != .stands { rest.append(session) }
            if rest.isEmpty { return }
        }
    }

    /// A session that is not this machine's any more.
    private struct Overtaken {
        var name: SessionName
        var item: Item
        /// What this machine has done about it.
        var done = Done.nothing

        enum Done { case nothing, described, cleared }
    }

    /// How often a session may change while it is given index and row.
    private static let mostRounds = 6

    /// Gives sessions the index and the row that belong to what stands, or none where this machine has given them some.
    /// - Returns: those of which something was written or removed, as they were found.
    private func describe(
        _ sessions: [Overtaken], _ writer: RowWriter, _ context: PublishContext
    ) async throws(StoreError) -> [Overtaken] {
        var found: [Overtaken] = []
        var left: [RowChange] = []
        for session in sessions {
            let name = session.name
            // What this machine has described is not taken for its own.
            let etag = session.done == .nothing ? session.item.etag : nil
            switch try await SessionRestorer(context: context).repairIndex(of: name, etag: etag) {
            case .own, .changing: break
            case .gone:
                drop(session.item.row)
                guard session.done == .described else { break }
                try await context.store.delete(name.indexKey, ifMatch: nil)
                left.append(.remove(fileName: name.fileName, checksum: nil))
                // Somebody may have made it anew meanwhile.
                found.append(Overtaken(name: name, item: session.item, done: .cleared))
            case .replaced(let row, let tag):
                let item = Item(row: row, etag: tag, written: .now)
                found.append(Overtaken(name: name, item: item, done: .described))
            }
        }
        // A row that a client wrote has no metadata and is right all the same.
        let described = found.filter { $0.done == .described }
        let rows = described.map(\.item.row)
        try await writer.apply(left + writer.missing(of: rows).map { .set($0) })
        let tags = Dictionary(
            described.map { (Array($0.item.row.fileName.utf8), $0.item.etag) }, uniquingKeysWith: { $1 })
        if !rows.isEmpty { record(rows.map { .set($0) }, tags: tags.compactMapValues { $0 }, now: .now) }
        return found
    }
}
