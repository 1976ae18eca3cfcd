import Foundation
import MountHarness
import Platform
import Testing

/// Several machines and a FastShot client that work on one bucket, each on names of its own, against a reference in
/// memory: what every single one shows of its own at any time, and what the bucket holds in the end, is exactly known;
/// what it shows of the others is something that was there.
final class OwnNames: Reference {
    /// What was given to a name.
    struct Held: Hashable {
        var number: Int
        /// Under a name that is never uploaded.
        var isHidden = false
    }

    let players: Players
    private(set) var reference: [Held: Int] = [:]
    /// All seeds that a session ever had.
    private var versions: [Int: Set<Int>] = [:]
    private var nextSeed = 1
    /// For what is looked at: it must not change what is done.
    private var look: Dice

    private static let namesEach = 10
    /// The owner's number of the FastShot client.
    private static let foreigner = 9

    init(_ world: MountWorld, machines: Int, seed: UInt64) throws {
        players = try Players(world, machines: machines)
        look = Dice(seed: ~seed)
    }

    // MARK: What is done

    func next(_ dice: inout Dice) -> Step {
        if dice.roll(150) == 0 { return Step(nil, .settle) }
        if dice.roll(100) < 12 { return nextOfClient(&dice) }
        let number = dice.roll(players.count)
        let player = players[number]
        let name = anyName(number, &dice)
        switch dice.roll(100) {
        case ..<32: return Step(number, .save, name, freshSeed())
        case ..<40: return Step(number, .replace, name, freshSeed())
        case ..<46: return Step(number, .edit, held(number, &dice)?.number ?? name, freshSeed())
        case ..<58: return Step(number, .remove, held(number, &dice)?.number ?? name)
        case ..<69: return Step(number, .rename, held(number, &dice)?.number ?? name, name)
        case ..<72: return Step(number, .hide, held(number, &dice)?.number ?? name)
        case ..<75: return Step(number, .show, held(number, hidden: true, &dice)?.number ?? name)
        case ..<82: return Step(number, player.isOffline ? .online : .offline)
        case ..<87: return Step(number, player.isBatchOpen ? .commit : .batch)
        case ..<91: return Step(number, .kill)
        case ..<93: return Step(number, .remount)
        case ..<97: return Step(number, .flush)
        default: return Step(number, .refresh)
        }
    }

    private func nextOfClient(_ dice: inout Dice) -> Step {
        switch dice.roll(4) {
        case 0: Step(nil, .remove, held(Self.foreigner, &dice)?.number ?? anyName(Self.foreigner, &dice))
        case 1: Step(nil, .rebuild)
        default: Step(nil, .save, anyName(Self.foreigner, &dice), freshSeed())
        }
    }

    func perform(_ step: Step) throws {
        if step.action == .settle { return try settle() }
        guard let machine = step.machine else { return try performAsClient(step) }
        let player = players[machine]
        if try players.control(player, step.action) {
            if [.kill, .remount].contains(step.action) { try check(player) }
            return
        }
        try perform(step, player)
    }

    private func perform(_ step: Step, _ player: Player) throws {
        let number = step.numbers.first ?? 0
        let (shown, hidden) = (Held(number: number), Held(number: number, isHidden: true))
        switch step.action {
        case .save:
            try player.machine.save(Self.name(shown), Self.bytes(step.numbers[1]))
            put(shown, step.numbers[1])
        case .replace:
            // Not ".part" alone: that is a file of its own here.
            let draft = Self.name(shown) + ".draft~"
            try player.machine.save(draft, Self.bytes(step.numbers[1]))
            try player.machine.rename(draft, to: Self.name(shown))
            put(shown, step.numbers[1])
        case .edit where reference[shown] != nil:
            // The body may be away from here: after an unmount, of a session that was only renamed since.
            let allowed = player.isOffline ? [ENETUNREACH] : []
            if try player.edit(Self.name(shown), Self.bytes(step.numbers[1]), allowing: allowed) {
                put(shown, step.numbers[1])
            }
        case .remove where reference[shown] != nil:
            try player.machine.delete(Self.name(shown))
            reference[shown] = nil
        case .rename where step.numbers[1] != number: try move(player, shown, Held(number: step.numbers[1]), [EBUSY])
        case .hide: try move(player, shown, hidden, [EBUSY, EXDEV])
        case .show: try move(player, hidden, shown, [EBUSY])
        default: break
        }
    }

    /// Onto a free name or over another file. A name that a rename on its way still needs is refused.
    private func move(_ player: Player, _ held: Held, _ target: Held, _ allowed: [Int32]) throws {
        guard let seed = reference[held] else { return }
        guard try player.rename(Self.name(held), Self.name(target), allowing: allowed) else { return }
        reference[held] = nil
        put(target, seed)
    }

