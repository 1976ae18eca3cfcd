internal import Catalog
internal import Platform
internal import Synchronization

/// Which id the catalog has for the object of a file.
extension Staging {
    /// The id by which the cache finds the body of a file. A listing that meets a rename half done finds the object under
    /// its new name, and takes it for another session until the rename is through.
    func bodyID(of id: Int64) -> Int64 {
        if pending.load(ordering: .acquiring) == 0 { return id }
        guard let row = view.withLock({ $0.table.rows[id] }), row.change.content == nil,
            let version = row.change.remote,
            (try? catalog.entry(id: id)) == .some(nil)
        else { return id }
        for name in [row.unfinished?.name, row.change.name, row.change.remoteName] {
            guard let name, let entry = (try? catalog.entry(fileName: name)) ?? nil, entry.mayBe(version) else {
                continue
            }
            let replaced = [row.change.replaces?.etag, row.unfinished?.replaces?.etag]
            if entry.etag == nil || !replaced.contains(entry.etag) { return entry.id }
        }
        return id
    }

    /// A file that was parted from its object in the bucket keeps its id: set aside in a conflict, or local from now on.
    /// The catalog's session of that id is another one from now on, which nothing hides.
    func partFromCatalog(_ ids: [Int64]) -> CatalogDelta {
        var delta = CatalogDelta()
        for id in ids {
            do {
                guard let entry = try catalog.entry(id: id) else { continue }
                let (isParted, remover) = core.withLock { $0.isParted(id, from: entry.fileName) }
                guard isParted else { continue }
                let known = try remover.flatMap { try catalog.entry(id: $0) }
                let new = if let remover, known == nil { remover } else { try reserveID() }
                delta.merge(try catalog.renumber(id, as: new))
            } catch { Staging.log.warning("id not parted", ["id": "\(id)", "cause": "\(error)"]) }
        }
        return delta
    }
}

extension Staging.Core {
    /// Whether a file has nothing to do with the object of a name; and the row that removes that object.
    fileprivate func isParted(_ id: Int64, from fileName: String) -> (Bool, Int64?) {
        guard let row = table.rows[id] else { return (false, nil) }
        let names = [row.change, row.unfinished, table.runs[id], row.before].flatMap { [$0?.name, $0?.remoteName] }
        if names.contains(where: { $0.hasSameBytes(as: fileName) }) { return (false, nil) }
        let holder = table.holder(ofRemote: fileName)?.change
        return (true, holder?.name == nil ? holder?.id : nil)
    }
}

extension SessionEntry {
    /// Whether nothing says that it is another version.
    fileprivate func mayBe(_ version: ObjectVersion) -> Bool {
        guard size == version.size else { return false }
        if let etag, etag == version.etag { return true }
        guard let contentMD5, let other = version.contentMD5 else { return true }
        return contentMD5 == other
    }
}
