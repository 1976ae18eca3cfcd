public import Platform
internal import Synchronization

/// Whether the store can be reached, as all who talk to it through a ``GatedStore`` have found.
///
/// It goes offline by what requests say, and by a line on which nothing is heard any more. While it is offline nothing
/// is sent but a small question now and then; the first answer ends it.
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

    /// When what is asked and concluded.
    public struct Timing: Sendable {
        /// Seconds from going offline to the first question. The pauses between later ones double.
        public var firstProbe = 0.5
        /// The longest pause between questions, in seconds.
        public var longestPause = 15.0
        /// Seconds after which a question without an answer has failed.
        public var probeTimeout = 4.0
        /// Seconds without a sign of life, with requests under way, after which a question is asked.
        public var silence = 4.0
        /// Requests in a row that got no answer, after which the store counts as away.
        public var unanswered = 3

        /// The defaults.
        public init() {}
    }

    /// One request under way.
    struct Request {
        var begun: Timestamp
        /// Ends it; nil until it is known how.
        var cut: (@Sendable () -> Void)?
    }

    struct Held {
        /// What requests have found.
        var found = State.online
        /// Since when the user wants to be offline.
        var forced: Timestamp?
        /// Rises with every change; tells an old question's answer from a new one's.
        var turn: UInt64 = 0
        var unanswered = 0
        /// The turn for which questions are being asked.
        var probing: UInt64?
        var probe: (@Sendable () async -> StoreError?)?
        var isWatching = false
        var requests: [UInt64: Request] = [:]
        var nextTicket: UInt64 = 0
        /// Requests that were ended here.
        var cut: Set<UInt64> = []
        var observers: [@Sendable (State) -> Void] = []
        /// What observers have not heard yet.
        var news: [State] = []
        var isTelling = false

        var state: State { forced.map { .forced(since: $0) } ?? found }
    }

    let timing: Timing
    let held = Guarded(Held())
    /// When the store last gave a sign of life, by the monotonic clock.
    private let lastHeard = Atomic<Int64>(Timestamp.monotonic.nanoseconds)
    private let activity: LineActivity

    /// Online until a request says otherwise.
    /// - Parameter activity: of the store's connections.
    public init(timing: Timing = Timing(), activity: LineActivity = LineActivity()) {
        self.timing = timing
        self.activity = activity
    }

    /// Whether the store can be reached.
    public var state: State { held.withLock { $0.state } }

    /// What a request would fail with that was made now; nil while online. Missing or expired credentials keep their
    /// kind, everything else is `.offline`.
    public var refusal: StoreError? { held.withLock { Connectivity.refusal($0.state) } }

    static func refusal(_ state: State) -> StoreError? {
        switch state {
        case .online: return nil
        case .forced: return StoreError(.offline, message: "working offline, as asked for")
        case .offline(_, let reason):
            if reason.kind == .unauthenticated { return reason }
            return StoreError(.offline, message: "the store cannot be reached: \(reason)")
        }
    }

    /// Switches to offline by the user's wish, which also ends the requests under way, or back.
    public func force(_ offline: Bool) {
        let cuts = change { held -> [@Sendable () -> Void] in
            guard (held.forced != nil) != offline else { return [] }
            held.forced = offline ? .now : nil
            return offline ? Connectivity.cutAll(&held) : []
        }
        for cut in cuts { cut() }
        if !offline { probeUntilOnline() }
    }

    /// Hears of every change, on any thread, in order.
    public func observe(_ handler: @escaping @Sendable (State) -> Void) {
        held.withLock { $0.observers.append(handler) }
    }

    // MARK: What requests find

    /// A sign of life: bytes, or any answer.
    func heard() { lastHeard.store(Timestamp.monotonic.nanoseconds, ordering: .relaxed) }

    /// The last sign of life. Bytes that move are one, also of transfers whose answer takes its time.
    var heardAt: Timestamp { max(Timestamp(nanoseconds: lastHeard.load(ordering: .relaxed)), activity.movedAt) }

    /// A request has ended.
    /// - Parameter error: nil when it went well.
    func take(_ error: StoreError?) {
        guard let error else { return answered() }
        switch error.kind {
        case .cancelled, .local, .offline: return
        case .unreachable, .unauthenticated: goOffline(error)
        case .temporary where error.status == nil:
            let isOver = held.withLock { held in
                held.unanswered += 1
                return held.unanswered >= timing.unanswered
            }
            if isOver { goOffline(error) }
        case .temporary, .throttled, .permanent, .notFound, .noContainer, .precondition, .forbidden, .unsupported:
            answered()
        }
    }

    private func answered() {
        heard()
        change { held -> Void in
            held.unanswered = 0
            // An answer to a request from before the credentials expired says nothing of those.
            if case .offline(_, let reason) = held.found, reason.kind == .unauthenticated { return }
            held.found = .online
        }
    }

    func goOffline(_ reason: StoreError) {
        change { held -> Void in
            var since = Timestamp.now
            if case .offline(let before, let known) = held.found {
                // Only another kind of reason is news.
                if known.kind == reason.kind { return }
                since = before
            }
            held.found = .offline(since: since, reason: reason)
        }
        probeUntilOnline()
    }

    /// The answer to a question.
    func probed(_ error: StoreError?) {
        switch error?.kind {
        case .unreachable, .unauthenticated, .offline: if let error { goOffline(error) }
        case .temporary where error?.status == nil: if let error { goOffline(error) }
        case .cancelled, .local: break
        default:
            heard()
            change { held -> Void in
                held.unanswered = 0
                held.found = .online
            }
        }
    }

    /// Takes the requests under way, to be ended.
    static func cutAll(_ held: inout Held) -> [@Sendable () -> Void] {
        let cuts = held.requests.values.compactMap(\.cut)
        held.cut.formUnion(held.requests.keys)
        return cuts
    }

    // MARK: Telling

    /// Changes the state and tells the observers when it is another one then.
    func change<Result: Sendable>(_ body: (inout Held) -> Result) -> Result {
        let (result, tells) = held.withLock { held in
            let before = held.state
            let result = body(&held)
            let after = held.state
            if after != before {
                held.turn += 1
                held.news.append(after)
            }
            let tells = !held.news.isEmpty && !held.isTelling
            if tells { held.isTelling = true }
            return (result, tells)
        }
        if tells { tell() }
        return result
    }

    /// One thread at a time tells, so that all hear in order.
    private func tell() {
        while true {
            let (news, observers) = held.withLock { held -> (State?, [@Sendable (State) -> Void]) in
                guard !held.news.isEmpty else {
                    held.isTelling = false
                    return (nil, [])
                }
                return (held.news.removeFirst(), held.observers)
            }
            guard let news else { return }
            Connectivity.log.info("connection", ["state": news.word])
            for observer in observers { observer(news) }
        }
    }

    static let log = Log("store")
}

extension Connectivity.State {
    /// For the log.
    fileprivate var word: String {
        switch self {
        case .online: "online"
        case .offline(_, let reason): "offline: \(reason)"
        case .forced: "offline, as asked for"
        }
    }
}
