public import Catalog
internal import Platform
public import SessionCache
public import SessionFormat

/// The filesystem as plain calls: lookup, attributes, listings, open files. It knows neither FUSE nor the network;
/// calls are answered at once from local state, but for reads of bytes that are still arriving, and those that change
/// something, which wait for the disk and say so.
public final class FileTree: Sendable {
    /// What the tree shows from outside itself.
    public struct Sources: Sendable {
        /// The catalog that listings are answered from.
        public var catalog: Catalog
        /// Where bodies come from.
        public var cache: SessionCache
        /// The bucket's overall file as last seen; may be absent.
        public var overallPath: String
        /// The text of `.sessionfs/status.json`, made when it is asked for.
        public var status: @Sendable () -> [UInt8]

        /// The changes that are not in the bucket yet; nil for a tree that cannot be written.
        public var staging: Staging?
        /// How much of a session's contents is uploaded, 0 to 100; nil while none of them is.
        public var uploadPercent: @Sendable (Int64) -> Int?
        /// The metadata of contents that lie here; nil where they are none of a session.
        public var localMetadata: @Sendable (Int64) -> SessionMetadata?
        /// Waits until a session's contents are in the bucket, and says why when they do not get there. The task is
        /// cancelled when the program is interrupted. Nil where a close does not wait for the bucket.
        public var awaitCloud: (@Sendable (Int64) async -> FileSystemError?)?

        /// Sources by their parts; by default of a tree that cannot be written.
        public init(
            catalog: Catalog, cache: SessionCache, overallPath: String, status: @escaping @Sendable () -> [UInt8],
            staging: Staging? = nil, uploadPercent: @escaping @Sendable (Int64) -> Int? = { _ in nil },
            localMetadata: @escaping @Sendable (Int64) -> SessionMetadata? = { _ in nil },
            awaitCloud: (@Sendable (Int64) async -> FileSystemError?)? = nil
        ) {
            self.catalog = catalog
            self.cache = cache
            self.overallPath = overallPath
            self.status = status
            self.staging = staging
            self.uploadPercent = uploadPercent
            self.localMetadata = localMetadata
            self.awaitCloud = awaitCloud
        }
    }

    /// By slot; the three tables spare a dynamic cast at each call.
    private let nodes: [(any TreeNode)?]
    private let directories: [(any TreeDirectory)?]
    private let files: [(any TreeFile)?]
    let handles = Guarded(HandleTable())
    let pages = PageVersions()
    /// When the catalog last changed: the modification time of the directories that list it.
    let listingChanged = Guarded(Timestamp.now)
    let sources: Sources

    /// Builds the tree over its sources.
    public init(_ sources: Sources) {
        self.sources = sources
        let started = Timestamp.now
        let overall = OverallNode(path: sources.overallPath)
        let status = StatusNode(text: sources.status)
        let view = SessionsView(catalog: sources.catalog, staging: sources.staging)
        let sessions = SessionsDirectory(view: view, changed: listingChanged)
        let indexes = IndexesDirectory(view: view, changed: listingChanged)
        let control = FixedDirectory(slot: .control, started: started, entries: [("status.json", status)])
        let root = FixedDirectory(
            slot: .root, started: started,
            entries: [
                ("sessions", sessions), ("meta_indexes", indexes), ("overall_meta.json", overall),
                (".sessionfs", control),
            ])
        var nodes = [(any TreeNode)?](repeating: nil, count: 16)
        func place(_ slot: Inode.Slot, _ node: any TreeNode) { nodes[Int(slot.rawValue)] = node }
        place(.root, root)
        place(.sessions, sessions)
        place(.metaIndexes, indexes)
        place(.control, control)
        place(.overall, overall)
        place(.status, status)
        place(.body, BodyNode(view: view, sources: sources))
        place(.index, IndexNode(view: view))
        self.nodes = nodes
        directories = nodes.map { $0 as? any TreeDirectory }
        files = nodes.map { $0 as? any TreeFile }
    }

