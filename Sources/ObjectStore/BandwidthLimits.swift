internal import Platform

/// How many bytes a second may go up and down, all transfers together. Can be changed at any time; transfers under way
/// follow within a quarter of a second.
public final class BandwidthLimits: Sendable {
    /// Which way bytes go.
    public enum Direction: Sendable, CaseIterable {
        case upload, download
    }

    private struct Buckets {
        var upload = TokenBucket()
        var download = TokenBucket()

        subscript(direction: Direction) -> TokenBucket {
            get { direction == .upload ? upload : download }
            set { if direction == .upload { upload = newValue } else { download = newValue } }
        }
    }

    private let buckets = Guarded(Buckets())

    /// Bytes a second; nil, and 0, are no limit.
    public init(upload: UInt64? = nil, download: UInt64? = nil) {
        self.upload = upload
        self.download = download
    }

    /// Bytes a second to the store; nil is no limit.
    public var upload: UInt64? {
        get { rate(.upload) }
        set { setRate(newValue, .upload) }
    }

    /// Bytes a second from the store; nil is no limit.
    public var download: UInt64? {
        get { rate(.download) }
        set { setRate(newValue, .download) }
    }

    /// Bytes a second; nil is no limit.
    public func rate(_ direction: Direction) -> UInt64? { buckets.withLock { $0[direction].rate } }

    private func setRate(_ rate: UInt64?, _ direction: Direction) {
        buckets.withLock { $0[direction].setRate(rate == 0 ? nil : rate, now: Timestamp.monotonic.nanoseconds) }
    }

    /// Counts bytes that have passed, whether they had to wait or not.
    public func took(_ count: Int, _ direction: Direction) {
        buckets.withLock { $0[direction].take(count, now: Timestamp.monotonic.nanoseconds) }
    }

    /// Seconds until the next bytes may pass; 0 is now.
    public func wait(_ direction: Direction) -> Double {
        buckets.withLock { $0[direction].wait(now: Timestamp.monotonic.nanoseconds) }
    }

    /// The bytes to pass at a time, so that many transfers take turns: a twentieth of a second's.
    /// - Returns: nil without a limit.
    public func share(_ direction: Direction) -> Int? {
        rate(direction).map { Int(clamping: max(1024, $0 / 20)) }
    }

    /// Waits until bytes may pass, and counts them.
    /// - Throws: `.cancelled`.
    func pass(_ count: Int, _ direction: Direction) async throws(StoreError) {
        while true {
            let seconds = wait(direction)
            if seconds <= 0 { break }
            do { try await Task.sleep(for: .seconds(min(seconds, 0.25))) } catch {
                throw StoreError(.cancelled, message: "cancelled")
            }
        }
        took(count, direction)
    }
}

/// A token bucket that may be overdrawn: whoever takes more than there is makes those after it wait. A pure state machine;
/// times are nanoseconds of a clock that never steps back.
struct TokenBucket: Sendable {
    private(set) var rate: UInt64?
    private var level: Double = 0
    private var filledAt: Int64 = 0

    /// Seconds' worth of bytes that gather while nobody takes any.
    private static let burst = 0.125

    /// Debts are forgotten, so that a higher limit helps at once.
    mutating func setRate(_ rate: UInt64?, now: Int64) {
        self.rate = rate
        level = 0
        filledAt = now
    }

    mutating func take(_ count: Int, now: Int64) {
        guard rate != nil else { return }
        fill(now)
        level -= Double(count)
    }

    /// Seconds until something may be taken.
    mutating func wait(now: Int64) -> Double {
        guard let rate else { return 0 }
        fill(now)
        return level > 0 ? 0 : max(0.001, -level / Double(rate))
    }

    private mutating func fill(_ now: Int64) {
        guard let rate, now > filledAt else { return }
        level = min(Double(rate) * Self.burst, level + Double(rate) * Double(now - filledAt) / 1e9)
        filledAt = now
    }
}
