import Foundation
import MountHarness
import Platform
import Testing

/// Several machines and a FastShot client that fight for the same few names. Which version wins is decided by conflicts;
/// what has to hold in the end is that all agree: every mount shows the bucket, the bucket is in order, every session in
/// it is whole, and of the versions that lost a conflict none is gone.
final class SharedNames {
    private let world: MountWorld
    private let machines: [Machine]
    private var offline: Set<Int> = []
    private var dice: Dice
    private var nextSeed = 1
    private var history: [String] = []

    init(_ world: MountWorld, machines: Int, seed: UInt64) throws {
        self.world = world
        dice = Dice(seed: seed)
        self.machines = try (0..<machines).map { try world.machine($0) }
        for machine in self.machines { try machine.mount() }
    }

    func run(steps: Int) throws {
        do {
            for _ in 0..<steps { try act() }
        } catch {
            Issue.record("\(error)\n\(story)")
            throw error
        }
        try settle()
    }

    private func act() throws {
        let number = dice.roll(machines.count)
        let machine = machines[number]
        let name = TestSession.fileName(dice.roll(5))
        switch dice.roll(100) {
        case ..<45:
            let seed = freshSeed()
            history.append("\(number): save \(name) \(seed)")
            try machine.save(name, TestSession.bytes(seed, size: 2000))
        case ..<55:
            history.append("\(number): remove \(name)")
            try allow([ENOENT]) { try machine.delete(name) }
        case ..<67:
            let other = TestSession.fileName(dice.roll(5))
            history.append("\(number): rename \(name) to \(other)")
            if other != name { try allow([ENOENT, EBUSY]) { try machine.rename(name, to: other) } }
        case ..<80:
            if offline.remove(number) == nil { offline.insert(number) }
            history.append("\(number): \(offline.contains(number) ? "offline" : "online")")
            try machine.tell("offline", offline.contains(number) ? "on" : "off")
        case ..<84:
            history.append("\(number): kill")
            try machine.killDaemon()
            try machine.mount(learnt: false)
            try machine.tell("offline", offline.contains(number) ? "on" : "off")
        case ..<90:
            let seed = freshSeed()
            history.append("client: save \(name) \(seed)")
            try world.bucket.client.save(name, TestSession.bytes(seed, size: 2000))
        default:
            history.append("\(number): flush \(machine.flush().status)")
        }
    }

    /// A name may have gone while the call was on its way: the mount follows the bucket.
    private func allow(_ codes: [Int32], _ call: () throws -> Void) throws {
        do { try call() } catch let error as SystemError where codes.contains(error.code) {}
    }

    private func settle() throws {
        for number in offline { try machines[number].tell("offline", "off") }
        var lost: [[UInt8]] = []
        var isSettled = false
        // Each decision may meet another machine's; in the end all are made.
        for _ in 0..<20 where !isSettled {
            isSettled = true
            for machine in machines {
                if machine.flush().status != 0 { isSettled = false }
                for conflict in try machine.conflicts() {
                    isSettled = false
                    let choice = ["mine", "theirs", "both"][dice.roll(3)]
                    history.append("resolve \(conflict.kind) of \(conflict.name): \(choice)")
                    let mine = choice == "theirs" ? try conflict.localName.map { try machine.contents($0) } : nil
                    let result = machine.run(["conflicts", "resolve", machine.point, "\(conflict.id)", choice])
                    // A name that waits for another upload, or has gone on since, is decided in a later round.
                    let isLater = Self.later.contains { result.errors.contains($0) }
                    try #require(result.status == 0 || isLater, "\(result)\n\(story)")
                    if result.status == 0, let mine { lost.append(mine) }
                }
            }
        }
        #expect(isSettled, "\(story)")
        try world.eventually("every session has its row", seconds: 120) {
            for machine in machines { try machine.refresh() }
            return try world.bucket.audit().allSatisfy { $0.hasPrefix("row without body") }
        }
        try world.bucket.client.rebuildOverall()
        try world.bucket.expectClean()
        let whole = Set((1..<nextSeed).map { TestSession.bytes($0, size: 2000) })
        let bodies = try world.bucket.bodies()
        for (name, bytes) in bodies { #expect(whole.contains(bytes), "\(name) is no version of anybody\n\(story)") }
        var kept: Set<[UInt8]> = []
        for machine in machines {
            try machine.refresh()
            #expect(try machine.sessions() == bodies.keys.sorted(), "\(story)\n\(machine.log)")
            for (name, bytes) in bodies { #expect(machine.holds(name, bytes), "\(name)\n\(story)") }
            #expect(try machine.queue().isEmpty, "\(story)")
            for path in try machine.conflicts(all: true).compactMap(\.kept) { kept.insert(try Files.read(path)) }
        }
        #expect(lost.allSatisfy(kept.contains), "\(story)")
    }

    /// Reasons for which a conflict cannot be decided so now.
    private static let later = [
        "pending change", "taken by another file", "has changed meanwhile", "is being sent",
    ]

    private var story: String { history.joined(separator: "\n") }

    private func freshSeed() -> Int {
        defer { nextSeed += 1 }
        return nextSeed
    }
}
