import Catalog
import Digests
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// Two machines change one session at the same time, in every order in which their requests can come. Whatever the
/// order, index and row tell of the body that stands in the end, and where none stands, neither does.
@Suite(.timeLimit(.minutes(10))) struct InterleavingTests {
    /// What a machine does with session `n`, which both know as it was at the beginning.
    enum Deed: Sendable, CaseIterable {
        case create, edit, remove, rename

        func carryOut(_ rig: PublishRig, _ number: Int, _ note: String) async throws {
            switch self {
            case .create, .edit: try await rig.save(fileName(number), session(number, note))
            case .remove: _ = try rig.staging.remove(fileName(number))
            case .rename: _ = try rig.staging.rename(fileName(number), to: fileName(number + 500), replacing: false)
            }
        }
    }

    struct Scenario: Sendable, CustomStringConvertible {
        var first: Deed
        var second: Deed
        /// How many requests of the first one pass before the second one learns what the bucket holds and begins.
        var headStart = 0
        var honours = true

        var description: String {
            "\(first) × \(second)\(headStart > 0 ? " after \(headStart)" : "")\(honours ? "" : ", no conditions")"
        }
    }

    /// - Parameter honours: whether the server honours conditions.
    private static func scenarios(honours: Bool) -> [Scenario] {
        [
            Scenario(first: .create, second: .create, honours: honours),
            // The second one knows the body of the first one, whose index and row are not there yet.
            Scenario(first: .create, second: .edit, headStart: honours ? 1 : 2, honours: honours),
            Scenario(first: .create, second: .remove, headStart: honours ? 1 : 2, honours: honours),
            Scenario(first: .create, second: .rename, headStart: honours ? 1 : 2, honours: honours),
            Scenario(first: .edit, second: .edit, honours: honours),
            Scenario(first: .edit, second: .edit, headStart: honours ? 1 : 2, honours: honours),
            Scenario(first: .edit, second: .remove, honours: honours),
            Scenario(first: .edit, second: .remove, headStart: honours ? 1 : 2, honours: honours),
            Scenario(first: .edit, second: .rename, honours: honours),
            Scenario(first: .edit, second: .rename, headStart: honours ? 1 : 2, honours: honours),
            Scenario(first: .remove, second: .rename, honours: honours),
            Scenario(first: .remove, second: .remove, honours: honours),
            Scenario(first: .rename, second: .rename, honours: honours),
        ]
    }

    @Test(arguments: scenarios(honours: true)) func withConditions(_ scenario: Scenario) async throws {
        try await everyOrder(of: scenario)
    }

    @Test(arguments: scenarios(honours: false)) func withoutConditions(_ scenario: Scenario) async throws {
        try await everyOrder(of: scenario)
    }

    private func everyOrder(of scenario: Scenario) async throws {
        let pair = try Pair(honours: scenario.honours)
        // Without conditions there are looks between the writes: thousands of orders.
        var orders = Orders(mostSwitches: scenario.honours ? .max : 3)
        while let choices = orders.next() {
            let run = try await pair.play(scenario, orders.count, choices)
            orders.took(run, prescribed: choices.count)
            let problems = pair.problems(scenario, orders.count)
            let steps = run.map { "\($0.pending[$0.chosen], default: "?")" }.joined(separator: "\n")
            #expect(problems == [], "\(scenario):\n\(steps)")
            if !problems.isEmpty { break }
            pair.clear(orders.count)
        }
        #expect(orders.count > 1)
    }
}

/// Two machines on one bucket.
private final class Pair: Sendable {
    let turnstile = Turnstile()
    let bucket = MemoryStore()
    let rigs: [PublishRig]

