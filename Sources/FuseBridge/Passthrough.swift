internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform
internal import Synchronization

/// Kernel passthrough (FUSE protocol 7.40, Linux 6.9): reads of a whole cached body go to the local file without
/// coming here. This libfuse does not know it, so the INIT and OPEN replies are completed on their way out, in the
/// session's own write function. Needs CAP_SYS_ADMIN; without it everything works as before, with copies.
///
/// An inode is open either through the page cache or through one backing file, never both: the kernel answers EIO, for
/// direct reads and writes too. A session of which the kernel reads the body may be edited or replaced nevertheless. It
/// then moves to another inode of the kernel (a node): who has it open goes on reading the old version, the next open
/// answers ESTALE, on which the kernel looks the name up again, and finds the other node.
final class Passthrough: Sendable {
    let wanted: Bool
    private let state = Guarded(State())

    private let movedCount = Atomic<Int>(0)

    fileprivate struct State {
        var enabled = false
        var device: Int32 = -1
        var nodes: [UInt64: NodeState] = [:]
        /// Where bodies are that have moved.
        var moved: [UInt64: UInt64] = [:]
        /// Nodes of which the kernel may hold pages from before they were moved to.
        var outdated: Set<UInt64> = []
    }
    fileprivate struct NodeState {
        var opens = 0
        /// Nil while the node is open through the page cache.
        var backing: Backing?
    }
    fileprivate struct Backing {
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
        case pages(keeping: Bool)
        /// The kernel reads the backing file with this id.
        case backing(Int32)
        /// The session is another node now: the name has to be looked up again.
        case moved
    }

    /// The node of an inode of the tree.
    func node(_ inode: UInt64) -> UInt64 {
        if movedCount.load(ordering: .acquiring) == 0 { return inode }
        return state.withLock { $0.moved[inode] ?? inode }
    }

    /// The inode of the tree that a node stands for.
    static func inode(_ node: UInt64) -> UInt64 {
        let slot = node & 15
        return slot >= firstSlot ? node - slot + UInt64(Inode.Slot.body.rawValue) : node
    }

    /// Slots of further nodes of a body, see ``Inode/Slot``.
    private static let firstSlot: UInt64 = 10

    /// Decides how a node is opened for reading and counts the opening.
    /// - Parameter file: the whole body, or nil when it is not there yet, or not the bucket's.
    func open(node: UInt64, file: FileDescriptor?) -> Route {
        state.withLock { state in
            guard state.enabled else { return .pages(keeping: true) }
            if state.hasLeft(node) { return .moved }
            if var known = state.nodes[node] {
                guard known.backing.map({ $0.isSameFile(as: file) }) ?? true else {
                    move(&state, node)
                    return .moved
                }
                known.opens += 1
                state.nodes[node] = known
                return known.backing.map { .backing($0.id) } ?? state.pages(node)
            }
            var backing: Backing?
            if let file {
                let id = sfs_fuse_backing_open(state.device, file.raw)
                if id > 0 {
                    backing = Backing(id: id, file: file)
                } else if errno == EPERM || errno == EOPNOTSUPP || errno == ENOTTY {
                    state.enabled = false
                    return .pages(keeping: true)
                }
            }
            state.nodes[node] = NodeState(opens: 1, backing: backing)
            return backing.map { .backing($0.id) } ?? state.pages(node)
        }
    }

    /// Counts an opening for writing, before the draft is made: from now on the node is read through the page cache.
    /// - Returns: `.pages`, or `.moved` when the kernel reads its body itself.
    func openForWriting(node: UInt64) -> Route {
        state.withLock { state in
            guard state.enabled else { return .pages(keeping: true) }
            if state.hasLeft(node) { return .moved }
            if state.nodes[node]?.backing != nil {
                move(&state, node)
                return .moved
            }
            state.nodes[node, default: NodeState()].opens += 1
            return state.pages(node)
        }
    }

    /// Moves a body to a node that nobody has open. Where there is none, all of them are read in old versions, and
    /// opens fail until one is closed.
    private func move(_ state: inout State, _ node: UInt64) {
        let inode = Passthrough.inode(node)
        let free = ([inode] + (Passthrough.firstSlot...15).map { inode & ~15 | $0 }).first {
            $0 != node && state.nodes[$0] == nil
        }
        guard let free else { return }
        state.moved[inode] = free == inode ? nil : free
        state.outdated.insert(free)
        movedCount.store(state.moved.count, ordering: .releasing)
    }

    /// Counts a closing; the last one frees the backing file.
    func close(node: UInt64) {
        state.withLock { state in
            guard var known = state.nodes[node] else { return }
            known.opens -= 1
            if known.opens > 0 {
                state.nodes[node] = known
                return
            }
            state.nodes.removeValue(forKey: node)
            if let backing = known.backing { _ = sfs_fuse_backing_close(state.device, UInt32(backing.id)) }
        }
    }
}

extension Passthrough.State {
    /// Whether a node is not its body's any more.
    fileprivate func hasLeft(_ node: UInt64) -> Bool {
        let inode = Passthrough.inode(node)
        return (moved[inode] ?? inode) != node
    }

    fileprivate mutating func pages(_ node: UInt64) -> Passthrough.Route {
        .pages(keeping: outdated.remove(node) == nil)
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
        guard length >= MemoryLayout<sfs_fuse_init_out>.size else { return }
        let reply = body.assumingMemoryBound(to: sfs_fuse_init_out.self)
        // No file has bits or capabilities that a write would have to take away. Without this promise the kernel asks
        // for the attribute of the capabilities before every write.
        if session.tree.isWritable { reply.pointee.flags |= kernel.flags & SFS_FUSE_HANDLE_KILLPRIV_V2 }
        guard session.passthrough.wanted, kernel.flags2 & SFS_FUSE_PASSTHROUGH_FLAGS2 != 0 else { return }
        reply.pointee.flags |= SFS_FUSE_INIT_EXT
        reply.pointee.flags2 |= SFS_FUSE_PASSTHROUGH_FLAGS2
        reply.pointee.max_stack_depth = 1
        session.passthrough.enable()
    }
}
