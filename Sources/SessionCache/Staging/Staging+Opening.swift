public import Catalog
internal import Digests
internal import Platform
internal import Synchronization

extension Staging {
    /// Seconds for which a process that was killed may keep the journal.
    private static let longestEnd = 10.0

    /// Opens the state directory, makes what is missing, and takes up what an earlier process left.
    /// - Parameters:
    ///   - directory: `<state>/<store-id>`; private.
    ///   - onChange: hears, on any thread and with no lock held, of names and contents that changed otherwise than by a
    ///     call of the tree: after an upload, by a conflict, by an undo.
    /// - Returns: nil when another process holds the journal.
    /// - Throws: `.io` or `.diskFull`.
    public static func open(
        directory: String, catalog: Catalog, cache: SessionCache,
        onChange: @escaping @Sendable (CatalogDelta) -> Void
    ) throws(StagingError) -> Staging? {
        let contents = directory + "/staging"
        let held: FileLock?
        do throws(SystemError) {
            try Files.makePrivateDirectory(directory)
            try Files.makePrivateDirectory(contents)
            try Files.makePrivateDirectory(directory + "/kept")
            held = try FileLock.acquire(directory + "/journal.lock", outliving: longestEnd)
            try Files.synchronizeDirectory(directory)
        } catch { throw StagingError(error) }
        guard let held else { return nil }
        Reserve.keep(in: directory)
        var damage: String?
        let journal: Journal
        let core: Core
        do throws(StagingError) {
            (journal, core) = try takeUp(directory)
        } catch  where error.kind == .corrupt {
            let aside = try DamagedJournal.moveAside(directory)
            damage = "\(error.message); what had not been sent is in \(aside)"
            log.error("the journal is damaged and is begun anew", ["cause": error.message, "moved to": aside])
            (journal, core) = try takeUp(directory)
        }
        if !core.lost.isEmpty {
            damage = "contents that had not been sent are gone: " + core.lost.joined(separator: ", ")
        }
        do throws(CatalogError) {
            let greatest = core.table.rows.keys.max() ?? 0
            if greatest > 0 { try catalog.reserveIDs(above: greatest) }
        } catch { throw StagingError(error) }
        let ids = Array(core.table.rows.keys)
        let staging = Staging(
            directory: directory, catalog: catalog, cache: cache, lock: held, journal: journal, core: core,
            damage: damage, onChange: onChange)
        _ = staging.partFromCatalog(ids)
        return staging
    }

    private static func takeUp(_ directory: String) throws(StagingError) -> (Journal, Core) {
        try refuseLostJournal(directory)
        let journal = try openJournal(directory)
        try journal.check()
        do throws(CatalogError) { return (journal, try load(journal, directory + "/staging")) } catch {
            throw StagingError(error)
        }
    }

    /// Contents are made after the journal. Where they are and it is not, or has nothing in it, it was lost: one that is
    /// begun anew would know of none of them.
    private static func refuseLostJournal(_ directory: String) throws(StagingError) {
        guard ((try? Files.status(directory + "/journal.sqlite"))?.size ?? 0) == 0 else { return }
        let contents = (try? Files.names(in: directory + "/staging")) ?? []
        if !contents.isEmpty { throw StagingError(.corrupt, "the journal is gone") }
    }

    private static func openJournal(_ directory: String) throws(StagingError) -> Journal {
        let path = directory + "/journal.sqlite"
        while true {
            do throws(StagingError) { return try Journal(path: path) } catch {
                guard error.kind == .diskFull, Reserve.release(in: directory) else { throw error }
            }
        }
    }

    /// Takes up the journal's rows, and tidies the directory of contents.
    private static func load(_ journal: Journal, _ contents: String) throws(CatalogError) -> Core {
        var core = Core()
        var files: Set<String> = []
        for found in try journal.rows(contents: contents) {
            var row = found
            if let content = row.change.content {
                files.insert(content.path)
                guard let status = try? Files.status(content.path) else {
                    core.lost.append(row.change.subject)
                    log.error("contents are gone", ["name": row.change.subject, "path": content.path])
                    continue
                }
                // A file that was open goes on from its last write.
                if row.change.state == .open || status.size != content.size {
                    row.change.content?.size = status.size
                }
            }
            for content in [row.unfinished?.content, row.before?.content] {
                if let content { files.insert(content.path) }
            }
            // What failed is tried again by a new process.
            if row.change.state == .open || row.change.state == .failed {
                row.change.state = core.table.restingState(row.change)
            }
            core.table.put(row)
            core.inherited[row.change.id] = row.change.generation
        }
        for record in try journal.conflicts() {
            core.table.put(record)
            core.lastConflict = max(core.lastConflict, record.id)
        }
        for progress in try journal.abandoned() {
            core.table.setAbandoned(progress.uploadID, .init(progress: progress, id: 0, generation: 0))
        }
        core.lastBatch = try journal.number("last_batch") ?? 0
        core.table.setBatch(try journal.number("batch"))
        core.table.endOldBatches()
        _ = core.table.takeSteps()
        core.table.assumeSent()
        for name in (try? Files.names(in: contents)) ?? [] {
            if let number = Int64(name) { core.nextFile = max(core.nextFile, number + 1) }
            // Never flushed, or superseded.
            if !files.contains(contents + "/" + name) { try? Files.remove(contents + "/" + name) }
        }
        return core
    }

    /// The fingerprint of a file of contents; nil where it cannot be read.
    func fingerprint(of path: String) -> ContentFingerprint? {
        do throws(SystemError) {
            let file = try FileDescriptor.open(path)
            let digest = MD5()
            var size: UInt64 = 0
            while true {
                let bytes = try file.read(at: size, count: 1 << 20)
                if bytes.isEmpty { return ContentFingerprint(size: size, md5: Hex.encode(digest.finalize())) }
                digest.update(bytes)
                size += UInt64(bytes.count)
            }
        } catch {
            Staging.log.warning("contents not read", ["path": path, "cause": error.description])
            return nil
        }
    }
}
