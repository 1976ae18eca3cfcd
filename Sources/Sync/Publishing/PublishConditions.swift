internal import Catalog
internal import ObjectStore
internal import Platform

/// What the server honours, found out once and remembered in the catalog.
final class PublishConditions: Sendable {
    private struct State {
        var known: ConditionSupport?
        /// Whether `If-None-Match` is honoured, while the rest is not known.
        var ifAbsent: Bool?
        var isProbing = false
        /// Who waits for the end of the probe.
        var waiting: [CheckedContinuation<Void, Never>] = []
        var failures = 0
        var restsUntil = Timestamp.monotonic
        var lastError: StoreError?
    }

    static let valueKey = "store_conditions"
    /// Seconds after which a remembered answer is asked for again: servers are updated.
    static let validity = 86_400.0

    private let state: Guarded<State>
    private let catalog: Catalog

    init(catalog: Catalog) {
        self.catalog = catalog
        let text = (try? catalog.value(Self.valueKey)) ?? nil
        state = Guarded(State(known: text.flatMap { Self.decode($0, now: .now) }))
    }

    /// What was found; nil before.
    var known: ConditionSupport? { state.withLock { $0.known } }
    /// Whether enough is known to write new objects.
    var allowsNew: Bool { state.withLock { $0.known != nil || $0.ifAbsent != nil } }
    /// Whether `If-None-Match` is honoured; false before it was found out.
    var ifAbsent: Bool { state.withLock { $0.known?.ifAbsent ?? $0.ifAbsent ?? false } }

    /// What was found, after a probe that is under way. What could not be found out counts as not honoured.
    func support() async -> ConditionSupport {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            let waits = state.withLock { state in
                guard state.known == nil, state.isProbing else { return false }
                state.waiting.append(done)
                return true
            }
            if !waits { done.resume() }
        }
        return state.withLock { state in
            state.known
                ?? ConditionSupport(ifAbsent: state.ifAbsent ?? false, ifMatch: false, deleteIfMatch: false)
        }
    }

    /// How often in a row it could not be found out.
    var failures: Int { state.withLock { $0.failures } }
    /// Why it could not be found out.
    var lastError: StoreError? { state.withLock { $0.lastError } }

    /// Whether it has to be found out now; who is told so calls ``probe(_:)``.
    func beginProbe(_ now: Timestamp) -> Bool {
        state.withLock { state in
            guard state.known == nil, !state.isProbing, state.restsUntil <= now else { return false }
            state.isProbing = true
            return true
        }
    }

    /// Seconds until the next try; nil when none is to come.
    func wait(_ now: Timestamp) -> Double? {
        state.withLock { state in
            state.known == nil && !state.isProbing ? max(0.01, state.restsUntil.seconds(since: now)) : nil
        }
    }

    /// The store is there again.
    func wake(_ now: Timestamp) {
        state.withLock { state in
            state.restsUntil = now
            state.failures = 0
        }
    }

    /// - Parameter early: called when new objects can be written, before the rest is known.
    func probe(_ store: any ObjectStore, early: @escaping @Sendable () -> Void) async {
        await find(store, early)
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for done in waiting { done.resume() }
    }

    private func find(_ store: any ObjectStore, _ early: @escaping @Sendable () -> Void) async {
        do throws(StoreError) {
            let found = try await store.probeConditions { [state] ifAbsent in
                state.withLock { $0.ifAbsent = ifAbsent }
                early()
            }
            state.withLock { $0 = State(known: found, waiting: $0.waiting) }
            try? catalog.setValue(Self.valueKey, Self.encode(found, now: .now))
        } catch {
            let now = Timestamp.monotonic
            state.withLock { state in
                state.isProbing = false
                state.lastError = error
                switch error.kind {
                // The probe's own key may not be written. Without knowledge every write is verified; asked again by
                // the next daemon.
                case .forbidden, .permanent, .unsupported: state.known = ConditionSupport.none
                default:
                    state.failures += 1
                    let pause = min(30, 0.5 * Double(1 << min(state.failures - 1, 6))) * Double.random(in: 0.5...1)
                    state.restsUntil = now.later(by: max(error.retryAfter ?? 0, pause))
                }
            }
        }
    }

    static func encode(_ support: ConditionSupport, now: Timestamp) -> String {
        let flags = [support.ifAbsent, support.ifMatch, support.deleteIfMatch].map { $0 ? "1" : "0" }.joined()
        return "\(flags) \(now.seconds)"
    }

    static func decode(_ text: String, now: Timestamp) -> ConditionSupport? {
        let parts = text.split(separator: " ")
        guard parts.count == 2, parts[0].utf8.count == 3, let seconds = Int64(parts[1]) else { return nil }
        let age = now.seconds(since: Timestamp(seconds: seconds))
        guard age >= 0, age < validity else { return nil }
        let flags = parts[0].utf8.map { $0 == UInt8(ascii: "1") }
        return ConditionSupport(ifAbsent: flags[0], ifMatch: flags[1], deleteIfMatch: flags[2])
    }
}
