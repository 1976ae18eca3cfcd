internal import CMicroHTTPD
internal import Platform

/// The control API's server on a private Unix socket: one thread over epoll that never waits for a handler. Handlers
/// run as Swift tasks and may take as long as they like.
///
/// Only processes of the same user and of root are answered, whatever the permissions of the socket became.
public final class ControlServer: Sendable {
    /// Answers one request.
    public typealias Handler = @Sendable (ControlRequest) async -> ControlResponse

    /// Where it listens.
    public let socketPath: String
    private let dispatcher: Dispatcher
    private let daemon: Guarded<RunningDaemon?>

    private init(socketPath: String, dispatcher: Dispatcher, daemon: RunningDaemon) {
        self.socketPath = socketPath
        self.dispatcher = dispatcher
        self.daemon = Guarded(daemon)
    }

    deinit { stopNow() }

    /// Listens and answers from now on.
    /// - Parameter socketPath: at most 107 bytes; its directory is made, or made private. The socket of a dead process
    ///   is replaced.
    /// - Throws: `.inUse` naming the process that listens there already.
    public static func start(
        _ socketPath: String, handler: @escaping Handler
    ) throws(ControlServerError) -> ControlServer {
        let listener = try ControlSocket.listen(socketPath)
        let dispatcher = Dispatcher(handler: handler)
        guard let daemon = RunningDaemon.start(listener, dispatcher) else {
            try? Files.remove(socketPath)
            throw .threadRefused
        }
        return ControlServer(socketPath: socketPath, dispatcher: dispatcher, daemon: daemon)
    }

    /// Stops for good: no new connections, the socket is removed, answers under way may end within `grace` seconds.
    public func stop(grace: Double = 2) async {
        daemon.withLock { $0?.quiesce(removing: socketPath) }
        let start = Timestamp.monotonic
        while dispatcher.isBusy, Timestamp.monotonic.seconds(since: start) < grace {
            try? await Task.sleep(nanoseconds: 5_000_000)
        }
        stopNow()
    }

    /// Stops without waiting for answers under way. Repeating it is harmless.
    public func stopNow() {
        guard let daemon = daemon.withLock({ $0.take() }) else { return }
        daemon.quiesce(removing: socketPath)
        dispatcher.abort()
        daemon.stop()
    }
}

/// A started libmicrohttpd with the descriptor it listens on.
///
/// `@unchecked Sendable`: the pointer never changes; libmicrohttpd's quiesce and stop may be called from any thread,
/// and the server calls them one after the other (`quiesce` under its lock, `stop` after taking the value out of it).
private struct RunningDaemon: @unchecked Sendable {
    private let pointer: OpaquePointer
    private let listener: FileDescriptor
    private let dispatcher: Unmanaged<Dispatcher>
    private let quiesced = Guarded(false)

    private init(pointer: OpaquePointer, listener: FileDescriptor, dispatcher: Unmanaged<Dispatcher>) {
        self.pointer = pointer
        self.listener = listener
        self.dispatcher = dispatcher
    }

    static func start(_ listener: FileDescriptor, _ dispatcher: Dispatcher) -> RunningDaemon? {
        let retained = Unmanaged.passRetained(dispatcher)
        // 8 KiB a connection: requests are small, and so is the daemon.
        let pointer = sfs_mhd_start(
            listener.raw, accessHandler, requestCompleted, retained.toOpaque(), 8192, 64, 256 << 10)
        guard let pointer else {
            retained.release()
            return nil
        }
        return RunningDaemon(pointer: pointer, listener: listener, dispatcher: retained)
    }

    /// Closes the door. The descriptor stays open until the thread has ended, for that thread may still look at it.
    func quiesce(removing path: String) {
        let first = quiesced.withLock { done in
            defer { done = true }
            return !done
        }
        guard first else { return }
        try? Files.remove(path)
        _ = MHD_quiesce_daemon(pointer)
    }

    /// Ends the thread. No connection may be suspended any more.
    func stop() {
        MHD_stop_daemon(pointer)
        dispatcher.release()
        withExtendedLifetime(listener) {}
    }
}
