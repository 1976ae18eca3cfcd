internal import ObjectStore
internal import Platform
internal import SessionCache

/// Which changes are being sent, and which rest after a failure. Knows no clock and makes no request.
struct PublishDesk {
    /// How far a change has come.
    private enum Stage {
        /// Its objects are being sent.
        case preparing
        /// It waits for its row, or does what comes after it.
        case waiting
    }

    private struct Pause {
        var failures = 0
        var until: Timestamp
        var reason: String
    }

    /// Changes under way at the same time, those that wait for their rows included.
    static let most = 4096
    /// The ceiling of the first rest and of the longest, in seconds.
    static let firstPause = 0.5
    static let longestPause = 60.0
    /// The longest rest while somebody waits for everything to be sent.
    static let longestPauseInHurry = 3.0
    /// Seconds between tries while the credentials are not accepted.
    static let credentialsPause = 30.0

    /// Uploads at the same time while a program copies files in.
    static let parallelWhileCopying = 4
    /// Seconds after which that does not count any more.
    static let longestGivingWay = 1.0

    private let parallel: Int
    private var stages: [Int64: Stage] = [:]
    private var pauses: [Int64: Pause] = [:]
    private var restsUntil: Timestamp?
    /// How often in a row the store refused everybody, not one change: too many requests, or no bucket.
    private var refusals = 0
    /// Changes whose objects are being sent.
    private(set) var preparing = 0
    /// How many were ever begun.
    private(set) var begun: UInt64 = 0
    /// How many wait for everything to be sent, or for one change.
    var hurries = 0

    init(parallel: Int) { self.parallel = max(1, parallel) }

    /// Changes being sent.
    var running: Int { stages.count }
    /// Changes that rest.
    var resting: Int { pauses.count }

    /// How many changes may begin now.
    /// - Parameter activity: programs that copy files in.
    func room(_ now: Timestamp, _ activity: WritingActivity? = nil) -> Int {
        if let restsUntil, restsUntil > now { return 0 }
        let parallel = givesWay(to: activity, now) == nil ? parallel : min(parallel, Self.parallelWhileCopying)
        return min(parallel - preparing, Self.most - stages.count)
    }

    /// Seconds for which programs that copy files in go first: their uploads would take processor and disk from them.
    /// Nil when they do not, as when they have taken long or somebody waits for the uploads.
    func givesWay(to activity: WritingActivity?, _ now: Timestamp) -> Double? {
        guard let activity, hurries == 0, activity.isGoingOn(now) else { return nil }
        guard now < activity.began.later(by: Self.longestGivingWay) else { return nil }
        return activity.last.later(by: WritingActivity.longestBreak).seconds(since: now)
    }

    func isRunning(_ id: Int64) -> Bool { stages[id] != nil }

    func mayBegin(_ id: Int64, _ now: Timestamp) -> Bool {
        stages[id] == nil && (pauses[id].map { $0.until <= now } ?? true)
    }

    mutating func begin(_ id: Int64) {
        stages[id] = .preparing
        preparing += 1
        begun += 1
    }

    /// - Returns: false when it rests or is under way.
    mutating func beginIfRested(_ id: Int64, _ now: Timestamp) -> Bool {
        guard mayBegin(id, now) else { return false }
        begin(id)
        return true
    }

    /// The change's objects are in the bucket: others may begin while it waits for its row.
    mutating func prepared(_ id: Int64) {
        guard stages[id] == .preparing else { return }
        stages[id] = .waiting
        preparing -= 1
    }

    /// The change is under way no more.
    mutating func end(_ id: Int64) {
        if stages.removeValue(forKey: id) == .preparing { preparing -= 1 }
    }

    /// The change was sent, or failed for good.
    mutating func settle(_ id: Int64) {
        pauses[id] = nil
        refusals = 0
    }

    /// The change failed for a reason that passes: it rests, longer each time.
    /// - Parameter random: from 0 up to but not including 1.
    mutating func pause(_ id: Int64, after error: StoreError, now: Timestamp, random: Double) {
        var pause = pauses[id] ?? Pause(until: now, reason: "")
        pause.failures += 1
        pause.reason = error.description
        // Not quite nothing, so that a store that fails at once is not asked in a tight loop.
        pause.until = now.later(by: max(error.retryAfter ?? 0, 0.02, ceiling(pause.failures) * random))
        pauses[id] = pause
        switch error.kind {
        case .unauthenticated: rest(until: now.later(by: Self.credentialsPause))
        case .throttled, .noContainer:
            // What was under way at the same time is refused for the same reason.
            if restsUntil.map({ $0 <= now }) ?? true { refusals += 1 }
            rest(until: now.later(by: max(error.retryAfter ?? 0, ceiling(refusals) * random)))
        default: break
        }
    }

    /// The longest rest after so many failures in a row.
    private func ceiling(_ failures: Int) -> Double {
        var ceiling = Self.firstPause
        for _ in 1..<max(1, failures) where ceiling < Self.longestPause { ceiling *= 2 }
        return min(ceiling, hurries > 0 ? Self.longestPauseInHurry : Self.longestPause)
    }

    /// No change begins before that.
    private mutating func rest(until time: Timestamp) { restsUntil = max(restsUntil ?? time, time) }

    /// The store is there again, or somebody asked: nothing rests. Failures stay counted.
    mutating func wake(_ now: Timestamp) {
        restsUntil = nil
        for id in pauses.keys { pauses[id]?.until = now }
    }

    /// Forgets the failures of changes, so that they count anew.
    mutating func forgetFailures() {
        restsUntil = nil
        pauses = [:]
    }

    /// How often a change has failed in a row.
    func failures(_ id: Int64) -> Int { pauses[id]?.failures ?? 0 }

    /// Why a change failed last; nil when it did not.
    func reason(_ id: Int64) -> String? { pauses[id]?.reason }

    /// Seconds until the next change may be tried again; nil when none rests.
    func nextEnd(_ now: Timestamp) -> Double? {
        // Those that do not rest by themselves begin as soon as all may.
        if let restsUntil, restsUntil > now { return restsUntil.seconds(since: now) }
        let next = pauses.filter { stages[$0.key] == nil && $0.value.until > now }.map(\.value.until).min()
        return next.map { $0.seconds(since: now) }
    }
}

/// Changes that the staging has named, in their order. It is asked for many at a time, for it goes through all that is
/// pending.
struct PublishQueue {
    private var ids: ArraySlice<Int64> = []

    /// How many are asked for.
    static let length = 4096

    /// The next change that may begin, as far as was known when it was named.
    /// - Parameter ifNews: whether the staging may name others than before; asked once the queue is empty.
    mutating func next(fill: (Int) -> [Int64], ifNews: () -> Bool) -> Int64? {
        if let id = ids.popFirst() { return id }
        guard ifNews() else { return nil }
        ids = fill(Self.length)[...]
        return ids.popFirst()
    }
}

/// When gathered rows are written.
enum GatheringRule {
    /// Seconds that rows wait at most while uploads go on.
    static let longest = 5.0

    /// - Parameters:
    ///   - first: when the oldest of them came.
    ///   - last: when the last came.
    ///   - preparing: uploads under way that will bring more.
    ///   - hurry: whether somebody waits for the end.
    /// - Returns: seconds to wait; 0: now.
    static func wait(
        first: Timestamp, last: Timestamp, preparing: Int, hurry: Bool, gathering: Double, now: Timestamp
    ) -> Double {
        var due = first.later(by: longest)
        if preparing == 0 { due = hurry ? now : min(due, last.later(by: gathering)) }
        return max(0, due.seconds(since: now))
    }
}
