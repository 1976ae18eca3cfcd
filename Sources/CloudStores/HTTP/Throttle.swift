internal import ObjectStore

/// Bodies that wait for their share of the bandwidth, in the order in which they go on. For the engine's thread alone.
final class Throttle {
    /// Bodies up to this length never wait: what browses and keeps books stays quick beside large transfers.
    static let smallBody: UInt64 = 64 << 10

    let limits: BandwidthLimits
    private var queues: [BandwidthLimits.Direction: [Transfer]] = [:]

    init(_ limits: BandwidthLimits) { self.limits = limits }

    func enqueue(_ transfer: Transfer, _ direction: BandwidthLimits.Direction) {
        queues[direction, default: []].append(transfer)
    }

    /// Lets the first body of each direction go on, if there is something for it. One at a time: it takes what there is,
    /// and goes to the end of the queue.
    /// - Returns: milliseconds after which to call again; nil when nothing waits.
    func resume() -> Int? {
        var next: Double?
        for direction in BandwidthLimits.Direction.allCases {
            while let first = queues[direction]?.first {
                let wait = limits.wait(direction)
                if wait > 0 {
                    // Not longer, for the limit may change.
                    next = min(next ?? 1, wait, 0.25)
                    break
                }
                queues[direction]?.removeFirst()
                // Those that have ended meanwhile are passed over.
                if first.easy != nil {
                    first.resume(direction)
                    next = 0
                    break
                }
            }
        }
        return next.map { Int(($0 * 1000).rounded(.up)) }
    }
}
