internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform

/// Names and attributes stay valid in the kernel until a notice says otherwise; this is only the upper bound.
private let longValidity: Double = 86_400

/// libfuse's table of callbacks. They convert, call the tree and reply; nothing else.
func lowLevelOperations() -> fuse_lowlevel_ops {
    var table = fuse_lowlevel_ops()
    table.`init` = { userdata, connection in
        guard let bridge = bridge(userdata), let connection else { return }
        configure(connection, bridge)
    }
    table.lookup = { request, parent, name in
        withBridge(request) { bridge throws(FileSystemError) in
            let name = try text(name)
            let isStale = bridge.listings.withLock { $0.lookup(in: parent) }
            if isStale { bridge.invalidateLater([.listing(Inode(number: parent))]) }
            var entry = entryParameters(
                try bridge.tree.lookup(name, in: Inode(number: parent)), bridge)
            fuse_reply_entry(request, &entry)
        }
    }
    table.getattr = { request, inode, _ in
        withBridge(request) { bridge throws(FileSystemError) in
            let attributes = try bridge.tree.attributes(Inode(node: inode))
            var status = status(attributes, bridge.options)
            fuse_reply_attr(request, &status, validity(attributes))
        }
    }
    table.opendir = { request, inode, info in
        withBridge(request) { bridge throws(FileSystemError) in
            try bridge.tree.openDirectory(Inode(node: inode))
            let walker = (info?.pointee.flags ?? 0) & O_NOFOLLOW != 0
            let opened = bridge.listings.withLock { $0.open(inode, treeWalker: walker) }
            info?.pointee.fh = opened.handle
            // The kernel keeps the listing until a notice: a second `ls` does not come here.
            info?.pointee.cache_readdir = 1
            info?.pointee.keep_cache = opened.keepsListing ? 1 : 0
            if fuse_reply_open(request, info) != 0 { bridge.listings.withLock { $0.close(opened.handle) } }
        }
    }
    table.releasedir = { request, _, info in
        withBridge(request) { bridge throws(FileSystemError) in
            if let handle = info?.pointee.fh { bridge.listings.withLock { $0.close(handle) } }
            fuse_reply_err(request, 0)
        }
    }
    table.readdir = { request, inode, size, offset, info in
        list(request, inode, size, offset, info?.pointee.fh ?? 0, plus: false)
    }
    table.readdirplus = { request, inode, size, offset, info in
        list(request, inode, size, offset, info?.pointee.fh ?? 0, plus: true)
    }
    table.open = { request, inode, info in
        withBridge(request) { bridge throws(FileSystemError) in
            let flags = info?.pointee.flags ?? 0
            if flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0 {
                try openForWriting(request, inode, flags, bridge)
            } else {
                try openForReading(request, inode, bridge)
            }
        }
    }
    table.read = { request, _, size, offset, info in
        withBridge(request) { bridge throws(FileSystemError) in
            guard let info = info?.pointee else { throw FileSystemError(.invalidArgument) }
            read(request, info.fh, size, offset, flags: info.flags, bridge)
        }
    }
    table.release = { request, inode, info in
        withBridge(request) { bridge throws(FileSystemError) in
            guard let handle = info?.pointee.fh else { throw FileSystemError(.invalidArgument) }
            bridge.passthrough.close(node: inode)
            if bridge.tree.isOpenForWriting(handle) {
                bridge.deferred(request) {
                    bridge.tree.close(handle)
                } reply: {
                    fuse_reply_err($0, 0)
                }
            } else {
                bridge.tree.close(handle)
                fuse_reply_err(request, 0)
            }
        }
    }
    table.statfs = { request, _ in
        withBridge(request) { bridge throws(FileSystemError) in
            var answer = filesystemStatus(try bridge.tree.statistics(), isWritable: bridge.tree.isWritable)
            fuse_reply_statfs(request, &answer)
        }
    }
    table.getxattr = { request, inode, name, size in
        withBridge(request) { bridge throws(FileSystemError) in
            let name = try text(name)
            try attribute(request, inode, size, bridge) { inode throws(FileSystemError) in
                try bridge.tree.attribute(name, of: inode)
            }
        }
    }
    table.listxattr = { request, inode, size in
        withBridge(request) { bridge throws(FileSystemError) in
            try attribute(request, inode, size, bridge) { inode throws(FileSystemError) in
                try bridge.tree.attributeNames(inode).flatMap { Array($0.utf8) + [0] }
            }
        }
    }
    addWritingOperations(&table)
    return table
}

