internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform

/// Answers an OPEN for writing, when the draft is there.
func openForWriting(_ request: fuse_req_t?, _ inode: fuse_ino_t, _ flags: Int32, _ bridge: FuseSession) {
    let pending = bridge.pendingReply(request, interruptible: true)
    bridge.tree.openForWriting(Inode(number: inode), truncating: flags & O_TRUNC != 0) { result in
        switch result {
        case .failure(let error): pending.answer { bridge.replyError($0, error) }
        case .success(let opened):
            let isTaken = pending.answer { bridge.replyOpen($0, inode, opened, writing: true) }
            if !isTaken { bridge.later { bridge.tree.close(opened.handle) } }
        }
    }
}

/// Answers a CREATE.
func create(
    _ request: fuse_req_t?, _ parent: fuse_ino_t, _ name: UnsafePointer<CChar>?, _ flags: Int32,
    _ bridge: FuseSession
) throws(FileSystemError) {
    let name = try newName(name)
    let pending = bridge.pendingReply(request, interruptible: true)
    bridge.later {
        do throws(FileSystemError) {
            let (attributes, opened) = try bridge.tree.create(
                name, in: Inode(number: parent), exclusive: flags & O_EXCL != 0, truncating: flags & O_TRUNC != 0)
            let isTaken = pending.answer {
                bridge.replyOpen($0, attributes.inode.number, opened, writing: true, created: attributes)
            }
            if !isTaken { bridge.tree.close(opened.handle) }
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

extension FuseSession {
    /// Tells the kernel of an open file, and how it is to be read.
    /// - Parameter created: the attributes of the file that the request has made, in an answer to CREATE.
    func replyOpen(
        _ request: fuse_req_t?, _ inode: fuse_ino_t, _ opened: OpenedFile, writing: Bool = false,
        created: FileAttributes? = nil
    ) {
        var info = fuse_file_info()
        info.fh = opened.handle
        // Where nothing is written, a close has nothing to report.
        info.noflush = writing ? 0 : 1
        var local: FileDescriptor?
        var route = Passthrough.Route.direct
        switch opened.file.caching {
        case .direct: break
        case .local(let file):
            local = file
            fallthrough
        case .keep:
            route = passthrough.open(inode: inode, handle: opened.handle, file: local, writing: writing)
        }
        let answer = { [self] in
            let result: Int32
            if let created {
                var entry = entryParameters(created, options)
                result = fuse_reply_create(request, &entry, &info)
            } else {
                result = fuse_reply_open(request, &info)
            }
            if result != 0 { abandon(opened.handle, inode) }
        }
        switch route {
        case .direct:
            info.direct_io = 1
            answer()
        case .pages:
            info.keep_cache = 1
            answer()
        case .backing(let id): withReplyPatch(.open(backing: id), answer)
        }
    }
}
