internal import Dispatch

/// The threads of the cache besides the store's own: for work that computes or waits for the disk. Each lane runs its
/// jobs in order, and holds a thread only while it has some.
struct Lanes: Sendable {
    private let hashing = [
        DispatchQueue(label: "cache.hash.0", qos: .userInitiated),
        DispatchQueue(label: "cache.hash.1", qos: .userInitiated),
    ]
    private let replying = DispatchQueue(label: "cache.reply", qos: .userInitiated)
    private let keeping = DispatchQueue(label: "cache.disk")

    /// Hashing of a download. Downloads with the same parity share a lane.
    func hash(_ id: Int64, _ job: @escaping @Sendable () -> Void) { hashing[Int(id & 1)].async(execute: job) }
    /// Replies to readers, off the thread that receives from the network.
    func reply(_ job: @escaping @Sendable () -> Void) { replying.async(execute: job) }
    /// fsync, rename and the catalog's records.
    func disk(_ job: @escaping @Sendable () -> Void) { keeping.async(execute: job) }
    /// Waits, blocking, until what was handed to the disk lane is done. Not to be called from it.
    func waitForDisk() { keeping.sync {} }
    /// Waits until what was handed to the disk lane is done.
    func diskIsIdle() async { await withCheckedContinuation { done in keeping.async { done.resume() } } }
}