    init(honours: Bool) throws {
        let (bucket, turnstile) = (bucket, turnstile)
        bucket.set("overall_meta.json", OverallFile.encode([], lastUpdated: "2026-01-01T00:00:00"))
        rigs = try [0, 1].map { machine in
            let road = GatedRoad(MeddledStore(bucket, honours: honours), turnstile, machine: machine)
            return try PublishRig(
                bucket: bucket, server: road, honours: honours, conditions: honours ? .all : ConditionSupport.none
            ) { options in
                options.gathering = 0
                options.pause = { _ in await Task.yield() }
            }
        }
    }

    /// Makes a run in which the first choices are prescribed.
    func play(
        _ scenario: InterleavingTests.Scenario, _ number: Int, _ choices: [Int]
    ) async throws -> [Orders.Place] {
        if scenario.first != .create {
            rigs[0].somebodySaves(number, "before")
            bucket.set(bodyKey(number), session(number, "before"), modified: 1_700_000_000)
            for rig in rigs { try rig.learn(number) }
        }
        try await scenario.first.carryOut(rigs[0], number, "of the first")
        let isLate = scenario.headStart > 0
        if !isLate { try await scenario.second.carryOut(rigs[1], number, "of the second") }
        turnstile.begin(0)
        if !isLate { turnstile.begin(1) }
        async let first = send(0)
        var second: Task<[Unsent], Never>?
        if isLate {
            for _ in 0..<scenario.headStart {
                _ = try await turnstile.settled()
                turnstile.letGo(0)
            }
            _ = try await turnstile.settled()
            try rigs[1].learn(number)
            try await scenario.second.carryOut(rigs[1], number, "of the second")
            turnstile.begin(1)
        }
        second = Task { await self.send(1) }
        var run: [Orders.Place] = []
        var last: Step?
        while true {
            let pending = try await turnstile.settled()
            if pending.isEmpty { break }
            var chosen = Orders.choice(pending, after: last)
            if run.count < choices.count { chosen = choices[run.count] }
            run.append(Orders.Place(pending: pending, chosen: chosen))
            last = pending[chosen]
            turnstile.letGo(chosen)
        }
        _ = await first
        _ = await second?.value
        return run
    }

    private func send(_ machine: Int) async -> [Unsent] {
        let left = await rigs[machine].flush()
        turnstile.end(machine)
        return left
    }

    /// What is wrong in the end.
    func problems(_ scenario: InterleavingTests.Scenario, _ number: Int) -> [String] {
        var problems = rigs[0].disorder
        for (machine, rig) in rigs.enumerated() {
            for change in rig.staging.changes() where change.state != .conflict {
                problems.append("machine \(machine) has not sent \(change.subject): \(change.state) \(change.reason)")
            }
        }
        return problems
    }

    /// Takes a run's sessions out of the bucket.
    func clear(_ number: Int) {
        for name in [number, number + 500] { rigs[0].somebodyRemoves(name) }
        for rig in rigs {
            for conflict in (try? rig.staging.conflicts(includingDecided: false)) ?? [] {
                _ = try? rig.staging.decide(conflict.id, .theirs, by: "test", current: nil)
            }
        }
    }
}

extension PublishRig {
    /// Learns what the bucket holds of a session, as a refresh does.
    fileprivate func learn(_ number: Int) throws {
        guard let bytes = bucket.peek(bodyKey(number)), let info = bucket.info(bodyKey(number)) else { return }
        let facts = ObjectFacts(size: UInt64(bytes.count), etag: info.etag, uploaded: info.modified)
        var changes: [CatalogChange] = [.object(fileName: fileName(number), facts)]
        if let row = row(number) { changes.append(.row(row, etagIsContentMD5: false)) }
        _ = try catalog.apply(changes)
        guard let index = bucket.peek(indexKey(number)), let entry = try catalog.entry(fileName: fileName(number))
        else { return }
        let finding = IndexFinding.known(
            try MetadataIndex.decode(index), bytes: index, etag: bucket.info(indexKey(number))?.etag)
        _ = try catalog.apply([.index(id: entry.id, finding)])
    }
}
