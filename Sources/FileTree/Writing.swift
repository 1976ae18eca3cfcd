public import Platform
internal import SessionCache

/// An open file, as the tree hands it out: the handle for reads, writes and the close, and the file.
public typealias OpenedFile = (handle: UInt64, file: any OpenFile)

/// What is to be set of a file by setattr: nil leaves it as it is.
public struct AttributeChange: Sendable, Equatable {
    /// The length in bytes.
    public var size: UInt64?
    /// The modification time.
    public var modified: Timestamp?
    /// No change.
    public init(size: UInt64? = nil, modified: Timestamp? = nil) {
        self.size = size
        self.modified = modified
    }
}

/// What a flush leaves to be done.
public enum FlushOutcome: Sendable, Equatable {
    /// Nothing: what was written is durable here.
    case done
    /// The contents of this session are on their way to the bucket, and the close is to wait for them.
    case awaitsCloud(Int64)
}

// Calls that change something. All throw `.readOnly` outside `sessions/` and in a tree that cannot be written.
extension FileTree {
    /// Whether anything can be changed.
    public var isWritable: Bool { sources.staging != nil }

    private func staging(_ directory: Inode) throws(FileSystemError) -> Staging {
        guard let staging = sources.staging, directory == Inode(slot: .sessions) else {
            throw FileSystemError(.readOnly)
        }
        return staging
    }

    private func staging(ofBody inode: Inode) throws(FileSystemError) -> Staging {
        guard let staging = sources.staging, inode.slotIndex == Int(Inode.Slot.body.rawValue) else {
            throw FileSystemError(.readOnly)
        }
        return staging
    }

    /// Throws what making anything but a regular file in a directory comes to.
    public func refuseSpecialFile(in directory: Inode) throws(FileSystemError) {
        _ = try staging(directory)
        throw FileSystemError(.notPermitted, "sessions/ holds regular files only")
    }

    private func touchListing() { listingChanged.withLock { $0 = .now } }

    // MARK: Opening

    /// Makes a file and opens it for writing; opens the one that is there unless `exclusive`. Waits for the disk, and
    /// for the store where an existing session is not cached.
    /// - Parameter onWait: called before it waits for the store.
    /// - Throws: `.exists`, `.invalidArgument` for a name that cannot be in a bucket, `.nameTooLong`, `.diskFull`.
    public func create(
        _ name: String, in directory: Inode, exclusive: Bool, truncating: Bool, onWait: () -> Void = {}
    ) throws(FileSystemError) -> (attributes: FileAttributes, opened: OpenedFile) {
        let staging = try staging(directory)
        guard name.utf8.count <= 255 else { throw FileSystemError(.nameTooLong) }
        var attempts = 0
        while true {
            attempts += 1
            let made: StagedFile
            do throws(StagingError) {
                made = try staging.create(name)
            } catch {
                guard error.kind == .exists, !exclusive else { throw FileSystemError(error) }
                // Made by someone else since the kernel looked the name up.
                guard let found = try? lookup(name, in: directory) else {
                    guard attempts < 10 else { throw FileSystemError(error) }
                    staging.waitUntilShown()
                    continue
                }
                if isAway(found.inode, truncating: truncating) { onWait() }
                let opened = try waiting { self.openForWriting(found.inode, truncating: truncating, reply: $0) }
                return (try attributes(found.inode), opened)
            }
            touchListing()
            pages.forget(made.id)
            let opened = add(SessionFile(local: made))
            do throws(FileSystemError) {
                return (try attributes(Inode(slot: .body, row: made.id)), opened)
            } catch {
                close(opened.handle)
                throw error
            }
        }
    }

    private func add(_ file: SessionFile) -> OpenedFile { (handles.withLock { $0.add(file) }, file) }

    /// Whether opening a session for writing waits for the store: its bytes are neither staged nor cached. Those that
    /// are dropped are waited for only where somebody else fetches them already.
    public func isAway(_ inode: Inode, truncating: Bool) -> Bool {
        if let staging = sources.staging, (try? staging.openContents(id: inode.row)) != nil { return false }
        return switch sources.cache.state(inode.row) {
        case .cached: false
        case .downloading: true
        case .remote: !truncating
        }
    }

    /// Opens a session for writing. Never waits: a body that is not cached is fetched first, and then the reply comes
    /// later, on another thread.
    public func openForWriting(
        _ inode: Inode, truncating: Bool, reply: @escaping @Sendable (Result<OpenedFile, FileSystemError>) -> Void
    ) {
        draft(inode, truncating: truncating) { result in
            reply(result.map { self.add($0) })
        }
    }

