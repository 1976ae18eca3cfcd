import Foundation
import MountHarness
import Platform
import Testing

/// Several machines and a FastShot client that fight for the same few names. Which version wins is decided by conflicts;
/// what has to hold in the end is that all agree: every mount shows the bucket, the bucket is in order, every session in
/// it is whole, and of the versions that lost a conflict none is gone.
final class SharedNames: Reference {
    let players: Players
    /// For what is decided about conflicts, as they come.
    private var choices: Dice
    private var nextSeed = 1
    /// Every version that somebody saved.
    private var whole: Set<[UInt8]> = []
    /// Versions of machines that were given up for the bucket's.
    private var lost: [[UInt8]] = []

    private static let names = 5

    init(_ world: MountWorld, machines: Int, seed: UInt64) throws {
        players = try Players(world, machines: machines)
        choices = Dice(seed: ~seed)
    }

    func next(_ dice: inout Dice) -> Step {
        if dice.roll(100) == 0 { return Step(nil, .settle) }
        let number = dice.roll(players.count)
        let (name, other) = (dice.roll(Self.names), dice.roll(Self.names))
        switch dice.roll(100) {
        case ..<34: return Step(number, .save, name, freshSeed())
        case ..<41: return Step(number, .replace, name, freshSeed())
        case ..<46: return Step(number, .edit, name, freshSeed())
        case ..<55: return Step(number, .remove, name)
        case ..<67: return Step(number, .rename, name, other)
        case ..<79: return Step(number, players[number].isOffline ? .online : .offline)
        case ..<83: return Step(number, .kill)
        case ..<85: return Step(number, .remount)
        case ..<90: return Step(nil, .save, name, freshSeed())
        case ..<92: return Step(nil, .remove, name)
        default: return Step(number, .flush)
        }
    }

    func perform(_ step: Step) throws {
        if step.action == .settle { return try settle() }
        let name = TestSession.fileName(step.numbers.first ?? 0)
        guard let number = step.machine else {
            let client = players.world.bucket.client
            switch step.action {
            case .save: try client.save(name, version(step))
            case .remove where try players.world.bucket.names().contains(name): try client.delete(name)
            default: break
            }
            return
        }
        let player = players[number]
        if try players.control(player, step.action) { return }
        // A name may have gone while the call was on its way: the mount follows the bucket.
        switch step.action {
        case .save: try player.machine.save(name, version(step))
        case .replace:
            try player.machine.save(name + "~", version(step))
            _ = try player.rename(name + "~", name, allowing: [])
        case .edit:
            // Bytes that were replaced meanwhile cannot be fetched any more, or their row is still the replaced one's.
            let allowed = [ENOENT, ESTALE, EBADMSG] + (player.isOffline ? [ENETUNREACH] : [])
            _ = try player.edit(name, version(step), allowing: allowed)
        case .remove: _ = try player.unless([ENOENT]) { try player.machine.delete(name) }
        case .rename where step.numbers[1] != step.numbers[0]:
            _ = try player.rename(name, TestSession.fileName(step.numbers[1]), allowing: [ENOENT, EBUSY])
        default: break
        }
    }

    /// Only the end of all is known.
    func check(after step: Int) {}

    func settle() throws {
        try players.letGo()
        lost += try players.decideAll(["mine", "theirs", "both"], &choices)
        try players.putInOrder()
        let bodies = try players.world.bucket.bodies()
        for (name, bytes) in bodies where !whole.contains(bytes) {
            throw Mismatch("\(name) is no version of anybody")
        }
        var kept: Set<[UInt8]> = []
        for player in players.all {
            try players.compare(player, bodies)
            for path in try player.machine.conflicts(all: true).compactMap(\.kept) {
                kept.insert(try Files.read(path))
            }
        }
        guard lost.allSatisfy(kept.contains) else { throw Mismatch("a version that lost a conflict is gone") }
    }

    private func version(_ step: Step) -> [UInt8] {
        let bytes = TestSession.bytes(step.numbers[1], size: 2000)
        whole.insert(bytes)
        return bytes
    }

    private func freshSeed() -> Int {
        defer { nextSeed += 1 }
        return nextSeed
    }
}
