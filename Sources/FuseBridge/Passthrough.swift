internal import CFuse
internal import Glibc
internal import Platform

/// Kernel passthrough (FUSE protocol 7.40, Linux 6.9): reads of a whole cached body go to the local file without
/// coming here. This libfuse does not know it, so the INIT and OPEN replies are completed on their way out, in the
/// session's own write function. Needs CAP_SYS_ADMIN; without it everything works as before, with copies.
///
/// An inode is open either through the page cache or through one backing file, never both (the kernel answers EIO),
/// so a change of mode waits until no file of the inode is open. Past both, direct reads and writes are always possible:
/// a session that is edited while the kernel reads its body is written directly, and who opens it meanwhile reads
/// directly what was written; only those who had it open before go on reading the old version.
final class Passthrough: Sendable {
    let wanted: Bool
    private let state = Guarded(State())

    private struct State {
        var enabled = false
        var device: Int32 = -1
        var inodes: [UInt64: InodeState] = [:]
        /// Handles that were opened past the state of their inode, and whether they are for writing.
        var direct: [UInt64: Bool] = [:]
    }
    private struct InodeState {
        var opens = 0
        /// Open files that write past the page cache. Pages beside them would not follow what they write.
        var directWriters = 0
        /// Nil while the inode is open through the page cache.
        var backing: Backing?
    }
    private struct Backing {
        let id: Int32
        /// Held so that the version that the kernel reads is the one the handles were given.
        let file: FileDescriptor

        /// A replaced session's body is another file.
        func isSameFile(as other: FileDescriptor?) -> Bool {
            guard let other, let mine = try? file.status(), let theirs = try? other.status() else { return false }
            return mine.inode == theirs.inode && mine.device == theirs.device
        }
    }

    init(wanted: Bool) { self.wanted = wanted }

    /// The session's device, known after the mount.
    func attach(device: Int32) { state.withLock { $0.device = device } }
    /// The kernel offered passthrough and the INIT reply accepts it.
    func enable() { state.withLock { $0.enabled = true } }
    /// Whether passthrough was negotiated.
    var isEnabled: Bool { state.withLock { $0.enabled } }

    /// How a file is opened.
    enum Route: Equatable {
        /// Through the kernel's page cache.
        case pages
        /// The kernel reads the backing file with this id.
        case backing(Int32)
        /// Every read comes here, beside a backing file of another version.
        case direct
    }

    /// Decides how an inode is opened and counts the opening.
    /// - Parameters:
    ///   - file: the whole body, or nil when it is not there yet, or not the bucket's.
    ///   - writing: the file is open for writing.
    func open(inode: UInt64, handle: UInt64, file: FileDescriptor?, writing: Bool = false) -> Route {
        state.withLock { state in
            guard state.enabled else { return .pages }
            if var known = state.inodes[inode] {
                guard known.directWriters == 0, known.backing.map({ !writing && $0.isSameFile(as: file) }) ?? true
                else {
                    state.direct[handle] = writing
                    if writing { known.directWriters += 1 }
                    state.inodes[inode] = known
                    return .direct
                }
                known.opens += 1
                state.inodes[inode] = known
                return known.backing.map { .backing($0.id) } ?? .pages
            }
            var backing: Backing?
            if let file, !writing {
                let id = sfs_fuse_backing_open(state.device, file.raw)
                if id > 0 {
                    backing = Backing(id: id, file: file)
                } else if errno == EPERM || errno == EOPNOTSUPP || errno == ENOTTY {
                    state.enabled = false
                    return .pages
                }
            }
            state.inodes[inode] = InodeState(opens: 1, backing: backing)
            return backing.map { .backing($0.id) } ?? .pages
        }
    }

    /// Counts a closing; the last one frees the backing file.
    func close(inode: UInt64, handle: UInt64) {
        state.withLock { state in
            let direct = state.direct.removeValue(forKey: handle)
            guard var known = state.inodes[inode] else { return }
            switch direct {
            case nil: known.opens -= 1
            case true?: known.directWriters -= 1
            case false?: break
            }
            if known.opens <= 0, let backing = known.backing {
                _ = sfs_fuse_backing_close(state.device, UInt32(backing.id))
                known.backing = nil
            }
            state.inodes[inode] = known.opens <= 0 && known.directWriters <= 0 ? nil : known
        }
    }
}

