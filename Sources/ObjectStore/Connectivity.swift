public import Platform

/// Whether the store can be reached, as all who talk to it have found.
public final class Connectivity: Sendable {
    /// Whether the store can be reached.
    public enum State: Sendable, Equatable {
        case online
        /// Since when, and what the last attempt said.
        case offline(since: Timestamp, reason: StoreError)
        /// The user asked for it.
        case forced(since: Timestamp)

        /// Whether requests are made.
        public var isOnline: Bool { self == .online }
    }

    private let held = Guarded(State.online)

    /// Online until a request says otherwise.
    public init() {}

    /// Whether the store can be reached.
    public var state: State { held.withLock { $0 } }

    /// Switches to offline by the user's wish, or back.
    public func force(_ offline: Bool) { fatalError("skeleton") }

    /// Hears of every change, on any thread, in order.
    public func observe(_ handler: @escaping @Sendable (State) -> Void) { fatalError("skeleton") }
}
