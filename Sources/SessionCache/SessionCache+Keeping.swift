public import Catalog
internal import Platform

/// What stays on the disk and what goes.
extension SessionCache {
    /// Makes a verified body part of the cache. Runs on the disk lane.
    /// - Returns: why it was not kept; its readers have their bytes all the same.
    func keep(
        _ download: Download, _ file: PartialFile, _ digest: Digest, _ version: DownloadPlan.Version
    ) -> String? {
        let id = download.id
        guard state.withLock({ $0.downloads[id] === download }) else { return "a newer version is arriving" }
        do throws(CatalogError) {
            guard let entry = try catalog.entry(id: id) else { return "the session is gone" }
            if let etag = version.etag, let current = entry.etag, etag != current { return "a newer version is known" }
            let modified: Timestamp?
            do throws(SystemError) {
                modified = try file.publish(as: path(of: entry.fileName), size: version.size)
            } catch {
                SessionCache.log.warning("body not kept", ["cause": error.description])
                return error.description
            }
            guard let modified else { return "another process has cached it" }
            let isPinned = try catalog.body(id: id)?.pinned ?? false
            try catalog.recordBody(
                CachedBody(
                    id: id, fileName: entry.fileName, etag: version.etag, size: version.size, digest: "\(digest)",
                    fileModified: modified, lastUsed: .now, pinned: isPinned))
        } catch {
            SessionCache.log.warning("body not recorded", ["cause": error.description])
            return error.description
        }
        state.withLock { _ = $0.doomed.remove(id) }
        trim(adding: 0)
        return nil
    }

    /// Makes the file of a download; when the disk is full, other bodies go and it is tried once more.
    func makePartialFile(_ id: Int64, size: UInt64) throws(SystemError) -> PartialFile {
        do throws(SystemError) {
            return try PartialFile(in: directory, id: id, size: size)
        } catch  where error.isDiskFull {
            guard makeRoom(for: size) > 0 else { throw error }
            return try PartialFile(in: directory, id: id, size: size)
        }
    }

    /// Keeps within the size limit, with so many bytes about to come.
    func trim(adding bytes: UInt64) {
        guard let limit = options.maxBytes, let held = try? catalog.cachedBytes.bytes else { return }
        let total = held + bytes
        let isOver = total > limit && evict(total - limit) < total - limit
        state.withLock { $0.isOverLimit = isOver }
    }

    /// Removes bodies, the least recently used first, until so many bytes are free again or none is left that may go.
    /// - Returns: the bytes that were removed.
    func makeRoom(for bytes: UInt64) -> UInt64 { evict(bytes) }

    private func evict(_ needed: UInt64) -> UInt64 {
        guard let bodies = try? catalog.bodies() else { return 0 }
        var freed: UInt64 = 0
        for body in bodies.filter({ !$0.pinned }).sorted(by: { $0.lastUsed < $1.lastUsed }) {
            if freed >= needed { break }
            guard !isOpen(body.id), remove(body) else { continue }
            freed += body.size
            state.withLock { $0.statistics.evictions += 1 }
        }
        return freed
    }

    private func isOpen(_ id: Int64) -> Bool { state.withLock { $0.opens[id] != nil } }

    /// Removes a body's file and its record.
    private func remove(_ body: CachedBody) -> Bool {
        do {
            // A session that was deleted and made again has the name but another id: its file stays.
            let owner = try catalog.entry(fileName: body.fileName)
            if !body.fileName.isEmpty, owner.map({ $0.id == body.id }) ?? true {
                try Files.remove(path(of: body.fileName))
            }
            try catalog.removeBody(id: body.id)
            return true
        } catch {
            SessionCache.log.warning("body not removed", ["cause": "\(error)"])
            return false
        }
    }

    /// - Parameter evenCurrent: also a body of the version that the catalog names.
    func removeUnlessOpen(_ id: Int64, evenCurrent: Bool) {
        guard !isOpen(id), let body = try? catalog.body(id: id) else { return }
        if !evenCurrent, let entry = try? catalog.entry(id: id), body.isCurrent(for: entry) { return }
        _ = remove(body)
    }

    /// Removes cached bodies; those that are open go at their last close. Downloads go on; one that has just been
    /// verified is kept first and then removed like the others. Waits for the disk.
    /// - Parameter keepPinned: leaves pinned ones.
    /// - Returns: how many went at once, and their bytes.
    @discardableResult
    public func clear(keepPinned: Bool) -> (bodies: Int, bytes: UInt64) {
        lanes.waitForDisk()
        guard let bodies = try? catalog.bodies() else { return (0, 0) }
        var result = (bodies: 0, bytes: UInt64(0))
        for body in bodies where !(keepPinned && body.pinned) && !doomIfOpen(body.id) && remove(body) {
            result.bodies += 1
            result.bytes += body.size
        }
        return result
    }

