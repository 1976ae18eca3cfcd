internal import Glibc

/// A counting semaphore for threads (sem_init(3)). Never wait on Swift's cooperative pool.
///
/// `@unchecked Sendable`: the memory is allocated once and only sem_post and sem_wait, which are thread-safe, touch it.
public final class Semaphore: @unchecked Sendable {
    private let handle: UnsafeMutablePointer<sem_t>

    /// A semaphore at zero.
    public init() {
        handle = .allocate(capacity: 1)
        sem_init(handle, 0, 0)
    }

    deinit {
        sem_destroy(handle)
        handle.deallocate()
    }

    /// Lets one waiter go on.
    public func signal() { sem_post(handle) }

    /// Waits for a ``signal()``.
    public func wait() { while sem_wait(handle) == -1 {} }
}
