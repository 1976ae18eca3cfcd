internal import ObjectStore
internal import Platform

/// Decides what a download does next. A pure value: events go in with the time, actions come out, and nothing else
/// happens here. ``Download`` feeds it and carries the actions out.
///
/// The promises that it keeps:
/// - One version. Every range is asked for with the tag of the first, and every answer is compared with it.
/// - A read is answered as soon as its bytes are there, except that the file's last byte is given only after the
///   digest of the whole was verified: who has read everything has read what the store holds. (Where neither store
///   nor catalog name a digest, the length is all there is to verify.)
/// - After a digest mismatch nothing is given before the second attempt is verified; readers who were given bytes
///   that turn out different are refused from then on.
struct DownloadPlan: Sendable {
    /// Numbers that steer a download.
    struct Policy: Sendable {
        /// Ranges that are fetched at the same time once one connection has proved too slow.
        var connections = 8
        /// From this size on an object may be fetched in several ranges.
        var parallelThreshold: UInt64 = 8 << 20
        /// Seconds that the first request is alone at most. Requests beside it delay its first byte.
        var patience = 0.075
        /// Seconds of the first connection's stream that tell its rate.
        var probe = 0.01
        /// More connections are opened when the rest would take one of them longer than this, in seconds.
        var longEnough = 0.25
        /// The longest of several ranges. Short enough that the beginning of a large file, which is hashed first, does
        /// not wait for its end.
        var longestSegment: UInt64 = 4 << 20
        /// Further ranges for reads that nothing in flight will reach soon.
        var urgentConnections = 4
        /// The length of such a range.
        var urgentLength: UInt64 = 1 << 20
        /// A read counts as reached soon when a transfer will be there in so many seconds at the rate seen so far, and
        /// in any case within `nearest`; never when it is further away than `near`.
        var soon = 0.1
        var nearest: UInt64 = 128 << 10
        var near: UInt64 = 1 << 20
        /// Waits between repetitions. They end by ``stallLimit``, not by a number of tries.
        var retry = RetryPolicy(attempts: .max, base: 0.2, cap: 5, budget: .infinity)
        /// Seconds without a byte after which one transfer is given up and repeated.
        var idleLimit = 15.0
        /// Seconds without a byte on any transfer after which the download fails.
        var stallLimit = 30.0
        /// Whether ``line(isThere:now:)`` tells when the store is away.
        var followsConnectivity = false
        /// Seconds without a byte after which the download fails once the store is known to be away. Long enough for a
        /// line that comes back at once.
        var offlineLimit = 3.0
        /// Seconds until a request is repeated that was not made because the store was away, when it is not any more.
        var untilNews = 0.05
        /// Whether it waits for the store instead.
        var waitsWhenOffline = false
        /// How often a new version is followed before it counts as an error.
        var versionChanges = 3
        /// How often an object is looked for that has gone from its name.
        var moves = 4
        /// How often a body with a wrong digest is fetched again.
        var digestRetries = 1
    }

    /// The version being fetched.
    struct Version: Sendable, Equatable {
        var etag: String?
        var size: UInt64
        var contentMD5: String?
        var modified: Timestamp?

        /// Whether an answer belongs to the same version, as far as both sides tell.
        func matches(_ other: Version) -> Bool {
            if size != other.size { return false }
            if let etag, let theirs = other.etag { return etag == theirs }
            if let modified, let theirs = other.modified { return modified == theirs }
            return true
        }
    }

    /// What the executor has to do, in order.
    enum Action: Sendable, Equatable {
        /// Make the file for a body of this size, then say ``prepared(now:)``.
        case prepare(size: UInt64)
        /// Ask for a range (nil: everything, for an object of no bytes), only of the version with this tag.
        case fetch(ticket: UInt64, range: Range<UInt64>?, ifMatch: String?)
        /// Give up a transfer; nothing more is heard of it.
        case stop(ticket: UInt64)
        /// Give a waiting read its bytes.
        case answer(read: UInt64, offset: UInt64, count: UInt64)
        case refuse(read: UInt64, CacheError)
        /// Call ``tick(now:)`` in that many seconds.
        case wake(after: Double)
        /// Ask for the object's facts, then say ``asked(_:now:)``.
        case ask
        /// Find out where the object has gone, then say ``located(_:now:)``.
        case locate
        /// Tell the catalog what was learnt.
        case learn(Version)
        /// Tell the catalog that the object is gone.
        case forget
        /// Remove other bodies from the cache.
        case makeRoom
        /// The body is whole and verified: make it durable and record it.
        case keep
        /// It is over.
        case end(CacheError)
    }

