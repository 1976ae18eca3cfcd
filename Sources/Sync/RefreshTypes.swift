public import JSON
public import ObjectStore
public import Platform

/// How much a refresh looks at. A greater mode includes the lesser ones.
public enum RefreshMode: Int, Sendable, Comparable, CaseIterable {
    /// The overall file, if it changed: one conditional request.
    case poll = 0
    /// Also the listing of sessions behind the greatest known name, where new ones appear.
    case tail = 1
    /// Also the complete listings of sessions and indexes.
    case full = 2

    /// By how much they look at.
    public static func < (left: RefreshMode, right: RefreshMode) -> Bool { left.rawValue < right.rawValue }
}

/// When and how refreshes run.
public struct RefresherOptions: Sendable, Equatable {
    /// Seconds between looks at the overall file.
    public var pollInterval: Double
    /// Seconds between looks behind the greatest known name.
    public var tailInterval: Double
    /// Seconds between complete listings.
    public var reconcileInterval: Double
    /// Seconds from the start of the loop to its first complete listing, when one is due.
    public var reconcileDelay: Double
    /// The longest pause after failures, in seconds.
    public var longestPause: Double
    /// Index requests in flight.
    public var parallel: Int

    /// Options; the defaults are those of a mount.
    public init(
        pollInterval: Double = 10, tailInterval: Double = 60, reconcileInterval: Double = 600,
        reconcileDelay: Double = 10, longestPause: Double = 60, parallel: Int = 64
    ) {
        self.pollInterval = pollInterval
        self.tailInterval = tailInterval
        self.reconcileInterval = reconcileInterval
        self.reconcileDelay = reconcileDelay
        self.longestPause = longestPause
        self.parallel = max(1, parallel)
    }
}

/// What the overall file was found to be.
public enum OverallOutcome: Sendable, Equatable {
    /// The same as before.
    case unchanged
    /// Another one; all its rows were read.
    case changed
    /// There is none.
    case missing
    /// It cannot be read to its end, or its checksum does not agree. The rows that could be read were taken.
    case damaged(reason: String)
}

/// What a refresh did.
public struct RefreshReport: Sendable, Equatable {
    /// What was asked for.
    public var mode: RefreshMode
    /// What the overall file was found to be.
    public var overall = OverallOutcome.unchanged
    /// Sessions that came, went, and of which something is another now.
    public var added = 0, removed = 0, changed = 0
    /// Whether the complete listings were made, asked for or needed.
    public var listedAll = false
    /// Indexes that were read, were not there, or cannot be read.
    public var indexesRead = 0, indexesMissing = 0, indexesCorrupt = 0
    /// Indexes that could not be fetched; a later refresh tries again.
    public var indexesFailed = 0
    /// Requests made to the store, pages of listings counted one by one.
    public var requests: UInt64 = 0
    /// How long it took.
    public var seconds = 0.0

    /// The JSON of the control API and `--json`.
    public var json: JSONValue {
        var members: [(String, JSONValue)] = [("mode", .string("\(mode)"))]
        switch overall {
        case .unchanged: members.append(("overall", "unchanged"))
        case .changed: members.append(("overall", "changed"))
        case .missing: members.append(("overall", "missing"))
        case .damaged(let reason): members += [("overall", "damaged"), ("overall_problem", .string(reason))]
        }
        members += [
            ("added", JSONValue(added)), ("removed", JSONValue(removed)), ("changed", JSONValue(changed)),
            ("listed_all", JSONValue(listedAll)), ("indexes_read", JSONValue(indexesRead)),
            ("indexes_missing", JSONValue(indexesMissing)), ("indexes_corrupt", JSONValue(indexesCorrupt)),
            ("indexes_failed", JSONValue(indexesFailed)), ("requests", JSONValue(requests)),
            ("seconds", .double(seconds)),
        ]
        return .object(members)
    }
}

/// Where the refreshing stands.
public struct RefreshStatus: Sendable, Equatable {
    /// Whether a refresh runs now.
    public var isRunning = false
    /// How many callers wait for a refresh.
    public var waiting = 0
    /// Whether the names of all sessions were learnt since this process began, if perhaps not yet their metadata.
    public var isListed = false
    /// What it is doing, in words; empty between refreshes.
    public var phase = ""
    /// Sessions or indexes done in this phase.
    public var completed: UInt64 = 0
    /// Of how many, where known.
    public var total: UInt64?
    /// When a refresh last ended well, also before this process began; nil when none ever did.
    public var lastSuccess: Timestamp?
    /// When complete listings were last made.
    public var lastFullListing: Timestamp?
    /// Why the last refresh failed; nil when it ended well.
    public var lastError: StoreError?
    /// When that was.
    public var lastErrorTime: Timestamp?
    /// Refreshes that have failed since the last that ended well.
    public var failures = 0
    /// Requests made to the store since this process began.
    public var requests: UInt64 = 0
    /// The last report.
    public var lastReport: RefreshReport?

    /// Whether the store could be reached when it was last asked.
    public var isOnline: Bool { lastError == nil && lastSuccess != nil }

    /// Seconds since what is shown was last known to be true; nil when it never was.
    public var age: Double? { lastSuccess.map { max(0, Timestamp.now.seconds(since: $0)) } }
}