    /// Follows a change of the catalog: bodies of sessions that are gone, or of older versions, are removed as soon as
    /// nobody reads them.
    public func apply(_ delta: CatalogDelta) {
        if delta.reset {
            followReset()
            lanes.disk { self.tidy() }
        }
        for item in delta.removed {
            // One that is still there was renamed, see ``renamed(id:from:to:)``.
            if let entry = try? catalog.entry(id: item.id), entry.id == item.id { continue }
            // One that is being renamed comes back, and what is read of it is found where it is.
            if movingEntry(item.id) != nil { continue }
            let download = state.withLock { $0.downloads.removeValue(forKey: item.id) }
            // The same object by another id: whoever reads it gets its bytes.
            let known = (try? catalog.entry(fileName: item.fileName)) ?? nil
            if known?.etag == nil || known?.etag != download?.etag {
                download?.end(CacheError(.notFound, "\(item.fileName): removed from the store"))
            }
            discard(item.id)
        }
        for id in delta.changed {
            guard let entry = try? catalog.entry(id: id), let body = try? catalog.body(id: id) else { continue }
            if !body.isCurrent(for: entry) { discard(id) }
        }
    }

    /// The catalog was made anew, so that ids mean other sessions now; or another process has changed it, which
    /// concerns only downloads of what is gone.
    private func followReset() {
        let generation = catalog.generation
        let (isAnew, downloads) = state.withLock { state in
            let isAnew = state.generation != generation
            state.generation = generation
            defer { if isAnew { state.downloads = [:] } }
            return (isAnew, Array(state.downloads.values))
        }
        for download in downloads {
            if isAnew {
                download.end(CacheError(.interrupted, "the catalog was made anew"))
            } else if isGone(download.id) {
                download.end(CacheError(.notFound, "\(download.fileName): removed from the store"))
            }
        }
    }

    /// Whether the catalog is sure not to hold a session.
    private func isGone(_ id: Int64) -> Bool {
        do throws(CatalogError) { return try catalog.entry(id: id) == nil && movingEntry(id) == nil } catch {
            return false
        }
    }

    private func discard(_ id: Int64) {
        if !doomIfOpen(id) { lanes.disk { self.removeUnlessOpen(id, evenCurrent: false) } }
    }

    private func doomIfOpen(_ id: Int64) -> Bool {
        state.withLock { state in
            guard state.opens[id] != nil else { return false }
            state.doomed.insert(id)
            return true
        }
    }

    // MARK: Start

    /// Removes what earlier processes left: partial files, bodies of sessions that are gone. A whole file without a
    /// record, of which the process died just before it was written, is verified and recorded. Runs on the disk lane.
    func tidy() {
        do {
            let abandoned = try PartialFile.removeAbandoned(in: directory)
            if abandoned > 0 { SessionCache.log.info("removed partial downloads", ["count": "\(abandoned)"]) }
            // An empty catalog is one that has not learnt anything yet; then no file is known to be useless.
            guard try catalog.counts.sessions > 0 else { return }
            for body in try catalog.bodies() where try catalog.entry(id: body.id) == nil && !doomIfOpen(body.id) {
                _ = remove(body)
            }
            for name in try Files.names(in: directory) where name.hasSuffix(".fastshot") { try tidy(name) }
        } catch { SessionCache.log.warning("cache not tidied", ["cause": "\(error)"]) }
    }

    private func tidy(_ name: String) throws {
        guard let entry = try catalog.entry(fileName: name) else { return try Files.remove(path(of: name)) }
        guard try catalog.body(id: entry.id) == nil else { return }
        let expected = Digest(of: entry)
        let file = try FileDescriptor.open(path(of: name), [.read, .noFollow])
        let before = try file.status()
        guard let expected, before.kind == .regular, before.size == entry.size,
            try PrefixHasher.digest(of: file, like: expected) == expected, try file.status().modified == before.modified
        else { return try Files.remove(path(of: name)) }
        try catalog.recordBody(
            CachedBody(
                id: entry.id, fileName: name, etag: entry.etag, size: before.size, digest: "\(expected)",
                fileModified: before.modified, lastUsed: before.modified))
    }
}