    enum Phase: Sendable, Equatable {
        case preparing, running, asking, verified
        case ended(CacheError)
    }

    struct Transfer: Sendable {
        let ticket: UInt64
        let isUrgent: Bool
        var start: UInt64
        var position: UInt64
        /// Where it is to stop.
        var end: UInt64
        /// Where the answer stops by itself.
        var answerEnd: UInt64
        var delivered: UInt64 = 0
        var lastProgress: Timestamp
    }
    /// A range that failed and is not to be asked for before its time.
    struct Penalty: Sendable {
        let range: Range<UInt64>
        let until: Timestamp
    }
    struct WaitingRead: Sendable {
        let id: UInt64
        let reader: UInt64
        let offset: UInt64
        let count: UInt64
    }

    var policy: Policy
    let subject: String
    var phase = Phase.preparing
    var size: UInt64
    /// The tag that the catalog knows; the first requests name it.
    var expectedETag: String?
    /// Digest of the version with ``expectedETag`` as the catalog knows it.
    var catalogDigest: Digest?
    var version: Version?
    var useIfMatch = true

    var arrived = ByteRanges()
    /// What has arrived or is just being written to the file. No byte is written twice: a second copy could differ
    /// from the one that was hashed.
    var claimed = ByteRanges()
    var transfers: [Transfer] = []
    var penalties: [Penalty] = []
    var reads: [WaitingRead] = []
    /// Whether all connections may be used.
    var isParallel = false
    /// When the first request went out and when its first bytes came.
    var startedAt: Timestamp?
    var firstBytesAt: Timestamp?
    /// Bytes per second of one transfer, once that can be told.
    var rate: Double?
    /// Where the prefetch begins; it wraps around at the end.
    var cursor: UInt64 = 0
    /// Since when the store is known to be away.
    var awaySince: Timestamp?

    /// What was given to readers, and to which.
    var handedOut = ByteRanges()
    var handedReaders: Set<UInt64> = []
    /// Readers that got bytes of a body that turned out wrong.
    var tainted: Set<UInt64> = []

    var nextTicket: UInt64 = 1
    /// Counts failures without a byte between them.
    var backoff: Backoff
    var versionChanges = 0
    var moves = 0
    var digestFailures = 0
    var hasMadeRoom = false
    var lastProgress: Timestamp
    var lastError: StoreError?
    var nextWatch: Timestamp
    /// When to ask for the facts again; nil while a question is under way.
    var askAgainAt: Timestamp?
    var jitter: Jitter

    /// - Parameters:
    ///   - subject: the object's key, for messages.
    ///   - seed: of the jitter.
    init(
        subject: String, size: UInt64, expectedETag: String?, catalogDigest: Digest?, policy: Policy, seed: UInt64,
        now: Timestamp
    ) {
        self.policy = policy
        backoff = Backoff(policy.retry)
        self.subject = subject
        self.size = size
        self.expectedETag = expectedETag
        self.catalogDigest = catalogDigest
        lastProgress = now
        nextWatch = now
        jitter = Jitter(state: seed)
    }

    /// Every byte is there; it may still be wrong.
    var isComplete: Bool { version != nil && arrived.count == size }
    var isVerified: Bool { phase == .verified }
    /// A second attempt after bytes of the first had been handed out.
    private var isStrict: Bool { digestFailures > 0 }

    /// The digest that the body must have, known once ``version`` is. The store's own word on the pinned version
    /// comes first; the catalog's may be older than the object.
    var expectedDigest: Digest? {
        if let md5 = version?.contentMD5 { return .md5(md5) }
        return catalogDigest
    }

    // MARK: Reads

    /// A program wants bytes. Answered at once when they are there, else when they come.
    mutating func read(id: UInt64, reader: UInt64, offset: UInt64, count: UInt64, now: Timestamp) -> [Action] {
        let read = WaitingRead(id: id, reader: reader, offset: offset, count: count)
        if let action = settle(read) { return [action] }
        if reads.isEmpty, transfers.isEmpty, phase == .preparing, offset < size { cursor = offset }
        reads.append(read)
        return schedule(now: now)
    }

