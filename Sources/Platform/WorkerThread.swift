internal import CSystem
internal import Glibc

/// A thread of the operating system, for work that blocks and so does not belong on Swift's cooperative pool.
public final class WorkerThread: Sendable {
    private let handle: pthread_t

    /// Starts a thread.
    /// - Parameters:
    ///   - name: shown by `ps -L` and `top -H`; at most 15 bytes count.
    ///   - stackSize: in bytes; default 512 KiB.
    ///   - body: what it runs.
    public init(name: String, stackSize: Int = 512 << 10, _ body: @escaping @Sendable () -> Void) {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackSize)
        defer { pthread_attr_destroy(&attributes) }
        var created = pthread_t()
        let result = pthread_create(&created, &attributes, threadMain, start.toOpaque())
        // Only an exhausted machine refuses a thread, and nothing could go on without it.
        guard result == 0 else { fatalError("pthread_create: \(SystemError.message(for: result))") }
        handle = created
    }

    /// Waits for the thread's end. Call it at most once.
    public func join() { pthread_join(handle, nil) }

    /// Lets the thread clean up after itself when it ends. Instead of ``join()``.
    public func detach() { pthread_detach(handle) }

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    fileprivate static func run(_ argument: UnsafeMutableRawPointer) {
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        _ = String(decoding: start.name.utf8.prefix(15), as: UTF8.self).withCString { sfs_set_thread_name($0) }
        start.body()
    }
}

private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument { WorkerThread.run(argument) }
    return nil
}
