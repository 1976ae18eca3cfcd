internal import Dispatch

/// Threads for calls that wait for the disk (fsync(2), copies of files), so that they hold up neither the threads that
/// answer the kernel nor Swift's cooperative pool.
public struct BlockingPool: Sendable {
    private let queue: DispatchQueue

    /// - Parameter name: shown for its threads by debuggers.
    public init(name: String) { queue = DispatchQueue(label: name, qos: .userInitiated, attributes: .concurrent) }

    /// Runs work on some thread, soon.
    public func run(_ work: @escaping @Sendable () -> Void) { queue.async(execute: work) }

    /// Runs work and waits for it without blocking the calling task's thread.
    public func result<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { done in queue.async { done.resume(returning: work()) } }
    }
}
