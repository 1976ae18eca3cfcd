public import Platform
internal import Synchronization

/// When bytes last moved on any connection to a store, either way. A line on which they do is not dead, however long an
/// answer takes.
public final class LineActivity: Sendable {
    private let last = Atomic<Int64>(0)

    /// Nothing has moved yet.
    public init() {}

    /// Bytes have just moved: the other end has sent some, or confirmed some.
    public func moved() { last.store(Timestamp.monotonic.nanoseconds, ordering: .relaxed) }

    /// By the monotonic clock; the clock's beginning when nothing has moved yet.
    public var movedAt: Timestamp { Timestamp(nanoseconds: last.load(ordering: .relaxed)) }
}