func bridge(_ userdata: UnsafeMutableRawPointer?) -> FuseSession? {
    userdata.flatMap { Unmanaged<SessionBox>.fromOpaque($0).takeUnretainedValue().session }
}

/// Runs a callback's body; what it throws becomes the reply. The body replies exactly once when it does not throw.
func withBridge(_ request: fuse_req_t?, _ body: (FuseSession) throws(FileSystemError) -> Void) {
    guard let bridge = bridge(fuse_req_userdata(request)) else {
        fuse_reply_err(request, ENODEV)
        return
    }
    do throws(FileSystemError) {
        try body(bridge)
    } catch {
        bridge.replyError(request, error)
    }
}

/// A name from the kernel. Names that are not UTF-8 exist nowhere in a bucket.
func text(_ name: UnsafePointer<CChar>?) throws(FileSystemError) -> String {
    guard let name, let text = String(validatingCString: name) else { throw FileSystemError(.notFound) }
    return text
}

private func configure(_ connection: UnsafeMutablePointer<fuse_conn_info>, _ bridge: FuseSession) {
    func want(_ capability: Int32, _ wanted: Bool) {
        let bit = UInt32(bitPattern: capability)
        if wanted, connection.pointee.capable & bit != 0 { connection.pointee.want |= bit }
        if !wanted { connection.pointee.want &= ~bit }
    }
    // Attributes come with every listing; "auto" would cost a LOOKUP for each file of a cold `find`.
    want(FUSE_CAP_READDIRPLUS, true)
    want(FUSE_CAP_READDIRPLUS_AUTO, false)
    want(FUSE_CAP_PARALLEL_DIROPS, true)
    want(FUSE_CAP_ASYNC_READ, true)
    want(FUSE_CAP_CACHE_SYMLINKS, true)
    // Splicing to the device brought nothing when measured and costs a pipe for each thread.
    want(FUSE_CAP_SPLICE_WRITE, false)
    want(FUSE_CAP_SPLICE_MOVE, false)
    want(FUSE_CAP_SPLICE_READ, false)
    // Reads that wait for the network are outstanding for long; the default of 12 would let them block the others.
    connection.pointee.max_background = 4096
    connection.pointee.congestion_threshold = 3072
    connection.pointee.max_readahead = 1 << 20
    if bridge.tree.isWritable {
        want(FUSE_CAP_ATOMIC_O_TRUNC, true)
        want(FUSE_CAP_WRITEBACK_CACHE, false)
        // Pages go by a notice or by a change of the size. Each write changes the modification time, and with it the
        // kernel would drop what was just written.
        want(FUSE_CAP_AUTO_INVAL_DATA, false)
        want(FUSE_CAP_EXPLICIT_INVAL_DATA, true)
        connection.pointee.max_write = 1 << 20
    }
    if bridge.passthrough.wanted || bridge.tree.isWritable { setReplyPatch(.initialize(bridge)) }
}

func validity(_ attributes: FileAttributes) -> Double { attributes.isDynamic ? 0 : longValidity }

func status(_ attributes: FileAttributes, _ options: FuseMountOptions) -> stat {
    var result = stat()
    let kind: mode_t =
        switch attributes.kind {
        case .regular: S_IFREG
        case .directory: S_IFDIR
        case .symbolicLink: S_IFLNK
        }
    result.st_ino = ino_t(attributes.inode.number)
    result.st_mode = kind | mode_t(attributes.permissions)
    result.st_nlink = attributes.kind == .directory ? 2 : attributes.hasName ? 1 : 0
    result.st_uid = options.uid
    result.st_gid = options.gid
    result.st_size = off_t(clamping: attributes.size)
    result.st_blksize = 1 << 17
    result.st_blocks = blkcnt_t(clamping: (attributes.size + 511) / 512)
    let time = Timestamp(nanoseconds: attributes.modifiedNanoseconds)
    let value = timespec(tv_sec: time_t(time.seconds), tv_nsec: Int(time.fraction))
    result.st_mtim = value
    result.st_ctim = value
    result.st_atim = value
    return result
}

func entryParameters(_ attributes: FileAttributes, _ bridge: FuseSession) -> fuse_entry_param {
    var entry = fuse_entry_param()
    entry.ino = bridge.passthrough.node(attributes.inode.number)
    entry.generation = 1
    entry.attr = status(attributes, bridge.options)
    entry.attr_timeout = validity(attributes)
    // A name leads to the same inode for as long as the session is there.
    entry.entry_timeout = longValidity
    return entry
}

