import ObjectStore
import Platform

/// A request of one of two machines that share a bucket.
struct Step: Sendable, Equatable, CustomStringConvertible {
    var machine: Int
    var verb: StoreVerb
    var keys: [String]

    var description: String { "\(machine == 0 ? "A" : "B") \(verb) \(keys.joined(separator: " > "))" }

    /// Whether the order of two steps makes no difference.
    func isIndependent(of other: Step) -> Bool {
        if !keys.contains(where: { other.keys.contains($0) }) { return true }
        return isLook && other.isLook || verb == .delete && other.verb == .delete
    }

    private var isLook: Bool { verb == .head || (verb == .get && !keys.contains("overall_meta.json")) }
}

/// Lets requests of two machines pass one at a time. An update of the overall file is one step from its reading on.
final class Turnstile: Sendable {
    private struct State {
        var isArmed = false
        var waiting: [Int: (step: Step, go: CheckedContinuation<Void, Never>)] = [:]
        var busy: Set<Int> = []
    }
    private let state = Guarded(State())

    /// Machines that do something from now on.
    func begin(_ machine: Int) {
        state.withLock { state in
            state.isArmed = true
            state.busy.insert(machine)
        }
    }

    /// A machine has come to its end.
    func end(_ machine: Int) {
        state.withLock { state in
            state.busy.remove(machine)
            if state.busy.isEmpty { state.isArmed = false }
        }
    }

    func pass(_ step: Step) async {
        await withCheckedContinuation { (go: CheckedContinuation<Void, Never>) in
            let isFree = state.withLock { state in
                guard state.isArmed, state.busy.contains(step.machine) else { return true }
                state.waiting[step.machine] = (step, go)
                return false
            }
            if isFree { go.resume() }
        }
    }

    /// What the machines wait for, once each of them waits or has ended.
    func settled() async throws -> [Int: Step] {
        let start = Timestamp.monotonic
        while true {
            let (busy, waiting) = state.withLock { ($0.busy, $0.waiting.mapValues(\.step)) }
            if busy.allSatisfy({ waiting[$0] != nil }) { return waiting }
            guard Timestamp.monotonic.seconds(since: start) < 60 else {
                throw StoreError(.temporary, message: "\(busy) are busy, \(waiting.values) wait")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    func letGo(_ machine: Int) {
        state.withLock { $0.waiting.removeValue(forKey: machine)?.go }?.resume()
    }
}

/// One machine's way to the bucket.
final class GatedRoad: ObjectStore {
    private let store: any ObjectStore
    private let turnstile: Turnstile
    private let machine: Int

    init(_ store: any ObjectStore, _ turnstile: Turnstile, machine: Int) {
        self.store = store
        self.turnstile = turnstile
        self.machine = machine
    }

    var location: String { store.location }
    var capabilities: StoreCapabilities { store.capabilities }

    private func pass(_ verb: StoreVerb, _ keys: String...) async {
        if verb != .get, keys == ["overall_meta.json"] { return }
        await turnstile.pass(Step(machine: machine, verb: verb, keys: keys))
    }

    func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        await pass(.head, key)
        return try await store.head(key)
    }

    func get(_ key: String, _ options: ReadOptions, into sink: any ObjectSink) async throws(StoreError) -> ReadOutcome {
        await pass(.get, key)
        return try await store.get(key, options, into: sink)
    }

    func put(_ key: String, _ body: ObjectBody, _ condition: WriteCondition) async throws(StoreError) -> ObjectInfo {
        await pass(.put, key)
        return try await store.put(key, body, condition)
    }

    func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        await pass(.delete, key)
        try await store.delete(key, ifMatch: ifMatch)
    }

    func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        await pass(.copy, source, target)
        return try await store.copy(source, ifSourceMatch: ifSourceMatch, to: target, condition)
    }

    func list(_ request: ListRequest) async throws(StoreError) -> ListPage { try await store.list(request) }
    func createContainer() async throws(StoreError) { try await store.createContainer() }
}

/// Goes through the orders in which the steps of two machines can come, of those that differ only in the order of
/// independent steps through one.
struct Orders {
    /// How often the machine that goes on may change before either has ended.
    let mostSwitches: Int

    init(mostSwitches: Int = .max) { self.mostSwitches = mostSwitches }

    /// Choices of machines, as far as they are prescribed; the rest follows by the rule.
    private var open: [[Int]] = [[]]
    private(set) var count = 0

    /// What was to be chosen at one place of a run.
    struct Place {
        var pending: [Int: Step]
        var chosen: Int
    }

    /// The next run's choices; nil when all have been made.
    mutating func next() -> [Int]? {
        guard let choices = open.popLast() else { return nil }
        count += 1
        return choices
    }

    /// The machine to go on, by the rule: the first one, unless that order is that of another run.
    static func choice(_ pending: [Int: Step], after last: Step?) -> Int {
        allowed(pending, after: last).first ?? (pending[0] == nil ? 1 : 0)
    }

    private static func allowed(_ pending: [Int: Step], after last: Step?) -> [Int] {
        [0, 1].filter { machine in
            guard let step = pending[machine] else { return false }
            guard machine == 0, let last, last.machine == 1 else { return true }
            return !step.isIndependent(of: last)
        }
    }

    /// Takes a run that was made, and adds those that part from it.
    mutating func took(_ run: [Place], prescribed: Int) {
        var last: Step?
        var switches = 0
        for (index, place) in run.enumerated() {
            let isSwitch = last != nil && place.pending.count == 2
            if index >= prescribed, switches < mostSwitches || !isSwitch {
                for other in Self.allowed(place.pending, after: last) where other != place.chosen {
                    open.append(run[..<index].map(\.chosen) + [other])
                }
            }
            if isSwitch, last?.machine != place.chosen { switches += 1 }
            last = place.pending[place.chosen]
        }
    }
}