    /// Makes a draft of a session, or joins the one that there is; all who have the session open go over to it.
    private func draft(
        _ inode: Inode, truncating: Bool, reply: @escaping @Sendable (Result<SessionFile, FileSystemError>) -> Void
    ) {
        let staging: Staging
        do throws(FileSystemError) { staging = try self.staging(ofBody: inode) } catch { return reply(.failure(error)) }
        staging.openForWriting(id: inode.row, truncating: truncating) { [self] result in
            switch result {
            case .failure(let error): reply(.failure(FileSystemError(error)))
            case .success(let draft):
                followDraft(inode.row, staging)
                reply(.success(SessionFile(local: draft)))
            }
        }
    }

    /// Whoever has a session open reads the draft that is made of it.
    private func followDraft(_ id: Int64, _ staging: Staging) {
        pages.forget(id)
        for file in openSessions where file.id == id { file.followLocal(staging) }
    }

    /// Changes an open file, which may have been handed over for sending meanwhile.
    private func alter(
        _ file: SessionFile, _ staging: Staging, _ body: (StagedFile) throws(StagingError) -> Void
    ) throws(FileSystemError) {
        try file.change(staging, reopened: { followDraft(file.id, staging) }, body)
    }

    /// Waits for a reply, on a thread that may wait.
    private func waiting<Value: Sendable>(
        _ start: (@escaping @Sendable (Result<Value, FileSystemError>) -> Void) -> Void
    ) throws(FileSystemError) -> Value {
        let answer = Guarded<Result<Value, FileSystemError>?>(nil)
        let done = Semaphore()
        start { result in
            answer.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        guard let result = answer.withLock({ $0 }) else { throw FileSystemError(.inputOutput) }
        return try result.get()
    }

    // MARK: Contents

    private func session(_ handle: UInt64) throws(FileSystemError) -> (SessionFile, Staging) {
        guard let staging = sources.staging, let file = handles.withLock({ $0.files[handle] }) as? SessionFile else {
            throw FileSystemError(.invalidArgument, "no such handle")
        }
        return (file, staging)
    }

    /// Whether the close of an open file waits for the disk.
    public func isOpenForWriting(_ handle: UInt64) -> Bool {
        (handles.withLock { $0.files[handle] } as? SessionFile)?.isWritable ?? false
    }

    /// Whether a change of an open file waits until it is open for writing again, after it was given up for sending.
    public func needsReopening(_ handle: UInt64) -> Bool { (try? session(handle).0.needsReopening) ?? false }

    /// Writes all bytes at an offset of an open file.
    /// - Parameter appending: the file was opened to be appended to.
    /// - Returns: false when the end of the file was elsewhere than the caller took it to be, so that the bytes are at
    ///   another offset.
    /// - Throws: `.diskFull`, `.tooLarge`, `.notPermitted` for a file that is open for reading only.
    public func write(
        _ handle: UInt64, _ bytes: RawSpan, at offset: UInt64, appending: Bool = false
    ) throws(FileSystemError) -> Bool {
        let (file, staging) = try session(handle)
        var isWhereExpected = true
        // A span cannot be captured; its memory outlives the call.
        try bytes.withUnsafeBytes { buffer throws(FileSystemError) in
            try alter(file, staging) { draft throws(StagingError) in
                let end = appending ? draft.size : offset
                isWhereExpected = end == offset
                try draft.write(RawSpan(_unsafeBytes: buffer), at: end)
            }
        }
        return isWhereExpected
    }

    /// Reserves space for a range of an open file.
    public func allocate(
        _ handle: UInt64, _ range: Range<UInt64>, keepingSize: Bool
    ) throws(FileSystemError) {
        let (file, staging) = try session(handle)
        try alter(file, staging) { draft throws(StagingError) in
            try draft.allocate(range, keepingSize: keepingSize)
        }
    }

    /// Makes what was written to an open file durable. Waits for the disk.
    public func synchronize(_ handle: UInt64) throws(FileSystemError) {
        try session(handle).0.flush()
    }

    /// A descriptor of an open file is closed: what was written is durable when it returns. Waits for the disk.
    public func flush(_ handle: UInt64) throws(FileSystemError) -> FlushOutcome {
        let (file, staging) = try session(handle)
        try file.flush()
        // A shell closes a copy of the descriptor before the program that it starts has written anything.
        guard sources.awaitCloud != nil, file.isWritable, file.size > 0 else { return .done }
        guard let written = staging.change(id: file.id)?.name, Staging.isPublished(written) else { return .done }
        // Sent is only what nobody writes to, and another program may still have it open: then its close waits.
        file.handOver()
        guard let change = staging.change(id: file.id), Staging.isPublished(change.subject) else { return .done }
        switch change.state {
        case .ready, .refused, .failed, .conflict: return .awaitsCloud(file.id)
        case .open, .local, .held: return .done
        }
    }

    /// Whether closes wait for the bucket.
    public var closesWaitForCloud: Bool { sources.awaitCloud != nil }

    /// Waits until a session's contents are in the bucket.
    /// - Returns: why they do not get there; nil when they have.
    public func awaitCloud(_ id: Int64) async -> FileSystemError? { await sources.awaitCloud?(id) }

    // MARK: Attributes

    /// Sets attributes. Waits for the disk, not for the network: a session that is not cached is fetched before it can be
    /// cut or lengthened, and then the reply comes later, on another thread.
    /// - Parameters:
    ///   - handle: an open file to change the length by; nil opens and closes one.
    ///   - proceeds: asked after such a wait; false when nobody wants the change any more.
    public func setAttributes(
        _ inode: Inode, _ change: AttributeChange, handle: UInt64?,
        proceeds: @escaping @Sendable () -> Bool = { true },
        reply: @escaping @Sendable (Result<FileAttributes, FileSystemError>) -> Void
    ) {
        do throws(FileSystemError) {
            let staging = try staging(inode == Inode(slot: .sessions) ? inode : Inode(slot: .sessions))
            // A copy of a whole tree sets the directory's own time in the end.
            guard inode != Inode(slot: .sessions) else { return reply(.success(try attributes(inode))) }
            _ = try self.staging(ofBody: inode)
            guard let size = change.size else {
                try setModified(inode, change.modified, staging)
                return reply(.success(try attributes(inode)))
            }
            if let handle, let (file, _) = try? session(handle), file.isWritable {
                try alter(file, staging) { draft throws(StagingError) in try draft.truncate(to: size) }
                try setModified(inode, change.modified, staging)
                return reply(.success(try attributes(inode)))
            }
            draft(inode, truncating: size == 0) { [self] result in
                reply(
                    result.flatMap { file in
                        Result { () throws(FileSystemError) in
                            defer { file.close() }
                            guard proceeds() else { throw FileSystemError(.interrupted) }
                            try alter(file, staging) { draft throws(StagingError) in try draft.truncate(to: size) }
                            try setModified(inode, change.modified, staging)
                            try file.flush()
                            return try attributes(inode)
                        }
                    })
            }
        } catch { reply(.failure(error)) }
    }

    private func setModified(_ inode: Inode, _ time: Timestamp?, _ staging: Staging) throws(FileSystemError) {
        guard let time else { return }
        try changing { () throws(StagingError) in try staging.setModified(id: inode.row, time) }
    }

    // MARK: Names

    /// Removes a name. Waits for the disk.
    /// - Returns: what the kernel may have cached elsewhere than under that name.
    /// - Throws: `.notFound`, `.diskFull`.
    public func remove(_ name: String, in directory: Inode) throws(FileSystemError) -> [Invalidation] {
        let staging = try staging(directory)
        _ = try changing { () throws(StagingError) in try staging.remove(name) }
        touchListing()
        return staleIndexes([name])
    }

    /// Renames within `sessions/`, over a file that has the new name unless that is forbidden. Waits for the disk.
    /// - Returns: what the kernel may have cached elsewhere than under the two names.
    /// - Throws: `.notFound`, `.exists`, `.busy`, `.crossDevice`, `.diskFull`.
    public func rename(
        _ name: String, in directory: Inode, to newName: String, in newDirectory: Inode, replacing: Bool
    ) throws(FileSystemError) -> [Invalidation] {
        let staging = try staging(directory)
        _ = try self.staging(newDirectory)
        guard newName.utf8.count <= 255 else { throw FileSystemError(.nameTooLong) }
        _ = try changing { () throws(StagingError) in try staging.rename(name, to: newName, replacing: replacing) }
        touchListing()
        return staleIndexes([name, newName])
    }

    /// The index of a session is shown while the session has the name that it has in the bucket.
    private func staleIndexes(_ names: [String]) -> [Invalidation] {
        let indexes = names.compactMap { indexName(ofBody: $0) }
        if indexes.isEmpty { return [] }
        return indexes.map { .name($0, in: Inode(slot: .metaIndexes)) } + [.listing(Inode(slot: .metaIndexes))]
    }
}
