internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform

/// Answers an OPEN for writing, when the draft is there.
func openForWriting(
    _ request: fuse_req_t?, _ node: fuse_ino_t, _ flags: Int32, _ bridge: FuseSession
) throws(FileSystemError) {
    guard case .pages(let keeping) = bridge.passthrough.openForWriting(node: node) else {
        throw FileSystemError(.stale)
    }
    let inode = Inode(node: node)
    let truncating = flags & O_TRUNC != 0
    let pending = bridge.pendingReply(
        request, interrupts: bridge.tree.isAway(inode, truncating: truncating) ? .answered : .ignored)
    bridge.tree.openForWriting(inode, truncating: truncating) { result in
        switch result {
        case .failure(let error):
            bridge.passthrough.close(node: node)
            // Gone since the kernel looked it up: it looks again, and makes the file where that is asked for.
            let told = error.kind == .notFound ? FileSystemError(.stale) : error
            pending.answer { bridge.replyError($0, told) }
        case .success(let opened):
            let isTaken = pending.answer {
                bridge.replyOpen($0, node, opened, .pages(keeping: keeping), writing: true)
            }
            if !isTaken { bridge.abandon(opened.handle, node) }
        }
    }
}

/// Answers an OPEN for reading.
func openForReading(
    _ request: fuse_req_t?, _ node: fuse_ino_t, _ bridge: FuseSession
) throws(FileSystemError) {
    let opened = try bridge.tree.open(Inode(node: node))
    let local: FileDescriptor?
    switch opened.file.caching {
    case .direct: return bridge.replyOpen(request, node, opened, nil)
    case .local(let file): local = file
    case .keep: local = nil
    }
    let route = bridge.passthrough.open(node: node, file: local)
    guard route != .moved else {
        bridge.tree.close(opened.handle)
        throw FileSystemError(.stale)
    }
    if case .pages(let keeping) = route {
        // Its size may be that of another version as well: where the kernel took that for right, it would fill up what a
        // read does not bring. This notice waits for nothing.
        if !opened.file.isSameVersion { bridge.forgetAttributes(node) }
        return bridge.replyOpen(request, node, opened, .pages(keeping: keeping && opened.file.keepsPages))
    }
    bridge.replyOpen(request, node, opened, route)
}

/// Answers a CREATE.
func create(
    _ request: fuse_req_t?, _ parent: fuse_ino_t, _ name: UnsafePointer<CChar>?, _ flags: Int32,
    _ bridge: FuseSession
) throws(FileSystemError) {
    let name = try newName(name)
    let pending = bridge.pendingReply(request, interrupts: .whileWaiting)
    bridge.later {
        do throws(FileSystemError) {
            let (attributes, opened) = try bridge.tree.create(
                name, in: Inode(number: parent), exclusive: flags & O_EXCL != 0, truncating: flags & O_TRUNC != 0,
                onWait: pending.waits)
            let node = bridge.passthrough.node(attributes.inode.number)
            let route = bridge.passthrough.openForWriting(node: node)
            guard route != .moved else {
                bridge.tree.close(opened.handle)
                throw FileSystemError(.stale)
            }
            let isTaken = pending.answer {
                bridge.replyOpen($0, node, opened, route, writing: true, created: attributes)
            }
            if !isTaken { bridge.abandon(opened.handle, node) }
        } catch {
            pending.answer { bridge.replyError($0, error) }
        }
    }
}

/// A name that something is to have. Where a lookup of what is no UTF-8 finds nothing, making it is not possible.
func newName(_ name: UnsafePointer<CChar>?) throws(FileSystemError) -> String {
    guard let name, let text = String(validatingCString: name) else {
        throw FileSystemError(.invalidArgument, "the name is not UTF-8")
    }
    return text
}

extension Inode {
    /// The inode of the tree that a node of the kernel stands for.
    init(node: fuse_ino_t) { self.init(number: Passthrough.inode(node)) }
}

extension FuseSession {
    /// Tells the kernel of an open file, and how it is to be read.
    /// - Parameters:
    ///   - route: as counted for the node; nil where every read comes here.
    ///   - created: the attributes of the file that the request has made, in an answer to CREATE.
    func replyOpen(
        _ request: fuse_req_t?, _ node: fuse_ino_t, _ opened: OpenedFile, _ route: Passthrough.Route?,
        writing: Bool = false, created: FileAttributes? = nil
    ) {
        var info = fuse_file_info()
        info.fh = opened.handle
        // Where nothing is written, a close has nothing to report.
        info.noflush = writing ? 0 : 1
        let answer = { [self] in
            let result: Int32
            if let created {
                var entry = entryParameters(created, self)
                result = fuse_reply_create(request, &entry, &info)
            } else {
                result = fuse_reply_open(request, &info)
            }
            if result != 0 { abandon(opened.handle, node) }
        }
        switch route {
        case nil, .moved:
            info.direct_io = 1
            answer()
        case .pages(let keeping):
            info.keep_cache = keeping ? 1 : 0
            answer()
        case .backing(let id): withReplyPatch(.open(backing: id), answer)
        }
    }
}