/// What the next reply written by this thread is to be completed with. A reply is written on the thread that calls
/// the reply function, before that function returns.
enum ReplyPatch {
    case initialize(FuseSession)
    case open(backing: Int32)
}

private let patchKey: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
}()

/// Runs a reply function with a patch in force for what it writes.
func withReplyPatch(_ patch: ReplyPatch, _ reply: () -> Void) {
    setReplyPatch(patch)
    reply()
    if let left = pthread_getspecific(patchKey) {
        Unmanaged<PatchBox>.fromOpaque(left).release()
        pthread_setspecific(patchKey, nil)
    }
}

/// Leaves a patch for the next reply of this thread.
func setReplyPatch(_ patch: ReplyPatch) {
    pthread_setspecific(patchKey, Unmanaged.passRetained(PatchBox(patch)).toOpaque())
}

private func takeReplyPatch() -> ReplyPatch? {
    guard let held = pthread_getspecific(patchKey) else { return nil }
    pthread_setspecific(patchKey, nil)
    return Unmanaged<PatchBox>.fromOpaque(held).takeRetainedValue().patch
}

private final class PatchBox {
    let patch: ReplyPatch
    init(_ patch: ReplyPatch) { self.patch = patch }
}

/// What the kernel offered in INIT; it comes before any other request and is answered on the thread that read it.
private let offered = Guarded<(flags: UInt32, flags2: UInt32)>((0, 0))

/// Puts our read and write functions around the session's device.
func installPassthroughIO(_ session: OpaquePointer, _ passthrough: Passthrough) {
    let device = fuse_session_fd(session)
    passthrough.attach(device: device)
    var io = fuse_custom_io()
    io.read = { descriptor, buffer, length, _ in
        let count = read(descriptor, buffer, length)
        if let buffer, count >= MemoryLayout<sfs_fuse_in_header>.size + 20 {
            let header = buffer.loadUnaligned(as: sfs_fuse_in_header.self)
            if header.opcode == SFS_FUSE_OPCODE_INIT {
                let flags = buffer.loadUnaligned(fromByteOffset: 40 + 12, as: UInt32.self)
                let flags2 =
                    flags & SFS_FUSE_INIT_EXT != 0
                    ? buffer.loadUnaligned(fromByteOffset: 40 + 16, as: UInt32.self) : 0
                offered.withLock { $0 = (flags, flags2) }
            }
        }
        return count
    }
    io.writev = { descriptor, vectors, count, _ in
        if let patch = takeReplyPatch(), let vectors, count >= 2, let base = vectors[1].iov_base {
            complete(base, vectors[1].iov_len, with: patch)
        }
        return writev(descriptor, vectors, count)
    }
    io.splice_send = { source, sourceOffset, target, targetOffset, length, flags, _ in
        sfs_splice(source, sourceOffset, target, targetOffset, length, flags)
    }
    io.splice_receive = { source, sourceOffset, target, targetOffset, length, flags, _ in
        sfs_splice(source, sourceOffset, target, targetOffset, length, flags)
    }
    _ = fuse_session_custom_io(session, &io, device)
}

private func complete(_ body: UnsafeMutableRawPointer, _ length: Int, with patch: ReplyPatch) {
    switch patch {
    case .open(let backing):
        guard length >= MemoryLayout<sfs_fuse_open_out>.size else { return }
        let reply = body.assumingMemoryBound(to: sfs_fuse_open_out.self)
        // The page cache plays no part; FOPEN_KEEP_CACHE beside passthrough is refused.
        reply.pointee.flags = SFS_FOPEN_PASSTHROUGH
        reply.pointee.backing_id = backing
    case .initialize(let session):
        let kernel = offered.withLock { $0 }
        guard length >= MemoryLayout<sfs_fuse_init_out>.size,
            kernel.flags2 & SFS_FUSE_PASSTHROUGH_FLAGS2 != 0
        else { return }
        let reply = body.assumingMemoryBound(to: sfs_fuse_init_out.self)
        reply.pointee.flags |= SFS_FUSE_INIT_EXT
        reply.pointee.flags2 |= SFS_FUSE_PASSTHROUGH_FLAGS2
        reply.pointee.max_stack_depth = 1
        session.passthrough.enable()
    }
}
