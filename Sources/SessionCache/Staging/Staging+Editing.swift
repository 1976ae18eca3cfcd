internal import Catalog
internal import Platform
internal import Synchronization

/// Files that exist, opened for writing: a draft of their contents is made first.
extension Staging {
    /// Opens a file for writing. Contents that the bucket holds are fetched first, unless they are dropped.
    /// Never waits: the reply may come on another thread.
    /// - Parameter truncating: begins with no bytes.
    public func openForWriting(
        id: Int64, truncating: Bool, reply: @escaping @Sendable (Result<StagedFile, StagingError>) -> Void
    ) {
        let opening = Opening(truncating: truncating, reply: reply)
        let (draft, isFirst) = view.withLock { view -> (Draft?, Bool) in
            if let draft = view.namedDraft(id) {
                view.drafts[id]?.writers += 1
                return (draft, false)
            }
            view.preparing[id, default: []].append(opening)
            return (nil, view.preparing[id]?.count == 1)
        }
        if let draft {
            pool.run { self.answer(opening, draft) }
        } else if isFirst {
            pool.run { self.prepare(id, truncating: truncating) }
        }
    }

    private func answer(_ opening: Opening, _ draft: Draft) {
        let file = StagedFile(id: draft.id, source: .draft(draft), isWritable: true, staging: self)
        if opening.truncating, file.size > 0 {
            do throws(StagingError) { try file.truncate(to: 0) } catch { return opening.reply(.failure(error)) }
        }
        opening.reply(.success(file))
    }

    /// Makes the draft of a file, or says why there is none.
    private func prepare(_ id: Int64, truncating: Bool) {
        noteWriting((try? entry(id: id))?.fileName)
        do throws(StagingError) {
            var base = try namedBase(of: id)
            if truncating { return finish(id, try makeDraft(id, base, copying: nil)) }
            while let content = base.content {
                if let source = try open(content, of: id) {
                    return finish(id, try makeDraft(id, base, copying: source, modified: content.modified))
                }
                base = try namedBase(of: id)
            }
            if let body = try cached(id), try self.base(of: id)?.remote == base.remote {
                return finish(id, try makeDraft(id, base, copying: body))
            }
        } catch { return fail(id, error) }
        Task {
            let fetched: Result<FileDescriptor, StagingError>
            do throws(CacheError) { fetched = .success(try await self.cache.wholeBody(id: id)) } catch {
                fetched = .failure(StagingError(error))
            }
            self.pool.run { self.prepare(id, fetched) }
        }
    }

    /// Makes the draft of a body that was fetched.
    private func prepare(_ id: Int64, _ fetched: Result<FileDescriptor, StagingError>) {
        do throws(StagingError) {
            let body = try fetched.get()
            for _ in 0..<8 {
                let base = try namedBase(of: id)
                let kept = try cached(id)
                // While it was fetched another version may have become known: the body must be of what is replaced.
                guard try self.base(of: id)?.remote == base.remote else { continue }
                let draft = try makeDraft(id, base, copying: kept ?? body)
                if let version = base.remote?.version, draft.content.size == version.size { return finish(id, draft) }
                try? Files.remove(draft.path)
            }
            throw StagingError(.changed, "the session was replaced while it was fetched")
        } catch { fail(id, error) }
    }

    private struct Base {
        var remote: PendingTable.Remote?
        var content: StagedContent?
        var modified: Timestamp
        /// ``Staging/View/rebases`` from before the rest was looked up.
        var rebases: Int64
    }

    /// What a file is now; nil when it has no name.
    private func base(of id: Int64) throws(StagingError) -> Base? {
        let (row, rebases) = view.withLock { ($0.table.rows[id]?.change, $0.rebases) }
        if let row {
            guard row.name != nil else { return nil }
            let remote = row.remoteName.flatMap { name in
                row.remote.map { PendingTable.Remote(id: id, fileName: name, version: $0) }
            }
            return Base(
                remote: remote, content: row.content, modified: row.content?.modified ?? row.changed, rebases: rebases)
        }
        do throws(CatalogError) {
            guard let entry = try catalog.entry(id: id),
                !view.withLock({ $0.table.hides(id: id, fileName: entry.fileName) })
            else { return nil }
            return Base(remote: PendingTable.Remote(entry), content: nil, modified: entry.modified, rebases: rebases)
        } catch { throw StagingError(error) }
    }

    private func namedBase(of id: Int64) throws(StagingError) -> Base {
        guard let base = try base(of: id) else { throw StagingError(.notFound, "no file with id \(id)") }
        return base
    }

    private func cached(_ id: Int64) throws(StagingError) -> FileDescriptor? {
        do throws(CacheError) { return try cache.cachedBody(id: id) } catch {
            // A reader has met its rename half done, and the catalog does not know it for a while.
            guard error.kind == .notFound else { throw StagingError(error) }
            return nil
        }
    }

    private func makeDraft(
        _ id: Int64, _ base: Base, copying source: FileDescriptor?, modified: Timestamp? = nil
    ) throws(StagingError) -> Draft {
        let (path, file) = try newFile()
        do throws(SystemError) {
            if let source { try file.copyContents(of: source) }
            return Draft(
                id: id, path: path, file: file, size: try file.size(),
                modified: source == nil ? .now : modified ?? base.modified, base: base.remote,
                rebases: base.rebases, observer: growth, isChanged: source == nil)
        } catch {
            try? Files.remove(path)
            throw StagingError(error)
        }
    }

    /// Gives the draft to all who wait for it.
    private func finish(_ id: Int64, _ draft: Draft) {
        let isNamed = (try? base(of: id)).flatMap { $0 } != nil
        let (openings, isTaken) = view.withLock { view -> ([Opening], Bool) in
            let openings = view.preparing.removeValue(forKey: id) ?? []
            guard isNamed, view.table.rows[id].map({ $0.change.name != nil }) ?? true else { return (openings, false) }
            view.drafts[id] = OpenDraft(draft: draft, writers: openings.count)
            self.count(view)
            return (openings, true)
        }
        FaultPoint.reached("staging.open.copied")
        if isTaken {
            for opening in openings { answer(opening, draft) }
        } else {
            try? Files.remove(draft.path)
            for opening in openings { opening.reply(.failure(StagingError(.notFound, "no file with id \(id)"))) }
        }
    }

    private func fail(_ id: Int64, _ error: StagingError) {
        let openings = view.withLock { $0.preparing.removeValue(forKey: id) ?? [] }
        for opening in openings { opening.reply(.failure(error)) }
    }
}

extension PendingTable.Remote {
    init(_ entry: SessionEntry) {
        self.init(
            id: entry.id, fileName: entry.fileName,
            version: ObjectVersion(etag: entry.etag, size: entry.size, contentMD5: entry.contentMD5))
    }
}