/// Fills one page of a listing. With `plus` each entry has attributes, or stands as a bare name (node id 0) where
/// ``ListingPolicy`` says so.
private func list(
    _ request: fuse_req_t?, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t, _ handle: UInt64, plus: Bool
) {
    withBridge(request) { bridge throws(FileSystemError) in
        let bareLimit = plus ? bridge.listings.withLock { $0.page(handle) } : nil
        var failure: FileSystemError?
        withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { buffer in
            var page = ListingPage(
                request: request, buffer: buffer, bridge: bridge, plus: plus, bareLimit: bareLimit)
            do throws(FileSystemError) {
                try bridge.tree.readDirectory(Inode(node: inode), after: UInt64(offset)) {
                    page.add($0, $1, next: $2)
                }
                if plus {
                    let bare = bareLimit == nil ? 0 : page.entries
                    bridge.listings.withLock { $0.sent(handle, bare: bare, atEnd: !page.isFull) }
                }
                fuse_reply_buf(request, page.base, page.used)
            } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

/// A reply to READDIR or READDIRPLUS that is being filled.
private struct ListingPage {
    let request: fuse_req_t?
    let buffer: UnsafeMutableRawBufferPointer
    let bridge: FuseSession
    let plus: Bool
    let bareLimit: Int?
    var used = 0
    var entries = 0
    /// An entry found no room, or the limit is reached: there is more to come.
    var isFull = false

    var base: UnsafeMutablePointer<CChar>? { buffer.baseAddress?.assumingMemoryBound(to: CChar.self) }

    mutating func add(_ name: RawSpan, _ attributes: FileAttributes, next: UInt64) -> Bool {
        if let bareLimit, entries >= bareLimit {
            isFull = true
            return false
        }
        // libfuse wants a C string; names of a listing are not terminated.
        let needed = withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { text in
            name.withUnsafeBytes { text.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0.prefix(255))) }
            text[min(name.byteCount, 255)] = 0
            let text = text.baseAddress?.assumingMemoryBound(to: CChar.self)
            let target = base.map { $0 + used }
            if plus {
                var entry = entryParameters(attributes, bridge)
                if bareLimit != nil { entry.ino = 0 }
                return fuse_add_direntry_plus(request, target, buffer.count - used, text, &entry, off_t(next))
            }
            var status = status(attributes, bridge.options)
            return fuse_add_direntry(request, target, buffer.count - used, text, &status, off_t(next))
        }
        guard needed <= buffer.count - used else {
            isFull = true
            return false
        }
        used += needed
        entries += 1
        return true
    }
}

/// Answers with an extended attribute, or with their names. What is read from staged contents, all of which have to be
/// looked through, is read on another thread.
private func attribute(
    _ request: fuse_req_t?, _ node: fuse_ino_t, _ size: Int, _ bridge: FuseSession,
    _ value: @escaping @Sendable (Inode) throws(FileSystemError) -> [UInt8]
) throws(FileSystemError) {
    let inode = Inode(node: node)
    guard bridge.tree.attributesAreStaged(inode) else {
        return replyAttribute(request, try value(inode), size)
    }
    bridge.deferred(request) { () throws(FileSystemError) in
        try value(inode)
    } reply: {
        replyAttribute($0, $1, size)
    }
}

private func replyAttribute(_ request: fuse_req_t?, _ value: [UInt8], _ size: Int) {
    if size == 0 {
        fuse_reply_xattr(request, value.count)
    } else if value.count > size {
        fuse_reply_err(request, errnoValue(FileSystemError(.bufferTooSmall)))
    } else {
        value.withUnsafeBytes {
            _ = fuse_reply_buf(request, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
    }
}

private func filesystemStatus(_ statistics: TreeStatistics, isWritable: Bool) -> statvfs {
    var answer = statvfs()
    let block: UInt64 = 4096
    answer.f_bsize = UInt(block)
    answer.f_frsize = UInt(block)
    let used = (statistics.storedBytes + block - 1) / block
    let free = statistics.availableBytes / block
    answer.f_blocks = fsblkcnt_t(used + free)
    answer.f_bfree = fsblkcnt_t(free)
    answer.f_bavail = fsblkcnt_t(free)
    // There is no limit to the number of files, and "none is left" would be taken for one.
    let freeFiles = isWritable ? free : 0
    answer.f_files = fsfilcnt_t(statistics.files + freeFiles)
    answer.f_ffree = fsfilcnt_t(freeFiles)
    answer.f_favail = fsfilcnt_t(freeFiles)
    answer.f_namemax = 255
    return answer
}
