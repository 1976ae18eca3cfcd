public import Platform

/// A time in which programs opened and closed files for writing one after the other, as `cp` of many does.
public struct WritingActivity: Sendable, Equatable {
    /// The longest break in it, in seconds.
    public static let longestBreak = 0.03

    /// When it began, on the monotonic clock.
    public var began: Timestamp
    /// When a file was last opened or closed for writing.
    public var last: Timestamp

    /// Goes on with an earlier one, or begins where that is too long ago.
    public init(after earlier: WritingActivity?, at now: Timestamp) {
        last = now
        began = earlier.flatMap { $0.isGoingOn(now) ? $0.began : nil } ?? now
    }

    /// Whether it is not over yet, for all that is known.
    public func isGoingOn(_ now: Timestamp) -> Bool { now < last.later(by: Self.longestBreak) }
}
