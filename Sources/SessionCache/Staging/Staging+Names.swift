internal import Catalog
internal import Platform
internal import Synchronization

/// Removals and renames.
extension Staging {
    /// A file that is shown: its id, and what the catalog knows where no row speaks for it.
    struct Found {
        var id: Int64
        var remote: PendingTable.Remote?
        /// What is shown under the name is not in the journal yet.
        var isUnflushed = false
    }

    /// The file of a name, as the core has it.
    func find(_ fileName: String, _ core: borrowing Core) throws(TableError) -> Found? {
        if let row = core.table.holder(of: fileName) { return Found(id: row.change.id, isUnflushed: !row.isDurable) }
        do throws(CatalogError) {
            guard let entry = try catalog.entry(fileName: fileName),
                !core.table.hides(id: entry.id, fileName: entry.fileName)
            else { return nil }
            return Found(id: entry.id, remote: PendingTable.Remote(entry))
        } catch { throw .refused(StagingError(error)) }
    }

    func reserveID() throws(StagingError) -> Int64 {
        do throws(CatalogError) { return try catalog.reserveID() } catch { throw StagingError(error) }
    }

    /// Removes a name. Durable when it returns; waits for the disk.
    /// - Returns: the id of the file that had it.
    /// - Throws: `.notFound`, `.diskFull`, `.io`.
    public func remove(_ fileName: String) throws(StagingError) -> Int64 {
        let id = try commit(isVital: true) { core throws(TableError) -> Int64 in
            guard let found = try self.find(fileName, core) else {
                throw .refused(StagingError(.notFound, fileName))
            }
            core.decide(core.table.rows[found.id]?.change, .theirs)
            try core.table.remove(id: found.id, remote: found.remote, reserve: self.reserveID, at: .now)
            core.detached.append(found.id)
            return found.id
        }
        FaultPoint.reached("staging.remove.journal")
        announceReady()
        return id
    }

    /// What a rename did.
    public struct Renamed: Sendable, Equatable {
        /// The file that was renamed.
        public var id: Int64
        /// The file whose name it took; nil when the name was free.
        public var replaced: Int64?
    }

    /// Renames, over a file that has the new name unless that is forbidden. Durable when it returns; waits for the disk.
    /// - Throws: `.notFound`; `.exists` when `replacing` is false and the name is taken; `.busy` when the bucket's object
    ///   of the new name still has to be moved by another rename; `.crossDevice` when a session whose body is not cached
    ///   would get a name that is never uploaded.
    public func rename(
        _ fileName: String, to newName: String, replacing: Bool
    ) throws(StagingError) -> Renamed {
        try check(newName)
        let copy = try localCopy(of: fileName, for: newName)
        do throws(StagingError) {
            while true {
                if let done = try tryRename(fileName, newName, replacing: replacing, content: copy) {
                    FaultPoint.reached("staging.rename.journal")
                    if let copy { removeUnlessNeeded(copy.path, of: done.id) }
                    let parted = partFromCatalog([done.id])
                    if !parted.isEmpty { onChange(parted) }
                    announceReady()
                    return done
                }
                // Its name must not be durable before its bytes: what it replaces would be lost with it.
                try flush(named: fileName)
            }
        } catch {
            if let copy { try? Files.remove(copy.path) }
            throw error
        }
    }

    /// - Returns: nil when the file has to be flushed first.
    private func tryRename(
        _ fileName: String, _ newName: String, replacing: Bool, content: StagedContent?
    ) throws(StagingError) -> Renamed? {
        try commit(isVital: true) { core throws(TableError) -> Renamed? in
            guard let found = try self.find(fileName, core) else {
                throw .refused(StagingError(.notFound, fileName))
            }
            let target = try self.find(newName, core)
            if target != nil, !replacing { throw .refused(StagingError(.exists, newName)) }
            if target?.id == found.id { return Renamed(id: found.id, replaced: nil) }
            if found.isUnflushed { return nil }
            let needsContent =
                !Staging.isPublished(newName) && core.table.rows[found.id]?.change.content == nil && content == nil
            if needsContent { throw .refused(StagingError(.crossDevice, "\(fileName) is not cached")) }
            if let target { core.decide(core.table.rows[target.id]?.change, .theirs) }
            core.decideRename(core.table.rows[found.id]?.change, to: newName)
            try core.table.rename(
                id: found.id, remote: found.remote, to: newName, replacing: target?.remote, content: content,
                reserve: self.reserveID, at: .now)
            if let target { core.detached.append(target.id) }
            return Renamed(id: found.id, replaced: target?.id)
        }
    }

    private func flush(named fileName: String) throws(StagingError) {
        let draft = view.withLock { view in
            view.table.holder(of: fileName).flatMap { view.drafts[$0.change.id]?.draft }
        }
        guard let draft else { return }
        try flush(draft)
    }

    /// The bytes of a session that will be local from now on, durable; nil where none have to be copied.
    private func localCopy(of fileName: String, for newName: String) throws(StagingError) -> StagedContent? {
        guard !Staging.isPublished(newName) else { return nil }
        let entry: SessionEntry
        do throws(CatalogError) {
            guard let found = try self.entry(fileName: fileName) else { return nil }
            entry = found
        } catch { throw StagingError(error) }
        if change(id: entry.id)?.content != nil { return nil }
        let cached: FileDescriptor?
        do throws(CacheError) { cached = try cache.cachedBody(id: entry.id) } catch {
            // A listing has met its rename half done: the catalog does not know it for a while.
            guard error.kind == .notFound else { throw StagingError(error) }
            cached = nil
        }
        guard let body = cached else { throw StagingError(.crossDevice, "\(fileName) is not cached") }
        let (path, file) = try newFile()
        do throws(SystemError) {
            try file.copyContents(of: body)
            try file.synchronize()
            try Files.synchronizeDirectory(contents)
            return StagedContent(path: path, size: try file.size(), modified: entry.modified)
        } catch {
            try? Files.remove(path)
            throw StagingError(error)
        }
    }
}
