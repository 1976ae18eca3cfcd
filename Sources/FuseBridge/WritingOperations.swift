internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform

/// The callbacks that change something. What waits for the disk or the network is answered from another thread; only a
/// write goes to the page cache of the local disk at once, from the buffer it came in.
///
/// Extended attributes cannot be set: without a callback for it the kernel refuses that itself.
func addWritingOperations(_ table: inout fuse_lowlevel_ops) {
    table.create = { request, parent, name, _, info in
        withBridge(request) { bridge throws(FileSystemError) in
            try create(request, parent, name, info?.pointee.flags ?? 0, bridge)
        }
    }
    table.write = { request, inode, bytes, size, offset, info in
        withBridge(request) { bridge throws(FileSystemError) in
            guard let info, let bytes, offset >= 0 else { throw FileSystemError(.invalidArgument) }
            write(
                request, inode, UnsafeRawBufferPointer(start: bytes, count: size), UInt64(offset), info.pointee, bridge)
        }
    }
    table.flush = { request, _, info in
        withBridge(request) { bridge throws(FileSystemError) in
            guard let handle = info?.pointee.fh else { throw FileSystemError(.invalidArgument) }
            flush(request, handle, bridge)
        }
    }
    table.fsync = { request, _, _, info in
        withBridge(request) { bridge throws(FileSystemError) in
            guard let handle = info?.pointee.fh else { throw FileSystemError(.invalidArgument) }
            bridge.deferred(request) { () throws(FileSystemError) in
                try bridge.tree.synchronize(handle)
            } reply: {
                fuse_reply_err($0, 0)
            }
        }
    }
    table.fallocate = { request, _, mode, offset, length, info in
        withBridge(request) { bridge throws(FileSystemError) in
            guard let handle = info?.pointee.fh, offset >= 0, length > 0, offset <= off_t.max - length else {
                throw FileSystemError(.invalidArgument)
            }
            guard mode & ~keepSize == 0 else { throw FileSystemError(.unsupported) }
            let range = UInt64(offset)..<UInt64(offset + length)
            bridge.deferred(request) { () throws(FileSystemError) in
                try bridge.tree.allocate(handle, range, keepingSize: mode & keepSize != 0)
            } reply: {
                fuse_reply_err($0, 0)
            }
        }
    }
    table.setattr = { request, inode, attributes, mask, info in
        withBridge(request) { bridge throws(FileSystemError) in
            guard let attributes else { throw FileSystemError(.invalidArgument) }
            try setAttributes(request, inode, attributes.pointee, mask, info?.pointee.fh, bridge)
        }
    }
    table.unlink = { request, parent, name in
        withBridge(request) { bridge throws(FileSystemError) in
            let name = try text(name)
            bridge.deferred(request) { () throws(FileSystemError) in
                try bridge.tree.remove(name, in: Inode(number: parent))
            } reply: {
                fuse_reply_err($0, 0)
                bridge.invalidateLater($1)
            }
        }
    }
    table.rename = { request, parent, name, newParent, newName, flags in
        withBridge(request) { bridge throws(FileSystemError) in
            let name = try text(name)
            let newName = try FuseBridge.newName(newName)
            // Two names cannot change places in one step in a bucket.
            guard flags & ~renameWithoutReplacing == 0 else { throw FileSystemError(.invalidArgument) }
            bridge.deferred(request) { () throws(FileSystemError) in
                try bridge.tree.rename(
                    name, in: Inode(number: parent), to: newName, in: Inode(number: newParent),
                    replacing: flags & renameWithoutReplacing == 0)
            } reply: {
                fuse_reply_err($0, 0)
                bridge.invalidateLater($1)
            }
        }
    }
    table.mknod = { request, parent, name, mode, _ in
        withBridge(request) { bridge throws(FileSystemError) in
            guard mode & S_IFMT == S_IFREG else {
                return try bridge.tree.refuseSpecialFile(in: Inode(number: parent))
            }
            let name = try newName(name)
            bridge.deferred(request) { () throws(FileSystemError) in
                let (attributes, opened) = try bridge.tree.create(
                    name, in: Inode(number: parent), exclusive: true, truncating: false)
                defer { bridge.tree.close(opened.handle) }
                try bridge.tree.synchronize(opened.handle)
                return attributes
            } reply: {
                var entry = entryParameters($1, bridge)
                fuse_reply_entry($0, &entry)
            }
        }
    }
    table.mkdir = { request, parent, _, _ in
        withBridge(request) { bridge throws(FileSystemError) in
            try bridge.tree.refuseSpecialFile(in: Inode(number: parent))
        }
    }
    table.symlink = { request, _, parent, _ in
        withBridge(request) { bridge throws(FileSystemError) in
            try bridge.tree.refuseSpecialFile(in: Inode(number: parent))
        }
    }
    table.link = { request, _, parent, _ in
        withBridge(request) { bridge throws(FileSystemError) in
            try bridge.tree.refuseSpecialFile(in: Inode(number: parent))
        }
    }
    // The directories are part of the program.
    table.rmdir = { request, _, _ in
        withBridge(request) { _ throws(FileSystemError) in throw FileSystemError(.readOnly) }
    }
}