    private func node(_ inode: Inode) throws(FileSystemError) -> any TreeNode {
        guard let node = nodes[inode.slotIndex] else { throw FileSystemError(.stale) }
        return node
    }

    private func directory(_ inode: Inode) throws(FileSystemError) -> any TreeDirectory {
        guard let directory = directories[inode.slotIndex] else { throw FileSystemError(.notDirectory) }
        return directory
    }

    // MARK: Names and attributes

    /// The attributes of a name in a directory.
    public func lookup(_ name: String, in parent: Inode) throws(FileSystemError) -> FileAttributes {
        guard name.utf8.count <= 255 else { throw FileSystemError(.nameTooLong) }
        return try directory(parent).lookup(name, in: parent.row)
    }

    /// The attributes of a node.
    public func attributes(_ inode: Inode) throws(FileSystemError) -> FileAttributes {
        do throws(FileSystemError) {
            return try node(inode).attributes(inode.row)
        } catch {
            // fstat(2) of a file that was removed while it is open.
            guard error.kind == .stale, let file = openFile(inode) else { throw error }
            return file.attributesWithoutName
        }
    }

    /// Names of a node's extended attributes.
    public func attributeNames(_ inode: Inode) throws(FileSystemError) -> [String] {
        try node(inode).attributeNames(inode.row)
    }

    /// The value of an extended attribute. Namespaces other than `user.` answer `.attributesUnsupported` without a
    /// look at the node: `ls -l` then asks once for a whole mount, not twice for each file.
    public func attribute(_ name: String, of inode: Inode) throws(FileSystemError) -> [UInt8] {
        guard name.hasPrefix("user.") else { throw FileSystemError(.attributesUnsupported) }
        return try node(inode).attribute(name, inode.row)
    }

    // MARK: Listings

    /// Whether the inode is a directory that can be listed.
    public func openDirectory(_ inode: Inode) throws(FileSystemError) {
        _ = try directory(inode)
    }

    /// Entries behind a cookie; 0 begins with `.` and `..`.
    public func readDirectory(
        _ inode: Inode, after cookie: UInt64, _ emit: DirectoryEmitter
    ) throws(FileSystemError) {
        let directory = try directory(inode)
        if cookie < 1 {
            guard try emitName(".", directory.attributes(inode.row), next: 1, emit) else { return }
        }
        if cookie < 2 {
            guard try emitName("..", attributes(.root), next: 2, emit) else { return }
        }
        try directory.scan(inode.row, after: max(cookie, 2) - 2) { name, attributes, next in
            emit(name, attributes, next + 2)
        }
    }

    // MARK: Open files

    /// Opens a regular file for reading.
    /// - Returns: the handle for ``read(_:at:count:reply:)`` and ``close(_:)``, and the file.
    public func open(_ inode: Inode) throws(FileSystemError) -> (handle: UInt64, file: any OpenFile) {
        _ = try node(inode)
        guard let node = files[inode.slotIndex] else { throw FileSystemError(.isDirectory) }
        // What the kernel was told. Once the file is open, the store may at any moment tell of another version.
        let isBody = inode.slotIndex == Int(Inode.Slot.body.rawValue)
        let told = isBody ? (try? sources.catalog.entry(id: inode.row))??.size : nil
        let file = try open(node, inode)
        let handle = handles.withLock { $0.add(file) }
        // A draft that was made since is what all who have the file open read.
        if let session = file as? SessionFile, let staging = sources.staging, session.isOfBucket {
            session.followLocal(staging)
        }
        if let session = file as? SessionFile { settlePages(session, told: told) }
        return (handle, file)
    }

    private func open(_ node: any TreeFile, _ inode: Inode) throws(FileSystemError) -> any OpenFile {
        do throws(FileSystemError) {
            return try node.open(inode.row)
        } catch {
            guard error.kind == .notFound else { throw error }
            // `/proc/<pid>/fd/<n>` of a file that has no name any more.
            if let file = openFile(inode), let copy = file.reopened() { return copy }
            // It is gone since the kernel looked the name up, or has another id by now: the kernel looks again.
            throw FileSystemError(.stale)
        }
    }

