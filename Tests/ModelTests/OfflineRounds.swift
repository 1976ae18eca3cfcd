import Foundation
import MountHarness
import Platform
import Testing

/// Several machines that change the same few names while none of them is online. What each shows is exactly known until
/// then. In the end of a round they come online one after the other: what only one of them changed is in the bucket as
/// it left it, and of what several changed no version is lost that one of them wrote: it is in the bucket, in a
/// conflict, or kept beside.
final class OfflineRounds: Reference {
    private typealias Contents = [Int: Int]

    let players: Players
    /// For what is looked at and decided: it must not change what is done.
    private var choices: Dice
    /// What the bucket held when the round began, seeds by session.
    private var base: Contents = [:]
    /// What each machine has made of it.
    private var views: [Contents]
    /// Sessions that each machine has touched, those of one rename together.
    private var touched: [[Set<Int>]]
    /// Versions that a machine wrote in this round.
    private var written: Set<Int> = []
    private var seeds: [[UInt8]: Int] = [:]
    private var nextSeed = 1

    private static let names = 6

    init(_ world: MountWorld, machines: Int, seed: UInt64) throws {
        players = try Players(world, machines: machines)
        choices = Dice(seed: ~seed)
        views = Array(repeating: [:], count: machines)
        touched = Array(repeating: [], count: machines)
        try goOffline()
    }

    func next(_ dice: inout Dice) -> Step {
        if dice.roll(25) == 0 { return Step(nil, .settle) }
        let number = dice.roll(players.count)
        let (name, other) = (dice.roll(Self.names), dice.roll(Self.names))
        let known = dice.pick(views[number].keys.sorted()) ?? name
        switch dice.roll(100) {
        case ..<30: return Step(number, .save, name, freshSeed())
        case ..<45: return Step(number, .replace, name, freshSeed())
        case ..<58: return Step(number, .edit, known, freshSeed())
        case ..<73: return Step(number, .remove, known)
        case ..<93: return Step(number, .rename, known, other)
        case ..<97: return Step(number, .kill)
        default: return Step(number, .flush)
        }
    }

    func perform(_ step: Step) throws {
        if step.action == .settle { return try settle() }
        guard let machine = step.machine else { return }
        let player = players[machine]
        // A mount is online at first: only what a batch holds back is not sent then.
        if step.action == .kill, !player.isBatchOpen { return }
        if try players.control(player, step.action) { return }
        let number = step.numbers[0]
        switch step.action {
        case .save:
            try player.machine.save(Self.name(number), version(step.numbers[1]))
            write(machine, number, step.numbers[1])
        case .replace:
            try player.machine.save(Self.name(number) + "~", version(step.numbers[1]))
            _ = try player.rename(Self.name(number) + "~", Self.name(number), allowing: [])
            write(machine, number, step.numbers[1])
        case .edit where views[machine][number] != nil:
            // The bucket's bytes may not be here.
            if try player.edit(Self.name(number), version(step.numbers[1]), allowing: [ENETUNREACH]) {
                write(machine, number, step.numbers[1])
            }
        case .remove where views[machine][number] != nil:
            try player.machine.delete(Self.name(number))
            views[machine][number] = nil
            touched[machine].append([number])
        case .rename where views[machine][number] != nil && step.numbers[1] != number:
            let target = step.numbers[1]
            guard try player.rename(Self.name(number), Self.name(target), allowing: [EBUSY]) else { return }
            views[machine][target] = views[machine].removeValue(forKey: number)
            touched[machine].append([number, target])
        default: break
        }
    }

    private func write(_ machine: Int, _ number: Int, _ seed: Int) {
        views[machine][number] = seed
        touched[machine].append([number])
        written.insert(seed)
    }

    // MARK: What has to hold

    func check(after step: Int) throws {
        guard step % 5 == 4 else { return }
        for player in players.all { try check(player) }
    }