    private func performAsClient(_ step: Step) throws {
        let client = players.world.bucket.client
        let held = Held(number: step.numbers.first ?? 0)
        switch step.action {
        case .save:
            // What is shown of it may be the new one before the client has done.
            versions[held.number, default: []].insert(step.numbers[1])
            try client.save(Self.name(held), Self.bytes(step.numbers[1]))
            put(held, step.numbers[1])
        case .remove where reference[held] != nil:
            try client.delete(Self.name(held))
            reference[held] = nil
        case .rebuild: try client.rebuildOverall()
        default: break
        }
    }

    private func put(_ held: Held, _ seed: Int) {
        reference[held] = seed
        if !held.isHidden { versions[held.number, default: []].insert(seed) }
    }

    // MARK: What has to hold

    func check(after step: Int) throws {
        guard step % 10 == 9 else { return }
        for player in players.all { try check(player) }
    }

    /// A machine shows all that it did itself, at any time, and of the others what was there once.
    private func check(_ player: Player) throws {
        let mine = reference.filter { Self.owner($0.key.number) == player.number }
        let names = try player.machine.sessions()
        let shown = names.filter { Self.owner(ofName: $0) == player.number }
        let expected = mine.keys.map(Self.name).sorted()
        guard shown == expected else {
            throw Mismatch("machine \(player.number) shows \(shown), not \(expected)\n\(player.machine.log)")
        }
        for (held, seed) in mine.sorted(by: { Self.name($0.key) < Self.name($1.key) }) where look.roll(3) == 0 {
            let read = Posix.read(player.machine.body(Self.name(held)))
            if player.isOffline, read.error == ENETUNREACH { continue }
            guard read.error == 0, Noise.same(read.bytes, Self.bytes(seed)) else {
                throw Mismatch(
                    "machine \(player.number): \(held.number) is not \(seed): errno \(read.error), "
                        + "\(Self.origins(of: read.bytes, versions[held.number] ?? []))\n\(player.machine.log)")
            }
        }
        for name in names where Self.owner(ofName: name) != player.number && look.roll(10) == 0 {
            try checkOthers(player, name)
        }
    }

    /// Another one's session is whole, in a version that it had, or says that it cannot be read now.
    private func checkOthers(_ player: Player, _ name: String) throws {
        let known = versions.first { Self.name(Held(number: $0.key)) == name }?.value ?? []
        let read = Posix.read(player.machine.body(name))
        // Its row may still be that of the version before, with another checksum.
        if [ENOENT, ESTALE, EBADMSG].contains(read.error) || player.isOffline && read.error == ENETUNREACH { return }
        guard read.error == 0, known.contains(where: { Noise.same(read.bytes, Self.bytes($0)) }) else {
            throw Mismatch(
                "machine \(player.number): \(name) is none of \(known.sorted()): errno \(read.error), "
                    + "\(Self.origins(of: read.bytes, known))\n\(player.machine.log)")
        }
    }

    /// Whose pages these are.
    private static func origins(of bytes: [UInt8], _ known: Set<Int>) -> String {
        let page = 4096
        let pages = stride(from: 0, to: bytes.count, by: page).map { start in
            let piece = bytes[start..<min(start + page, bytes.count)]
            let seed = known.first { Self.bytes($0).dropFirst(start).prefix(page) == piece }
            return seed.map(String.init) ?? "?"
        }
        return "\(bytes.count) bytes, by pages " + pages.joined(separator: " ")
    }

    /// Everybody is online and has sent everything: bucket and mounts are the reference.
    func settle() throws {
        try players.sendAll()
        let shown = reference.filter { !$0.key.isHidden }
        let expected = Dictionary(uniqueKeysWithValues: shown.map { (Self.name($0.key), Self.bytes($0.value)) })
        try players.compareBucket(expected)
        for player in players.all {
            let local = reference.keys.filter { $0.isHidden && Self.owner($0.number) == player.number }.map(Self.name)
            try players.compare(player, expected, local: local)
            let conflicts = try player.machine.conflicts(all: true)
            guard conflicts.isEmpty else { throw Mismatch("machine \(player.number): \(conflicts)") }
        }
    }

    // MARK: Names and contents

    private func anyName(_ owner: Int, _ dice: inout Dice) -> Int { owner * 1000 + dice.roll(Self.namesEach) }

    private func held(_ owner: Int, hidden: Bool = false, _ dice: inout Dice) -> Held? {
        let all = reference.keys.filter { Self.owner($0.number) == owner && $0.isHidden == hidden }
        return dice.pick(all.sorted { $0.number < $1.number })
    }

    private static func name(_ held: Held) -> String {
        TestSession.fileName(held.number, "von \(owner(held.number))") + (held.isHidden ? ".part" : "")
    }

    private static func owner(_ number: Int) -> Int { number / 1000 }

    private static func owner(ofName name: String) -> Int? {
        name.split(separator: ".").first?.split(separator: " ").last.flatMap { Int($0) }
    }

    private func freshSeed() -> Int {
        defer { nextSeed += 1 }
        return nextSeed
    }

    private static func bytes(_ seed: Int) -> [UInt8] {
        TestSession.bytes(seed, size: seed % 11 == 0 ? 300_000 : seed * 7919 % 30_000)
    }
}