    /// Answers or refuses a read when that is decided; nil leaves it waiting.
    private mutating func settle(_ read: WaitingRead) -> Action? {
        if case .ended(let error) = phase { return .refuse(read: read.id, error) }
        if tainted.contains(read.reader) { return .refuse(read: read.id, taintedError) }
        guard version != nil, phase == .running || phase == .verified else { return nil }
        let range = self.range(of: read)
        if phase == .running {
            if isStrict { return nil }
            let hasLastByte = !range.isEmpty && range.upperBound == size
            if hasLastByte && !(isComplete && expectedDigest == nil) { return nil }
        }
        guard arrived.contains(range) else { return nil }
        if !range.isEmpty {
            handedOut.insert(range)
            handedReaders.insert(read.reader)
        }
        return .answer(read: read.id, offset: range.lowerBound, count: range.upperBound - range.lowerBound)
    }

    private var taintedError: CacheError {
        CacheError(.corrupt, "\(subject): bytes that were read earlier have turned out wrong; open the file again")
    }

    func range(of read: WaitingRead) -> Range<UInt64> {
        let start = min(read.offset, size)
        let (end, overflow) = start.addingReportingOverflow(read.count)
        return start..<(overflow ? size : min(end, size))
    }

    /// Settles whichever of the waiting reads can be.
    mutating func settleReads() -> [Action] {
        guard !reads.isEmpty else { return [] }
        var actions: [Action] = []
        var waiting: [WaitingRead] = []
        for read in reads {
            if let action = settle(read) { actions.append(action) } else { waiting.append(read) }
        }
        if !actions.isEmpty { reads = waiting }
        return actions
    }

    /// Interrupts the waiting reads of a reader.
    mutating func cancelReads(of reader: UInt64) -> [Action] {
        let mine = reads.filter { $0.reader == reader }
        reads.removeAll { $0.reader == reader }
        return mine.map { .refuse(read: $0.id, CacheError(.interrupted, "\(subject): read cancelled")) }
    }

    /// A reader closed its file.
    mutating func left(_ reader: UInt64) -> [Action] {
        handedReaders.remove(reader)
        tainted.remove(reader)
        return cancelReads(of: reader)
    }

    // MARK: End

    /// Ends it from outside or because it cannot succeed. Harmless once it has ended or was verified.
    mutating func end(_ error: CacheError) -> [Action] {
        switch phase {
        case .verified, .ended: return []
        case .preparing, .running, .asking: break
        }
        phase = .ended(error)
        var actions = stopAll()
        actions += reads.map { .refuse(read: $0.id, error) }
        reads.removeAll()
        actions.append(.end(error))
        return actions
    }

    mutating func stopAll() -> [Action] {
        let actions = transfers.map { Action.stop(ticket: $0.ticket) }
        transfers.removeAll()
        penalties.removeAll()
        return actions
    }

    // MARK: Digest

    /// The whole body was hashed.
    /// - Parameter unchanged: whether bytes that were handed out in an earlier attempt are the same in this one.
    mutating func digested(_ digest: Digest, unchanged: Bool, now: Timestamp) -> [Action] {
        guard phase == .running, isComplete else { return [] }
        if let expected = expectedDigest, expected != digest {
            digestFailures += 1
            let message = "\(subject): expected \(expected), received \(digest)"
            guard digestFailures <= policy.digestRetries else { return end(CacheError(.corrupt, message)) }
            return restart(now: now)
        }
        if !unchanged { tainted = handedReaders }
        phase = .verified
        return settleReads() + [.keep]
    }

    /// Begins again with an empty file; waiting reads go on waiting.
    mutating func restart(now: Timestamp) -> [Action] {
        let actions = stopAll()
        arrived = ByteRanges()
        claimed = ByteRanges()
        isParallel = false
        startedAt = nil
        firstBytesAt = nil
        rate = nil
        phase = .preparing
        lastProgress = now
        return actions + [.prepare(size: size)]
    }
}

/// A digest with its algorithm; prints as the catalog keeps it, `md5:…` or `sha256:…`, in lower-case hex.
enum Digest: Sendable, Equatable, CustomStringConvertible {
    case md5(String)
    case sha256(String)

    var description: String {
        switch self {
        case .md5(let hex): "md5:\(hex)"
        case .sha256(let hex): "sha256:\(hex)"
        }
    }
}

/// A small generator for waits (SplitMix64), so that a plan is a value and a test can repeat it.
struct Jitter: Sendable {
    var state: UInt64

    /// Evenly from 0 up to 1.
    mutating func next() -> Double {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        z ^= z >> 31
        return Double(z >> 11) / Double(1 << 53)
    }
}
