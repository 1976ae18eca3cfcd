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
        while true {
            let copy = try localCopy(of: fileName, for: newName)
            do throws(StagingError) {
                if let done = try tryRename(fileName, newName, replacing: replacing, copy) {
                    FaultPoint.reached("staging.rename.journal")
                    if let copy { removeUnlessNeeded(copy.content.path, of: done.id) }
                    let parted = partFromCatalog([done.id])
                    if !parted.isEmpty { onChange(parted) }
                    announceReady()
                    return done
                }
                if let copy { try? Files.remove(copy.content.path) }
                // Its name must not be durable before its bytes: what it replaces would be lost with it.
                try flush(named: fileName)
            } catch {
                if let copy { try? Files.remove(copy.content.path) }
                throw error
            }
        }
    }

    /// A session's bytes, for a file of this machine.
    private struct LocalCopy {
        var content: StagedContent
        /// The version that they are of; nil where the catalog does not know it.
        var source: PendingTable.Remote?
    }

    /// - Returns: nil when the file has to be flushed first, or is another version than the one that was copied.
    private func tryRename(
        _ fileName: String, _ newName: String, replacing: Bool, _ copy: LocalCopy?
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
                !Staging.isPublished(newName) && core.table.rows[found.id]?.change.content == nil && copy == nil
            // What the bucket loses is what is kept here.
            if let copy, let remote = found.remote, remote != copy.source { return nil }
            if needsContent { throw .refused(StagingError(.crossDevice, "\(fileName) is not cached")) }
            if let target { core.decide(core.table.rows[target.id]?.change, .theirs) }
            core.decideRename(core.table.rows[found.id]?.change, to: newName)
            try core.table.rename(
                id: found.id, remote: self.opened(found, core), to: newName, replacing: target?.remote,
                content: copy?.content, reserve: self.reserveID, at: .now)
            if let target { core.detached.append(target.id) }
            return Renamed(id: found.id, replaced: target?.id)
        }
    }

    /// The session that a file without a row is. Who has it open for writing goes out from the version that he opened,
    /// and what he writes must not take the place of one that the catalog has learnt of since.
    private func opened(_ found: Found, _ core: borrowing Core) -> PendingTable.Remote? {
        guard let remote = found.remote, let draft = view.withLock({ $0.namedDraft(found.id) }),
            let base = core.base(of: draft), base.fileName.hasSameBytes(as: remote.fileName)
        else { return found.remote }
        return base
    }

    private func flush(named fileName: String) throws(StagingError) {
        let (id, draft) = view.withLock { view -> (Int64?, Draft?) in
            let id = view.table.holder(of: fileName)?.change.id
            return (id, id.flatMap { view.drafts[$0]?.draft })
        }
        if let draft { return try flush(draft) }
        // Its last writer was refused, and on a full disk it could not be forgotten.
        guard let id else { return }
        try commit(isVital: true) { core throws(TableError) in
            try core.table.abandon(id: id, reserve: self.reserveID, at: .now)
        }
    }

    /// The bytes of a session that will be local from now on, durable; nil where none have to be copied.
    private func localCopy(of fileName: String, for newName: String) throws(StagingError) -> LocalCopy? {
        guard !Staging.isPublished(newName) else { return nil }
        let entry: SessionEntry
        let source: PendingTable.Remote?
        do throws(CatalogError) {
            guard let found = try self.entry(fileName: fileName) else { return nil }
            entry = found
            // What is shown may be of a draft.
            source = try catalog.entry(id: found.id).map(PendingTable.Remote.init)
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
            return LocalCopy(
                content: StagedContent(path: path, size: try file.size(), modified: entry.modified),
                source: source)
        } catch {
            try? Files.remove(path)
            throw StagingError(error)
        }
    }
}
