internal import CFuse
internal import Dispatch
public import FileTree
internal import Glibc
public import Platform

/// A mounted tree: the libfuse session, its worker threads, and notices to the kernel.
///
/// `@unchecked Sendable`: `session` is set once before any thread starts and stays valid until ``run()`` has joined
/// all workers; libfuse's reply and notify functions may be called from any thread. Everything mutable is guarded.
public final class FuseSession: @unchecked Sendable {
    let tree: FileTree
    let options: FuseMountOptions
    let passthrough: Passthrough
    private let session: OpaquePointer
    private let box: SessionBox
    let buffers = BufferPool()
    let listings = Guarded(ListingPolicy())
    let log = Log("fuse")
    let pending = PendingReplies()
    private let pool = BlockingPool(name: "fuse.waiting", threads: 256)
    /// Notices that requests cause, in order.
    private let notices = DispatchQueue(label: "fuse.notices")
    private let lifecycle = Guarded(Lifecycle())

    private struct Lifecycle {
        /// The session may be talked to. False from the moment it is being torn down.
        var alive = true
        /// Notices, deferred replies and closes under way; teardown waits for none.
        var underWay = 0
    }

    /// Mounts a tree. Requests wait in the kernel until ``run()``.
    /// - Throws: ``MountError`` with what fusermount3 or the kernel said.
    public init(tree: FileTree, options: FuseMountOptions) throws(MountError) {
        self.tree = tree
        self.options = options
        passthrough = Passthrough(wanted: options.passthrough && geteuid() == 0)
        guard Files.exists("/dev/fuse") else {
            throw MountError("/dev/fuse is missing: load the fuse module (modprobe fuse)", code: ENODEV)
        }
        let box = SessionBox()
        self.box = box
        let words = ["sessionfs", "-o", options.optionString]
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        let made = pointers.withUnsafeMutableBufferPointer { values -> OpaquePointer? in
            var arguments = sfs_fuse_args(Int32(words.count), values.baseAddress)
            var operations = lowLevelOperations()
            defer { fuse_opt_free_args(&arguments) }
            return sfs_fuse_session_new(
                &arguments, &operations, MemoryLayout<fuse_lowlevel_ops>.size, Unmanaged.passUnretained(box).toOpaque())
        }
        guard let made else {
            throw MountError("libfuse refused the mount options: \(options.optionString)", code: EINVAL)
        }
        session = made
        box.session = self
        guard fuse_session_mount(made, options.mountpoint) == 0 else {
            let code = errno
            fuse_session_destroy(made)
            throw MountError("cannot mount at \(options.mountpoint): \(SystemError.message(for: code))", code: code)
        }
        if passthrough.wanted || tree.isWritable { installPassthroughIO(made, passthrough) }
        raiseReadAhead()
    }

    /// Serves requests until the filesystem is unmounted, by whomever. Blocks the calling thread. Afterwards no file of
    /// the tree is open.
    public func run() {
        let workers = (0..<max(1, options.threads)).map { _ in
            WorkerThread(name: "fuse") { [self] in serve() }
        }
        workers.forEach { $0.join() }
        pending.interruptAll()
        lifecycle.withLock { $0.alive = false }
        while lifecycle.withLock({ $0.underWay }) > 0 { usleep(1000) }
        // A RELEASE that the kernel has not sent before the unmount does not come any more.
        tree.closeAll()
        fuse_session_unmount(session)
        fuse_session_destroy(session)
    }

    private func serve() {
        var buffer = fuse_buf()
        while fuse_session_exited(session) == 0 {
            let result = fuse_session_receive_buf(session, &buffer)
            if result == -EINTR { continue }
            if result <= 0 {
                if result < 0, result != -ENODEV { log.error("receive: \(SystemError.message(for: -result))") }
                break
            }
            fuse_session_process_buf(session, &buffer)
        }
        fuse_session_exit(session)
        free(buffer.mem)
    }

    /// Asks the kernel to unmount; ``run()`` then returns.
    /// - Parameter lazily: detach at once even while files are open (MNT_DETACH).
    /// - Throws: `SystemError`, with `EBUSY` while files are open.
    public func unmount(lazily: Bool) throws(SystemError) {
        try MountTable.unmount(options.mountpoint, lazily: lazily)
    }

    /// Begins something that uses the session; false when it is being torn down.
    func enter() -> Bool {
        lifecycle.withLock { state in
            if state.alive { state.underWay += 1 }
            return state.alive
        }
    }

    /// Ends what ``enter()`` began.
    func leave() { lifecycle.withLock { $0.underWay -= 1 } }

    /// Runs work that waits for the disk on a thread of its own. Teardown waits for it.
    func later(_ work: @escaping @Sendable () -> Void) {
        let isCounted = enter()
        pool.run { [self] in
            work()
            if isCounted { leave() }
        }
    }

    /// As ``invalidate(_:)``, soon and in order, from any thread: also from those that answer the kernel, which may
    /// hold the directory or the page of which it is told until it has its answer.
    public func invalidateLater(_ stale: [Invalidation]) {
        if stale.isEmpty { return }
        notices.async { [self] in invalidate(stale) }
    }

    /// The kernel asks for a node's attributes again before it uses them. Other than ``invalidate(_:)`` it waits for
    /// nothing, and may be called from any thread.
    func forgetAttributes(_ node: fuse_ino_t) {
        guard enter() else { return }
        defer { leave() }
        fuse_lowlevel_notify_inval_inode(session, node, -1, 0)
    }

    /// Tells the kernel what it may no longer believe. Must not be called from a request's own thread.
    public func invalidate(_ stale: [Invalidation]) {
        guard enter() else { return }
        defer { leave() }
        for item in stale {
            // ENOENT means that the kernel does not know the node: nothing to forget.
            switch item {
            case .listing(let directory):
                fuse_lowlevel_notify_inval_inode(session, directory.number, 0, 0)
            case .name(let name, let directory):
                fuse_lowlevel_notify_inval_entry(session, directory.number, name, name.utf8.count)
            case .contents(let inode):
                fuse_lowlevel_notify_inval_inode(session, inode.number, 0, 0)
                let node = passthrough.node(inode.number)
                if node != inode.number { fuse_lowlevel_notify_inval_inode(session, node, 0, 0) }
            case .allContents(let slot, let last):
                for row in 1...max(1, last) {
                    let number = Inode(slot: slot, row: row).number
                    fuse_lowlevel_notify_inval_inode(session, number, 0, 0)
                    let node = passthrough.node(number)
                    if node != number { fuse_lowlevel_notify_inval_inode(session, node, 0, 0) }
                }
            }
        }
    }

    /// Buffered reads are cut at 128 KiB until the mount's backing-device info says otherwise; only root may.
    private func raiseReadAhead() {
        guard geteuid() == 0, let entry = MountTable.entry(at: options.mountpoint) else { return }
        let path = "/sys/class/bdi/\(entry.device)/read_ahead_kb"
        if let file = try? FileDescriptor.open(path, .write) { try? file.write(Array("1024".utf8), at: 0) }
    }
}

/// The userdata of a libfuse session. `@unchecked Sendable`: written once, before any thread reads it.
final class SessionBox: @unchecked Sendable {
    unowned var session: FuseSession?
}