/// FALLOC_FL_KEEP_SIZE of fallocate(2).
private let keepSize: Int32 = 1
/// RENAME_NOREPLACE of renameat2(2).
private let renameWithoutReplacing: UInt32 = 1

private func write(
    _ request: fuse_req_t?, _ inode: fuse_ino_t, _ bytes: UnsafeRawBufferPointer, _ offset: UInt64,
    _ info: fuse_file_info, _ bridge: FuseSession
) {
    let handle = info.fh
    // Pages of a mapping go where they lie, whatever the descriptor was opened for.
    let appending = info.flags & O_APPEND != 0 && info.writepage == 0
    @Sendable func write(_ bytes: RawSpan) throws(FileSystemError) {
        if try !bridge.tree.write(handle, bytes, at: offset, appending: appending) {
            bridge.invalidateLater([.contents(Inode(node: inode))])
        }
    }
    let count = bytes.count
    guard bridge.tree.needsReopening(handle) else {
        do throws(FileSystemError) {
            try write(RawSpan(_unsafeBytes: bytes))
            fuse_reply_write(request, count)
        } catch {
            bridge.replyError(request, error)
        }
        return
    }
    let copy = Array(bytes)
    bridge.deferred(request) { () throws(FileSystemError) in
        try write(copy.span.bytes)
    } reply: {
        fuse_reply_write($0, count)
    }
}

private func flush(_ request: fuse_req_t?, _ handle: UInt64, _ bridge: FuseSession) {
    let pending = bridge.pendingReply(
        request, interrupts: bridge.tree.closesWaitForCloud ? .whileWaiting : .ignored)
    bridge.later {
        do throws(FileSystemError) {
            guard case .awaitsCloud(let id) = try bridge.tree.flush(handle) else {
                pending.answer { fuse_reply_err($0, 0) }
                return
            }
            pending.waits()
            let waiting = Task {
                let failure = await bridge.tree.awaitCloud(id)
                pending.answer { request in
                    if let failure { bridge.replyError(request, failure) } else { fuse_reply_err(request, 0) }
                }
            }
            pending.onInterrupt { waiting.cancel() }
        } catch {
            pending.answer { bridge.replyError($0, error) }
        }
    }
}

private func setAttributes(
    _ request: fuse_req_t?, _ inode: fuse_ino_t, _ wanted: stat, _ mask: Int32, _ handle: UInt64?,
    _ bridge: FuseSession
) throws(FileSystemError) {
    func sets(_ flag: Int32) -> Bool { mask & flag != 0 }
    // Who owns a file, and who may read it, is not kept in a bucket. Setting what is shown is no change.
    guard !sets(FUSE_SET_ATTR_UID) || wanted.st_uid == bridge.options.uid,
        !sets(FUSE_SET_ATTR_GID) || wanted.st_gid == bridge.options.gid
    else { throw FileSystemError(.notPermitted, "files belong to who mounted") }
    var change = AttributeChange()
    if sets(FUSE_SET_ATTR_SIZE) {
        guard wanted.st_size >= 0 else { throw FileSystemError(.invalidArgument) }
        change.size = UInt64(wanted.st_size)
    }
    if sets(FUSE_SET_ATTR_MTIME_NOW) {
        change.modified = .now
    } else if sets(FUSE_SET_ATTR_MTIME) {
        change.modified = Timestamp(
            seconds: Int64(wanted.st_mtim.tv_sec), nanoseconds: Int64(wanted.st_mtim.tv_nsec))
    }
    let inode = Inode(node: inode)
    let fetches = change.size.map { bridge.tree.isAway(inode, truncating: $0 == 0) } ?? false
    let pending = bridge.pendingReply(request, interrupts: fetches ? .answered : .ignored)
    let final = change
    bridge.later {
        bridge.tree.setAttributes(inode, final, handle: handle, proceeds: pending.proceeds) { result in
            pending.answer { request in
                switch result {
                case .failure(let error): bridge.replyError(request, error)
                case .success(let attributes):
                    var status = status(attributes, bridge.options)
                    fuse_reply_attr(request, &status, validity(attributes))
                }
            }
        }
    }
}
