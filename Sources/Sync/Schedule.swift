internal import ObjectStore
internal import Platform

/// When which refresh is due.
struct Due {
    private let options: RefresherOptions
    private var tail: Timestamp
    private var full: Timestamp
    private var failures = 0

    /// The first refresh is a tail one, due now: it shows what the overall file does not know yet. The first complete
    /// listing comes when the last is long ago, and never in the way of the start.
    init(_ options: RefresherOptions, lastListing: Timestamp?) {
        self.options = options
        let now = Timestamp.monotonic
        tail = now
        let sinceListing = lastListing.map { max(0, Timestamp.now.seconds(since: $0)) } ?? options.reconcileInterval
        full = now.adding(max(options.reconcileDelay, options.reconcileInterval - sinceListing))
    }

    /// What is due now.
    var mode: RefreshMode {
        let now = Timestamp.monotonic
        return now >= full ? .full : now >= tail ? .tail : .poll
    }

    /// Takes what came of a refresh.
    /// - Returns: the seconds to the next.
    mutating func pause(after outcome: Result<RefreshReport, StoreError>) -> Double {
        let now = Timestamp.monotonic
        switch outcome {
        case .success(let report):
            failures = 0
            if report.mode >= .tail || report.listedAll { tail = now.adding(options.tailInterval) }
            if report.listedAll { full = now.adding(options.reconcileInterval) }
            let next = min(now.adding(options.pollInterval), tail, full)
            return max(0.001, next.seconds(since: now))
        case .failure(let error):
            failures += 1
            let pause = min(options.longestPause, options.pollInterval * Double(1 << min(failures - 1, 10)))
            // Spread, so that many mounts do not come back in step; never before the store wants it.
            return max(error.retryAfter ?? 0, pause * Double.random(in: 0.75...1))
        }
    }
}

extension Timestamp {
    fileprivate func adding(_ seconds: Double) -> Timestamp {
        Timestamp(nanoseconds: nanoseconds + Int64(seconds * 1e9))
    }
}