    private func check(_ player: Player) throws {
        let view = views[player.number]
        let shown = try player.machine.sessions()
        let expected = view.keys.map(Self.name).sorted()
        guard shown == expected else {
            throw Mismatch("machine \(player.number) shows \(shown), not \(expected)\n\(player.machine.log)")
        }
        for (number, seed) in view.sorted(by: { $0.key < $1.key }) where choices.roll(3) == 0 {
            let read = Posix.read(player.machine.body(Self.name(number)))
            if read.error == ENETUNREACH, !written.contains(seed) { continue }
            guard read.error == 0, seeds[read.bytes] == seed else {
                throw Mismatch(
                    "machine \(player.number): \(number) is not \(seed): errno \(read.error)\n\(player.machine.log)")
            }
        }
    }

    private func settle() throws {
        for player in players.all { try check(player) }
        var left: Set<Int> = []
        for number in choices.shuffled(Array(0..<players.count)) {
            let player = players[number]
            left.formUnion(views[number].values.filter(written.contains))
            if player.isBatchOpen { _ = try players.control(player, .commit) }
            _ = try players.control(player, .online)
            let result = player.machine.flush()
            guard [0, 3].contains(result.status) else {
                throw Mismatch("machine \(number) does not send: \(result)\n\(player.machine.log)")
            }
        }
        let held = try inBucket()
        try checkUndisputed(held)
        let found = try Set(held.values).union(inConflicts())
        guard left.isSubset(of: found) else {
            throw Mismatch("nowhere: \(left.subtracting(found).sorted()), the bucket has \(held)\n\(players.logs)")
        }
        try decide()
        try goOffline()
    }

    /// Sessions that were touched by one machine alone, with all that it renamed them from or to.
    private func checkUndisputed(_ held: Contents) throws {
        for number in 0..<Self.names {
            var group: Set<Int> = [number]
            while true {
                let joined = touched.joined().filter { !$0.isDisjoint(with: group) }
                let larger = joined.reduce(group) { $0.union($1) }
                if larger == group { break }
                group = larger
            }
            let owners = touched.indices.filter { machine in
                touched[machine].contains { !$0.isDisjoint(with: group) }
            }
            guard owners.count < 2 else { continue }
            let wanted = owners.first.map { views[$0][number] } ?? base[number]
            guard held[number] == wanted else {
                throw Mismatch(
                    "\(number) is \(held[number] ?? 0) in the bucket, not \(wanted ?? 0), which "
                        + "machine \(owners.first ?? -1) alone has touched\n\(players.logs)")
            }
        }
    }

    private func inBucket() throws -> Contents {
        var held: Contents = [:]
        for (name, bytes) in try players.world.bucket.bodies() {
            guard let seed = seeds[bytes] else { throw Mismatch("\(name) is no version of anybody") }
            guard let number = (0..<Self.names).first(where: { Self.name($0) == name }) else { continue }
            held[number] = seed
        }
        return held
    }

    /// Seeds of what stands beside, for the user to decide, or was put aside.
    private func inConflicts() throws -> Set<Int> {
        var found: Set<Int> = []
        for player in players.all {
            for conflict in try player.machine.conflicts(all: true) {
                if conflict.choice == nil, let local = conflict.localName {
                    found.formUnion([seeds[try player.machine.contents(local)] ?? 0])
                }
                if let kept = conflict.kept { found.formUnion([seeds[try Files.read(kept)] ?? 0]) }
            }
        }
        return found
    }

    /// Decides all conflicts, for one side or the other.
    private func decide() throws {
        try players.decideAll(["mine", "theirs"], &choices)
        try players.putInOrder()
    }

    private func goOffline() throws {
        base = try inBucket()
        let expected = Dictionary(
            uniqueKeysWithValues: base.map { (Self.name($0.key), TestSession.bytes($0.value, size: 2000)) })
        for player in players.all {
            try players.compare(player, expected)
            _ = try players.control(player, .offline)
            if choices.roll(2) == 0 { _ = try players.control(player, .batch) }
            views[player.number] = base
            touched[player.number] = []
        }
        written = []
    }

    // MARK: Names and contents

    private static func name(_ number: Int) -> String { TestSession.fileName(number) }

    private func version(_ seed: Int) -> [UInt8] {
        let bytes = TestSession.bytes(seed, size: 2000)
        seeds[bytes] = seed
        return bytes
    }

    private func freshSeed() -> Int {
        defer { nextSeed += 1 }
        return nextSeed
    }
}
