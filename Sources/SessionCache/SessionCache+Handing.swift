internal import Catalog
internal import Glibc
internal import ObjectStore
public import Platform

/// Bodies that go between the cache and the staging directory. These run on the calling thread and wait for the disk,
/// but for no network unless they say so.
extension SessionCache {
    /// Makes an uploaded file the cached body of a session: its file is moved here, or copied from another filesystem.
    /// Called after the catalog has learnt of the upload.
    /// - Parameters:
    ///   - path: the file; it is gone afterwards, or left where it could not be taken.
    ///   - digest: `md5:<hex>` or `sha256:<hex>` of the contents.
    /// - Returns: whether it was taken.
    public func adopt(
        id: Int64, fileName: String, path: String, size: UInt64, etag: String?, digest: String
    ) -> Bool {
        // One of the older version may be arriving; its readers have their bytes all the same.
        state.withLock { _ = $0.downloads.removeValue(forKey: id) }
        do {
            let before = try catalog.body(id: id)
            let modified = try take(path, as: self.path(of: fileName), id: id, size: size)
            try catalog.recordBody(
                CachedBody(
                    id: id, fileName: fileName, etag: etag, size: size, digest: digest, fileModified: modified,
                    lastUsed: .now, pinned: before?.pinned ?? false))
            state.withLock { _ = $0.doomed.remove(id) }
            if let before { removeLeftName(before.fileName, of: id, now: fileName) }
        } catch {
            SessionCache.log.warning("uploaded body not kept", ["cause": "\(error)"])
            return false
        }
        lanes.disk { self.trim(adding: 0) }
        return true
    }

    /// - Returns: the modification time of the file in its new place.
    private func take(_ source: String, as target: String, id: Int64, size: UInt64) throws -> Timestamp {
        let file = try FileDescriptor.open(source, [.read, .noFollow])
        let status = try file.status()
        guard status.kind == .regular, status.size == size else {
            throw SystemError(code: EIO, operation: "check length", subject: source)
        }
        do throws(SystemError) {
            try Files.rename(source, to: target)
            return status.modified
        } catch  where error.code == EXDEV {
            let copy = try makePartialFile(id, size: size)
            try copy.fill(from: file, size: size)
            guard let modified = try copy.publish(as: target, size: size) else {
                throw SystemError(code: EBUSY, operation: "rename", subject: target)
            }
            try? Files.remove(source)
            return modified
        }
    }

    /// Removes the file that a session had under an older name, unless that is another session's now.
    private func removeLeftName(_ old: String, of id: Int64, now name: String) {
        guard !old.isEmpty, !old.utf8.elementsEqual(name.utf8) else { return }
        do {
            if let owner = try catalog.entry(fileName: old), owner.id != id { return }
            try Files.remove(path(of: old))
        } catch { SessionCache.log.warning("body not removed", ["cause": "\(error)"]) }
    }

    /// The whole verified body of a session when it is cached; nil when it would have to be fetched.
    public func cachedBody(id: Int64) throws(CacheError) -> FileDescriptor? {
        guard let entry = try entry(id) else { throw CacheError(.notFound, "no session with id \(id)") }
        guard let (file, _) = try validFile(entry) else { return nil }
        catalog.touchBody(id: id, at: .now)
        return file
    }

    /// The whole verified body of a session, fetched when it is not cached.
    /// - Throws: as a read would; `.offline` at once while the store is known to be away.
    public func wholeBody(id: Int64) async throws(CacheError) -> FileDescriptor {
        try await whole(try open(id))
    }

    func whole(_ body: OpenBody) async throws(CacheError) -> FileDescriptor {
        defer { body.close() }
        while true {
            if let file = body.complete { return file }
            let size = body.size
            // The last byte is given when everything is there and verified.
            let outcome = await withTaskCancellationHandler {
                await withCheckedContinuation { done in
                    body.read(at: max(size, 1) - 1, count: 1) { done.resume(returning: $0) }
                }
            } onCancel: {
                body.close()
            }
            switch outcome {
            case .failure(let error): throw error
            case .success(.file(let file, _, _)):
                // The store may have had another version, of another length.
                if body.size == size { return file }
            }
        }
    }

    /// A session was renamed: its cached file follows. Called after the catalog has learnt of it.
    public func renamed(id: Int64, from fileName: String, to newName: String) {
        do {
            guard var body = try catalog.body(id: id), body.fileName.utf8.elementsEqual(fileName.utf8) else { return }
            guard let entry = try catalog.entry(id: id), entry.fileName.utf8.elementsEqual(newName.utf8),
                body.holds(entry), let status = try Files.status(path(of: fileName)), body.describes(status)
            else { return removeUnlessOpen(id, evenCurrent: true) }
            try Files.rename(path(of: fileName), to: path(of: newName))
            body.fileName = newName
            body.etag = entry.etag
            try catalog.recordBody(body)
        } catch { SessionCache.log.warning("body not renamed", ["cause": "\(error)"]) }
    }
}

extension CachedBody {
    /// Whether it has the contents of an entry, whose tag may be another after a copy in the store.
    fileprivate func holds(_ entry: SessionEntry) -> Bool {
        guard size == entry.size else { return false }
        if let md5 = entry.contentMD5, digest.hasPrefix("md5:") { return digest == "md5:\(md5)" }
        if let sha256 = entry.sha256, digest.hasPrefix("sha256:") { return digest == "sha256:\(sha256)" }
        return true
    }
}
