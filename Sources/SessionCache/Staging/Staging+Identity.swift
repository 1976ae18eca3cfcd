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

    /// Opens the body of a file that the bucket has, wherever a rename has it. Never waits for the network.
    /// - Returns: the body; and what opens it under its new name, should it not be found.
    /// - Throws: as ``SessionCache/open(_:)``.
    public func openBody(id: Int64) throws(CacheError) -> (OpenBody, moved: @Sendable () -> OpenBody?) {
        let bodyID = bodyID(of: id)
        let before = knownBody(of: id, as: bodyID)
        let moved: @Sendable () -> OpenBody? = {
            guard let before, let name = self.movedName(of: id, from: before.fileName) else { return nil }
            return try? self.cache.open(before, movedTo: name)
        }
        do throws(CacheError) { return (try cache.open(bodyID), moved) } catch {
            guard error.kind == .notFound, let body = moved() else { throw error }
            return (body, { nil })
        }
    }

    /// Fetches the whole body of a file, wherever a rename has it.
    func wholeBody(of id: Int64) async throws(CacheError) -> FileDescriptor {
        let (body, moved) = try openBody(id: id)
        do throws(CacheError) { return try await cache.whole(body) } catch {
            guard error.kind == .notFound, let body = moved() else { throw error }
            return try await cache.whole(body)
        }
    }

    /// What is known of the bucket's body of a file, under the name that it had.
    private func knownBody(of id: Int64, as bodyID: Int64) -> SessionEntry? {
        if let entry = (try? catalog.entry(id: bodyID)) ?? nil { return entry }
        // A reader has found it gone.
        guard let change = change(id: id), let name = change.remoteName, let version = change.remote else { return nil }
        var entry = SessionEntry(pending: id, fileName: name, size: version.size, modified: change.changed)
        entry.contentMD5 = version.contentMD5
        return entry
    }

    /// The name under which the bucket has the body of a file that is not found under another: the rename may be half
    /// done there.
    private func movedName(of id: Int64, from name: String) -> String? {
        let row = view.withLock { $0.table.rows[id] }
        let now =
            if let row { row.unfinished?.name ?? row.change.name } else { (try? catalog.entry(id: id))??.fileName }
        guard row?.change.content == nil, let now, Staging.isPublished(now), !now.hasSameBytes(as: name) else {
            return nil
        }
        return now
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
