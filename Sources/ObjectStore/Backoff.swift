/// How often and how long a request is repeated.
public struct RetryPolicy: Sendable, Equatable {
    /// Tries in all, the first one included.
    public var attempts: Int
    /// The longest wait before the second try, in seconds; it doubles with every further one.
    public var base: Double
    /// The longest wait there is, in seconds.
    public var cap: Double
    /// Seconds from the first try after which no further one begins.
    public var budget: Double

    /// Five tries, waits of up to 0.1, 0.2, 0.4, 0.8 seconds, one minute in all.
    public init(attempts: Int = 5, base: Double = 0.1, cap: Double = 10, budget: Double = 60) {
        self.attempts = attempts
        self.base = base
        self.cap = cap
        self.budget = budget
    }
}

/// Exponential backoff with full jitter
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>): a wait is drawn evenly between
/// nothing and a ceiling that doubles, so that many clients do not come back together. A pure state machine.
public struct Backoff: Sendable, Equatable {
    /// What comes after a failure.
    public enum Decision: Sendable, Equatable {
        /// Try again after so many seconds.
        case retry(after: Double)
        /// Report the failure.
        case giveUp
    }

    private let policy: RetryPolicy
    private var failures = 0

    /// Before the first try.
    public init(_ policy: RetryPolicy) { self.policy = policy }

    /// Records a failure.
    /// - Parameters:
    ///   - error: what happened; its kind decides, and its ``StoreError/retryAfter`` is the shortest wait.
    ///   - elapsed: seconds since the first try began.
    ///   - random: from 0 up to but not including 1.
    public mutating func next(after error: StoreError, elapsed: Double, random: Double) -> Decision {
        failures += 1
        guard error.isRetryable, failures < policy.attempts else { return .giveUp }
        var ceiling = policy.base
        for _ in 1..<failures where ceiling < policy.cap { ceiling *= 2 }
        let wait = max(error.retryAfter ?? 0, min(ceiling, policy.cap) * random)
        return elapsed + wait <= policy.budget ? .retry(after: wait) : .giveUp
    }
}
