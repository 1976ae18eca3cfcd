internal import Glibc
internal import Platform

/// A directory as a store, the embedded default: `file:///dir`. A key is a file's path below it, byte for byte.
///
/// - Symbolic links below the directory are not followed: naming one is `.permanent`, listings leave them out. So are
///   keys that no file can have, and names beginning with `.sessionfs-`, which the store needs for itself.
/// - The tag is made of the file's time of change, length and inode number. A file that another program writes in place
///   has a new tag; a read that meets such a write ends as `.temporary`.
/// - Writes are durable when they return (file and directory synchronized). New names appear by link(2) or rename(2);
///   conditions hold between all processes that use this class on the directory, by a lock file in it.
/// - What it makes is as private as the directory around it; ``createContainer()`` makes a directory of mode 0700.
/// - Calls are system calls on the calling thread, at most ``pieceSize`` bytes each, with a yield between.
public struct LocalDirectoryStore: ObjectStore {
    /// The most bytes moved in one go.
    static let pieceSize = 1 << 20
    /// Temporary files of this age, in seconds, were left by a process that died.
    private static let abandoned = 86_400.0

    private let layout: DirectoryLayout
    private let swept = Guarded<Set<String>>([])
    private let limits: BandwidthLimits?

    /// - Parameters:
    ///   - directory: a path; it need not exist yet. Relative ones are taken from the current directory, now.
    ///   - limits: for bytes that are read and written; copies within the directory are free.
    public init(directory: String, limits: BandwidthLimits? = nil) {
        layout = DirectoryLayout(directory: directory)
        self.limits = limits
    }

    /// See ``ObjectStore/location``.
    public var location: String { "file://" + layout.root }

    /// See ``ObjectStore/capabilities``.
    public var capabilities: StoreCapabilities { StoreCapabilities(etagIsContentMD5: false, isRemote: false) }