    /// Reads from an open file; see ``OpenFile/read(at:count:reply:)``.
    public func read(_ handle: UInt64, at offset: UInt64, count: Int, reply: @escaping ReadReply) {
        guard let file = handles.withLock({ $0.files[handle] }) else {
            return reply(.failure(FileSystemError(.invalidArgument, "no such handle")))
        }
        file.read(at: offset, count: count, reply: reply)
    }

    /// Reads pages for the kernel's cache, see ``read(_:at:count:reply:)``. It asks for none behind the end of the file
    /// that it knows, and takes what a reply does not bring for zeros. Where the body turns out to be longer or shorter,
    /// the file has to be opened again.
    public func readPages(_ handle: UInt64, at offset: UInt64, count: Int, reply: @escaping ReadReply) {
        guard let session = handles.withLock({ $0.files[handle] }) as? SessionFile else {
            return read(handle, at: offset, count: count, reply: reply)
        }
        session.read(at: offset, count: count) { result in
            if case .success(.file(_, let start, let given)) = result, session.isOfBucket,
                session.isOtherwise(end: given < count ? start + UInt64(given) : nil, asked: offset + UInt64(count))
            {
                return reply(.failure(SessionFile.replaced))
            }
            reply(result)
        }
    }

    /// Closes an open file.
    public func close(_ handle: UInt64) {
        handles.withLock { $0.files.removeValue(forKey: handle) }?.close()
    }

    /// Has open sessions look which contents are theirs now. Those fail of which the catalog names another version.
    func checkVersions(_ isChanged: (Int64) -> Bool) {
        for file in openSessions where isChanged(file.id) { file.follow(sources) }
    }

    /// Sessions that are open.
    var openSessions: [SessionFile] {
        handles.withLock { $0.files.values.compactMap { $0 as? SessionFile } }
    }

    /// Someone's open file of an inode.
    private func openFile(_ inode: Inode) -> SessionFile? {
        guard sources.staging != nil, inode.slotIndex == Int(Inode.Slot.body.rawValue) else { return nil }
        return openSessions.first { $0.id == inode.row && $0.isWritable }
            ?? openSessions.first { $0.id == inode.row }
    }

    /// Closes all files: those that are open for writing become ready to be sent. For the end of the mount, when the
    /// kernel closes nothing any more.
    public func closeAll() {
        let open = handles.withLock { table in
            defer { table.files = [:] }
            return Array(table.files.values)
        }
        for file in open { file.close() }
    }

    /// How many files are open.
    public var openFiles: Int { handles.withLock { $0.files.count } }

    // MARK: Statistics

    /// What statfs shows: bytes in the bucket as used, and the free space of the cache's disk as available.
    public func statistics() throws(FileSystemError) -> TreeStatistics {
        let counts = try reading { () throws(CatalogError) in try sources.catalog.counts }
        return TreeStatistics(
            storedBytes: counts.bytes, availableBytes: Files.availableBytes(Files.parentDirectory(sources.overallPath)),
            files: UInt64(counts.sessions + counts.indexed))
    }

    struct HandleTable {
        var next: UInt64 = 1
        var files: [UInt64: any OpenFile] = [:]

        mutating func add(_ file: any OpenFile) -> UInt64 {
            defer { next += 1 }
            files[next] = file
            return next
        }
    }
}

/// The figures of statfs(2).
public struct TreeStatistics: Sendable, Equatable {
    /// Length of all sessions in the bucket.
    public var storedBytes: UInt64
    /// Free bytes on the disk of the cache.
    public var availableBytes: UInt64
    /// Files that the tree shows.
    public var files: UInt64
}

/// Hands a constant name to an emitter.
func emitName(
    _ name: StaticString, _ attributes: FileAttributes, next: UInt64, _ emit: DirectoryEmitter
) -> Bool {
    name.withUTF8Buffer { emit(RawSpan(_unsafeBytes: UnsafeRawBufferPointer($0)), attributes, next) }
}
