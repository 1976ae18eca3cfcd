internal import CMicroHTTPD

/// A connection of libmicrohttpd while its answer is awaited.
///
/// `@unchecked Sendable`: the pointer never changes, and libmicrohttpd keeps a suspended connection alive until it is
/// resumed. ``suspend()`` runs on the server's own thread inside one of its callbacks; ``resume()``, which may run on
/// any thread, is called at most once for it, by whoever takes this value out of the lock that holds it.
struct SuspendedConnection: @unchecked Sendable {
    private let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    func suspend() -> SuspendedConnection {
        MHD_suspend_connection(pointer)
        return self
    }

    func resume() { MHD_resume_connection(pointer) }
}