    /// See ``ObjectStore/head(_:)``.
    public func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        guard let found = try current(key) else { throw .missing(key) }
        return found
    }

    /// See ``ObjectStore/get(_:_:into:)``.
    public func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome {
        let (file, info) = try open(key)
        if let tag = options.ifMatch { try Self.require(tag, of: info, key) }
        if let tag = options.ifNoneMatch, tag == info.etag { return .notModified }
        let range = options.range ?? 0..<info.size
        guard range.lowerBound < info.size || options.range == nil else {
            throw StoreError(
                .permanent, key: key, message: "range begins behind the end", providerCode: "InvalidRange")
        }
        try sink.begin(info, at: range.lowerBound)
        var offset = range.lowerBound
        let end = min(range.upperBound, info.size)
        while offset < end {
            guard !Task.isCancelled else { throw StoreError(.cancelled, key: key, message: "read was cancelled") }
            let count = Int(min(UInt64(Self.pieceSize), end - offset))
            let bytes = try onDirectory(key) { () throws(SystemError) in try file.read(at: offset, count: count) }
            let now = try onDirectory(key) { () throws(SystemError) in try file.status() }
            guard bytes.count == count, ObjectInfo(key: key, now).etag == info.etag else {
                throw StoreError(.temporary, key: key, message: "the file was written to while it was read")
            }
            try await limits?.pass(count, .download)
            try sink.receive(bytes.span.bytes)
            offset += UInt64(count)
            await Task.yield()
        }
        return .object(info)
    }

    /// See ``ObjectStore/put(_:_:_:)``.
    public func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await write(key, body, condition, limits)
    }

    /// See ``ObjectStore/delete(_:ifMatch:)``.
    public func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try layout.check(key)
        _ = try layout.resolvedRoot()
        guard let path = try layout.existing(key), try current(key) != nil else {
            if ifMatch != nil { throw StoreError(.precondition, key: key, message: "there is no such object") }
            return
        }
        let lock = try await layout.lock()
        defer { withExtendedLifetime(lock) {} }
        if let ifMatch { try Self.require(ifMatch, of: try current(key), key) }
        try onDirectory(key) { () throws(SystemError) in
            try Files.remove(path)
            try Files.synchronizeDirectory(Files.parentDirectory(path))
        }
    }

    /// See ``ObjectStore/copy(_:ifSourceMatch:to:_:)``. A version that is named is still there when the copy appears.
    public func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        let (file, info) = try open(source)
        if let ifSourceMatch { try Self.require(ifSourceMatch, of: info, source) }
        return try await write(target, .file(file, length: info.size), condition) { () throws(StoreError) in
            if let ifSourceMatch { try Self.require(ifSourceMatch, of: try current(source), source) }
            let now = try onDirectory(source) { () throws(SystemError) in try file.status() }
            guard ObjectInfo(key: source, now).etag == info.etag else {
                throw StoreError(.temporary, key: source, message: "the file was written to while it was copied")
            }
        }
    }

    /// See ``ObjectStore/probeConditions(early:)``. They hold here; nothing is written for it.
    public func probeConditions(
        early: @escaping @Sendable (_ ifAbsent: Bool) -> Void
    ) async throws(StoreError) -> ConditionSupport { .all }

    /// One page, at most 10,000 objects. Every page reads the whole directory: ask large ones of large directories.
    public func list(_ request: ListRequest) async throws(StoreError) -> ListPage {
        let root = try layout.resolvedRoot()
        let limit = max(1, min(request.limit, 10_000))
        let directory = request.prefix.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .dropLast()
        // A prefix that no key can have, such as `../`, matches nothing.
        if directory.contains(where: { $0.isEmpty || $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }) {
            return ListPage(objects: [])
        }
        var after = request.continuation ?? request.startAfter ?? ""
        if let startAfter = request.startAfter, after.utf8.lexicographicallyPrecedes(startAfter.utf8) {
            after = startAfter
        }
        var listing = DirectoryListing(root: root, prefix: request.prefix, limit: limit)
        try await listing.collect(after: after)
        return ListPage(
            objects: listing.objects, continuation: listing.isTruncated ? listing.objects.last?.key : nil)
    }

    /// See ``ObjectStore/createContainer()``.
    public func createContainer() async throws(StoreError) {
        try onDirectory("") { () throws(SystemError) in
            guard !Files.isDirectory(layout.root) else { return }
            try Files.makeDirectories(layout.root)
            try Files.synchronizeDirectory(Files.parentDirectory(layout.root))
        }
    }

    /// The time of change of the prefix's directory. Take it before a listing, not after.
    public func changeMark(prefix: String) async throws(StoreError) -> String? {
        let root = try layout.resolvedRoot()
        guard let slash = prefix.utf8.lastIndex(of: UInt8(ascii: "/")) else { return try mark(root) }
        let directory = String(prefix[..<slash])
        try layout.check(directory)
        guard let path = try layout.existing(directory) else { return "absent" }
        return try mark(path)
    }

    private func mark(_ path: String) throws(StoreError) -> String {
        let status = try onDirectory("") { () throws(SystemError) in try Files.status(path) }
        return status.map { String($0.modified.nanoseconds) } ?? "absent"
    }

    /// Refuses a version that is not the wanted one.
    static func require(_ tag: String, of info: ObjectInfo?, _ key: String) throws(StoreError) {
        guard let info else { throw StoreError(.precondition, key: key, message: "there is no such object") }
        guard info.etag == tag else {
            throw StoreError(.precondition, key: key, message: "the object is of another version")
        }
    }

    /// What has the key now; nil when nothing or a directory does.
    private func current(_ key: String) throws(StoreError) -> ObjectInfo? {
        try layout.check(key)
        guard let path = try layout.existing(key) else { return nil }
        let status = try onDirectory(key) { () throws(SystemError) in try Files.statusOfLink(path) }
        guard let status, status.kind != .directory else { return nil }
        guard status.kind == .regular else {
            throw StoreError(.permanent, key: key, message: "not a regular file")
        }
        return ObjectInfo(key: key, status)
    }

    /// Opens one version of an object; the descriptor keeps it though the name may get another one.
    private func open(_ key: String) throws(StoreError) -> (FileDescriptor, ObjectInfo) {
        guard try current(key) != nil, let path = try layout.existing(key) else { throw .missing(key) }
        do throws(SystemError) {
            // Should the name become a pipe meanwhile, opening it must not wait for a writer.
            let file = try FileDescriptor.open(path, [.noFollow, FileDescriptor.Mode(rawValue: O_NONBLOCK)])
            let status = try file.status()
            guard status.kind == .regular else { throw SystemError(code: EINVAL, operation: "open", subject: path) }
            return (file, ObjectInfo(key: key, status))
        } catch {
            throw error.code == ENOENT ? .missing(key) : StoreError(directory: error, key: key)
        }
    }

    private func write(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition, _ limits: BandwidthLimits? = nil,
        beforeCommit check: (() throws(StoreError) -> Void)? = nil
    ) async throws(StoreError) -> ObjectInfo {
        try layout.check(key)
        // Answers early what the commit would answer, before the bytes are written; it is the commit that decides.
        let before = try current(key)
        switch condition {
        case .always: break
        case .ifAbsent:
            if before != nil { throw StoreError(.precondition, key: key, message: "the object exists already") }
        case .ifMatch(let tag): try Self.require(tag, of: before, key)
        }
        let writer = try DirectoryWriter(layout, key: key)
        sweep(Files.parentDirectory(layout.path(key)))
        do throws(StoreError) {
            try await writer.fill(body, limits)
            return try await writer.commit(condition, check: check)
        } catch {
            writer.discard()
            throw error
        }
    }

    /// Removes what dead writers left in a directory, once per store and directory. Failing to is no harm.
    private func sweep(_ directory: String) {
        guard swept.withLock({ $0.insert(directory).inserted }), let names = try? Files.names(in: directory) else {
            return
        }
        let now = Timestamp.now
        for name in names where name.hasPrefix(DirectoryLayout.temporaryPrefix) {
            let path = directory + "/" + name
            guard let status = try? Files.statusOfLink(path), status.kind == .regular else { continue }
            if now.seconds(since: status.modified) > Self.abandoned { try? Files.remove(path) }
        }
    }
}

extension StoreError {
    static func missing(_ key: String) -> StoreError {
        StoreError(.notFound, key: key, message: "no such object")
    }
}
