internal import Catalog
public import Platform
internal import SessionFormat
internal import Synchronization

/// Files of contents, open.
extension Staging {
    /// The contents of a file that lie here, open for reading, as the last write left them; nil when its contents are
    /// the bucket's and the cache has to be asked.
    public func openContents(id: Int64) throws(StagingError) -> StagedFile? {
        if pending.load(ordering: .acquiring) == 0 { return nil }
        while true {
            let (draft, nameless, content) = view.withLock { view in
                (view.namedDraft(id), view.drafts[id]?.draft, view.table.rows[id]?.change.content)
            }
            let isBack = nameless != nil && draft == nil && ((try? entry(id: id)) ?? nil) != nil
            if let draft = draft ?? (isBack ? nil : nameless) {
                return StagedFile(id: id, source: .draft(draft), isWritable: false, staging: self)
            }
            guard let content else { return nil }
            guard let file = try open(content, of: id) else { continue }
            return StagedFile(id: id, source: .whole(file, size: content.size), isWritable: false, staging: self)
        }
    }

    /// Opens accepted contents.
    /// - Returns: nil when they were sent or superseded meanwhile: look again.
    func open(_ content: StagedContent, of id: Int64) throws(StagingError) -> FileDescriptor? {
        do throws(SystemError) { return try FileDescriptor.open(content.path) } catch {
            guard error.isMissing else { throw StagingError(error) }
            // The cache may have taken the file, and the view is about to learn it: that is behind this lock.
            journal.withLock { _ in }
            let isSame = view.withLock { $0.table.rows[id]?.change.content?.path == content.path }
            if isSame { throw StagingError(error) }
            return nil
        }
    }

    /// Makes a file of no bytes and opens it for writing. It is listed from now on and durable from its first flush.
    /// Waits for the disk.
    /// - Throws: `.exists`, `.invalidName`, `.nameTooLong`, `.diskFull`, `.io`.
    public func create(_ fileName: String) throws(StagingError) -> StagedFile {
        try check(fileName)
        let (path, file) = try newFile()
        let now = Timestamp.now
        let content = StagedContent(path: path, size: 0, modified: now)
        do throws(StagingError) {
            let id = try reserveID()
            let draft = Draft(
                id: id, path: path, file: file, size: 0, modified: now, base: nil, rebases: 0, observer: growth,
                isChanged: true)
            let show: @Sendable () -> Void = {
                self.view.withLock { $0.drafts[id] = OpenDraft(draft: draft, writers: 1) }
            }
            try commit(hook: show) { core throws(TableError) in
                if try self.find(fileName, core) != nil { throw .refused(StagingError(.exists, fileName)) }
                try core.table.create(id: id, name: fileName, content: content, at: now)
            }
            noteWriting(fileName)
            return StagedFile(id: id, source: .draft(draft), isWritable: true, staging: self)
        } catch {
            try? Files.remove(path)
            throw error
        }
    }

    /// Why a name cannot be taken.
    func check(_ fileName: String) throws(StagingError) {
        guard let problem = SessionName.problem(withFileName: fileName) else { return }
        throw StagingError(problem == .tooLong ? .nameTooLong : .invalidName, "a name that \(problem)")
    }

    /// A new, empty file of contents.
    func newFile() throws(StagingError) -> (String, FileDescriptor) {
        let number = core.withLock { core in
            defer { core.nextFile += 1 }
            return core.nextFile
        }
        let path = "\(contents)/\(number)"
        do throws(SystemError) {
            return (path, try FileDescriptor.open(path, [.readWrite, .exclusive]))
        } catch { throw StagingError(error) }
    }

    func count(_ view: View) {
        pending.store(view.table.rows.count + view.drafts.count, ordering: .releasing)
    }

    /// Sets the modification time that is shown until the upload. Of a file whose contents are the bucket's it does
    /// nothing, for sessions show the time of their creation.
    /// - Throws: `.diskFull`, `.io`.
    public func setModified(id: Int64, _ time: Timestamp) throws(StagingError) {
        if let draft = view.withLock({ $0.drafts[id]?.draft }) { return draft.setModified(time) }
        guard change(id: id)?.content != nil else { return }
        try commit { core throws(TableError) in core.table.setModified(id: id, time) }
    }

    // MARK: Flushing

    /// Makes a draft durable, bytes and row.
    func flush(_ draft: Draft) throws(StagingError) {
        try draft.flushing.withLock { flushed throws(StagingError) in
            let before = draft.state.withLock { $0 }
            if before.version == flushed.version || before.isDetached { return }
            do throws(SystemError) {
                try draft.file.synchronize()
                FaultPoint.reached("staging.flush.data")
                if !flushed.isNamed {
                    try Files.synchronizeDirectory(contents)
                    flushed.isNamed = true
                    FaultPoint.reached("staging.flush.name")
                }
            } catch { throw StagingError(error) }
            let content = StagedContent(path: draft.path, size: before.size, modified: before.modified)
            let hasName = try commit { core throws(TableError) -> Bool in
                if draft.state.withLock({ $0.isDetached }) { return false }
                let base = core.base(of: draft)
                core.table.fingerprints.removeValue(forKey: draft.path)
                return try core.table.write(id: draft.id, base: base, content: content, isOpen: true, at: .now)
            }
            if !hasName { draft.state.withLock { $0.isDetached = true } }
            flushed.version = before.version
            FaultPoint.reached("staging.flush.journal")
        }
    }

    /// A writer has closed the file.
    func release(_ draft: Draft) {
        let isLast = view.withLock { view in
            guard view.drafts[draft.id]?.draft === draft else { return true }
            view.drafts[draft.id]?.writers -= 1
            return view.drafts[draft.id]?.writers == 0
        }
        noteActivity()
        guard isLast else { return }
        var isAccepted = true
        do throws(StagingError) { try flush(draft) } catch {
            isAccepted = false
            Staging.log.error("last writes not recorded", ["id": "\(draft.id)", "cause": error.description])
        }
        // Who opened it again meanwhile goes on with it.
        let isOver = view.withLock { view in
            guard let open = view.drafts[draft.id], open.draft === draft else { return true }
            guard open.writers == 0 else { return false }
            view.drafts[draft.id] = nil
            self.count(view)
            return true
        }
        guard isOver else { return }
        settle(draft, isAccepted: isAccepted)
    }

    private func settle(_ draft: Draft, isAccepted: Bool) {
        let state = draft.state.withLock { $0 }
        if !state.isDetached {
            let content = StagedContent(path: draft.path, size: state.size, modified: state.modified)
            do throws(StagingError) {
                try commit(isVital: true) { core throws(TableError) in
                    if isAccepted {
                        core.table.settle(id: draft.id, content: content)
                    } else {
                        try core.table.abandon(id: draft.id, reserve: self.reserveID, at: .now)
                        core.table.settle(id: draft.id, content: content)
                    }
                }
            } catch {
                Staging.log.error("closed file not recorded", ["id": "\(draft.id)", "cause": error.description])
            }
        }
        removeUnlessNeeded(draft.path, of: draft.id)
        FaultPoint.reached("staging.close")
        announceReady()
    }
}

extension SystemError {
    /// Whether the file is not there.
    var isMissing: Bool { code == 2 }
}
