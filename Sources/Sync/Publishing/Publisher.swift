public import Catalog
public import ObjectStore
public import Operations
public import SessionCache

/// Sends what is staged to the bucket: body, index, row, each change as one operation.
public final class Publisher: Sendable {
    /// - Parameters:
    ///   - store: with retries, gated by `connectivity`.
    ///   - stateDirectory: `<state>/<store-id>`; holds what must outlive a crash beside the journal.
    public init(
        store: any ObjectStore, staging: Staging, catalog: Catalog, connectivity: Connectivity,
        operations: OperationRegistry, stateDirectory: String, options: PublisherOptions
    ) { fatalError("skeleton") }

    /// Sends whatever becomes ready, until the calling task is cancelled. Waits while the store is offline.
    public func run() async { fatalError("skeleton") }

    /// Sends everything that can be sent now, without waiting to gather.
    /// - Parameters:
    ///   - timeout: in seconds; nil waits as long as something moves.
    ///   - progress: changes done and in all.
    /// - Returns: what was not sent, and why; empty when all was.
    public func flush(
        timeout: Double?, progress: @escaping @Sendable (_ done: Int, _ total: Int) -> Void
    ) async -> [Unsent] { fatalError("skeleton") }

    /// Waits until a change has been sent or has failed, for a close that waits for the cloud.
    /// - Returns: why it was not sent; nil when it was.
    public func outcome(of id: Int64) async -> Unsent? { fatalError("skeleton") }

    /// Where the sending stands.
    public var status: PublisherStatus { fatalError("skeleton") }

    /// How much of a body is sent, from 0 to 100; nil when it is not being sent.
    public func percent(of id: Int64) -> Int? { fatalError("skeleton") }

    /// The overall file has changed: rows that were written lately are looked for, and written again when they are
    /// gone (clients that overwrite the file without looking).
    public func overallFileChanged() { fatalError("skeleton") }

    /// What the bucket holds under a session's name now, to decide a conflict; nil: nothing.
    public func current(_ fileName: String) async throws(StoreError) -> ObjectInfo? { fatalError("skeleton") }
}
