internal import Catalog
internal import Platform
internal import Synchronization

/// Which id the catalog has for the object of a file.
extension Staging {
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
