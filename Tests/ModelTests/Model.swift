import Foundation
import MountHarness
import Platform
import Testing

/// Numbers that follow from a seed, so that a run can be repeated.
struct Dice {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }

    /// A number below `bound`.
    mutating func roll(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// Several machines and a FastShot client that work on one bucket, each on names of its own, against a reference in
/// memory: what every single one shows at any time, and what the bucket holds in the end, is exactly known.
final class Model {
    /// A machine, and what the reference knows of it.
    private final class Player {
        let machine: Machine
        let number: Int
        var isOffline = false
        var isBatchOpen = false

        init(_ machine: Machine, _ number: Int) { (self.machine, self.number) = (machine, number) }
    }

    private let world: MountWorld
    private let players: [Player]
    private var dice: Dice
    /// Seeds of all contents, by file name.
    private var reference: [String: Int] = [:]
    private var nextSeed = 1
    /// What was done, for a failure's message.
    private var history: [String] = []

    private static let namesEach = 10
    /// The owner's number of the FastShot client.
    private static let foreigner = 9

    init(_ world: MountWorld, machines: Int, seed: UInt64) throws {
        self.world = world
        dice = Dice(seed: seed)
        players = try (0..<machines).map { Player(try world.machine($0), $0) }
        for player in players { try player.machine.mount() }
    }

    /// Does so many random things, and then holds everybody to the reference.
    func run(steps: Int) throws {
        for step in 0..<steps {
            try act()
            if step % 10 == 9 { for player in players { try check(player) } }
        }
        try settle()
    }

    // MARK: What is done

    private func act() throws {
        if dice.roll(100) < 12 { return try actAsForeigner() }
        let player = players[dice.roll(players.count)]
        switch dice.roll(100) {
        case ..<38: try save(player)
        case ..<50: try remove(player)
        case ..<62: try rename(player)
        case ..<70: try saveBeside(player)
        case ..<78: try toggleOffline(player)
        case ..<84: try toggleBatch(player)
        case ..<89: try kill(player)
        case ..<92: try remount(player)
        case ..<96: try flush(player)
        default: try look(player)
        }
    }

    private func save(_ player: Player) throws {
        let name = anyName(player.number)
        let seed = freshSeed()
        note(player, "save \(name) \(seed)")
        try player.machine.save(name, Self.bytes(seed))
        reference[name] = seed
    }

    private func saveBeside(_ player: Player) throws {
        let name = anyName(player.number)
        let seed = freshSeed()
        note(player, "save \(name) \(seed) beside")
        try player.machine.save(name + ".part", Self.bytes(seed))
        try player.machine.rename(name + ".part", to: name)
        reference[name] = seed
    }

    private func remove(_ player: Player) throws {
        guard let name = existingName(player.number) else { return }
        note(player, "remove \(name)")
        try player.machine.delete(name)
        reference[name] = nil
    }

    /// Onto a free name or over another session. A name that is still needed by a rename on its way is refused.
    private func rename(_ player: Player) throws {
        guard let name = existingName(player.number) else { return }
        let target = anyName(player.number)
        guard target != name else { return }
        note(player, "rename \(name) to \(target)")
        do {
            try player.machine.rename(name, to: target)
            reference[target] = reference.removeValue(forKey: name)
        } catch let error as SystemError where error.code == EBUSY {
            note(player, "which is busy")
        }
    }

    private func toggleOffline(_ player: Player) throws {
        player.isOffline.toggle()
        note(player, player.isOffline ? "offline" : "online")
        try player.machine.tell("offline", player.isOffline ? "on" : "off")
    }

    private func toggleBatch(_ player: Player) throws {
        player.isBatchOpen.toggle()
        note(player, player.isBatchOpen ? "batch" : "commit")
        try player.machine.tell("batch", player.isBatchOpen ? "begin" : "commit")
    }

    private func kill(_ player: Player) throws {
        note(player, "kill")
        try player.machine.killDaemon()
        try mount(player)
    }

    private func remount(_ player: Player) throws {
        note(player, "unmount")
        let result = player.machine.run(["unmount", player.machine.point], seconds: 120)
        #expect(result.status == 0 || result.status == 3, "\(result)\n\(story)")
        try mount(player)
    }

    private func mount(_ player: Player) throws {
        try player.machine.mount(learnt: false)
        try player.machine.tell("offline", player.isOffline ? "on" : "off")
        try check(player)
    }

    private func flush(_ player: Player) throws {
        let result = player.machine.flush()
        note(player, "flush: \(result.status)")
        #expect([0, 3, 4].contains(result.status), "\(result)\n\(story)")
    }

    private func look(_ player: Player) throws {
        guard !player.isOffline else { return }
        note(player, "refresh")
        try player.machine.refresh()
    }

    private func actAsForeigner() throws {
        let client = world.bucket.client
        switch dice.roll(4) {
        case 0:
            guard let name = existingName(Self.foreigner) else { return }
            history.append("client removes \(name)")
            try client.delete(name)
            reference[name] = nil
        case 1:
            history.append("client rebuilds the overall file")
            try client.rebuildOverall()
        default:
            let name = anyName(Self.foreigner)
            let seed = freshSeed()
            history.append("client saves \(name) \(seed)")
            try client.save(name, Self.bytes(seed))
            reference[name] = seed
        }
    }

    // MARK: What has to hold

    /// A machine shows all that it did itself, at any time, whatever it has learnt of the others.
    private func check(_ player: Player) throws {
        let mine = reference.filter { Self.owner($0.key) == player.number }
        let shown = try player.machine.sessions().filter { Self.owner($0) == player.number }
        try #require(
            shown == mine.keys.sorted(), "machine \(player.number)\n\(story)\n\(player.machine.log)")
        for (name, seed) in mine where dice.roll(3) == 0 {
            let read = Posix.read(player.machine.body(name))
            // An unmount drops cached bodies; of a session that is only renamed nothing else is here.
            if player.isOffline, read.error == ENETUNREACH { continue }
            let isRight = read.error == 0 && Noise.same(read.bytes, Self.bytes(seed))
            try #require(
                isRight,
                "machine \(player.number): \(name) is not \(seed): \(read.error)\n\(story)\n\(player.machine.log)")
        }
    }

    /// Everybody is online and has sent everything: bucket and mounts are the reference.
    private func settle() throws {
        for player in players {
            if player.isBatchOpen { try toggleBatch(player) }
            if player.isOffline { try toggleOffline(player) }
        }
        for player in players {
            let result = player.machine.flush(seconds: 180)
            try #require(result.status == 0, "machine \(player.number): \(result)\n\(story)\n\(player.machine.log)")
        }
        let bodies = try world.bucket.bodies()
        #expect(bodies.keys.sorted() == reference.keys.sorted(), "\(story)")
        for (name, seed) in reference {
            let isRight = Noise.same(bodies[name] ?? [], Self.bytes(seed))
            #expect(isRight, "\(name) is not \(seed)\n\(story)")
        }
        // Rows that the client overwrote are written again. What it wrote of sessions that were removed at that moment
        // stays until it writes the next time.
        try world.eventually("every session has its row", seconds: 120) {
            for player in players { try player.machine.refresh() }
            return try world.bucket.audit().allSatisfy { $0.hasPrefix("row without body") }
        }
        try world.bucket.client.rebuildOverall()
        try world.bucket.expectClean()
        for player in players {
            try player.machine.refresh()
            #expect(
                try player.machine.sessions() == reference.keys.sorted(), "machine \(player.number)\n\(story)")
            for (name, seed) in reference {
                let isRight = player.machine.holds(name, Self.bytes(seed))
                #expect(isRight, "machine \(player.number): \(name)\n\(story)")
            }
            #expect(try player.machine.queue().isEmpty)
            #expect(try player.machine.conflicts(all: true).isEmpty, "\(story)")
        }
    }

    // MARK: Names and contents

    private func note(_ player: Player, _ text: String) { history.append("\(player.number): \(text)") }
    private var story: String { history.joined(separator: "\n") }

    private func anyName(_ owner: Int) -> String { Self.name(owner, dice.roll(Self.namesEach)) }

    private func existingName(_ owner: Int) -> String? {
        let names = reference.keys.filter { Self.owner($0) == owner }.sorted()
        return names.isEmpty ? nil : names[dice.roll(names.count)]
    }

    private static func name(_ owner: Int, _ number: Int) -> String {
        TestSession.fileName(owner * 1000 + number, "von \(owner)")
    }

    private static func owner(_ name: String) -> Int? {
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
