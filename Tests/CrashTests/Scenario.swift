import Foundation
import MountHarness
import Platform
import Testing

/// A sequence of what users do, with what the bucket may hold when it breaks off: everything that was accepted is there
/// once, and of the one call that was under way either all or nothing.
final class Scenario {
    typealias Contents = [String: Int]

    /// What was accepted: seeds by file name.
    private(set) var accepted: Contents = [:]
    /// What may also be true, of a call that failed because the daemon died in it.
    private(set) var possible: Contents?
    private let machine: Machine
    private let large: Bool

    /// - Parameter large: with a session that is sent in parts.
    init(_ machine: Machine, large: Bool = false) {
        self.machine = machine
        self.large = large
    }

    /// Whether all of it was done.
    var isComplete: Bool { possible == nil }

    /// Does everything, until the daemon dies.
    func run() {
        let name = { TestSession.fileName($0) }
        for number in 0..<4 { save(name(number), number) }
        _ = machine.flush()
        save(name(0), 10)
        remove(name(1))
        rename(name(2), name(6))
        save(name(7), 7)
        rename(name(7), name(3))
        // An editor's way: the new version beside, over the old one.
        save("draft.part", 8)
        rename("draft.part", name(0))
        remove(name(6))
        save(name(6), 16)
        if large { save(name(9), Scenario.largeSeed) }
        tell(["batch", "begin"])
        save(name(11), 11)
        save(name(12), 12)
        remove(name(12))
        tell(["batch", "commit"])
        _ = machine.flush()
        rename(name(11), name(13))
        save(name(13), 14)
        // The daemon may die in the flush; what was accepted does not change by that.
        _ = machine.flush()
    }

    static let largeSeed = 900
    static func bytes(_ seed: Int) -> [UInt8] {
        seed == largeSeed ? TestSession.bytes(seed, size: 17 << 20) : TestSession.bytes(seed, size: 3000)
    }

    private func save(_ name: String, _ seed: Int) {
        step({ try self.machine.save(name, Self.bytes(seed)) }) { $0[name] = seed }
    }

    private func remove(_ name: String) {
        step({ try self.machine.delete(name) }) { $0[name] = nil }
    }

    private func rename(_ name: String, _ other: String) {
        step({ try self.machine.rename(name, to: other) }) { contents in
            contents[other] = contents[name]
            contents[name] = nil
        }
    }

    private func tell(_ arguments: [String]) {
        guard isComplete else { return }
        // A batch that was begun and not committed is committed by ``settle()``.
        _ = machine.run(arguments + [machine.point])
    }

    private func step(_ call: () throws -> Void, _ effect: (inout Contents) -> Void) {
        guard isComplete else { return }
        var after = accepted
        effect(&after)
        do {
            try call()
            accepted = after
        } catch {
            possible = after
        }
    }

    /// After the daemon's death and a new mount: nothing is held back any more, everything is sent.
    func settle() throws {
        if try machine.queue().contains(where: { $0.state == "held" }) || (try isBatchOpen()) {
            try machine.tell("batch", "commit")
        }
        try machine.drain()
    }

    private func isBatchOpen() throws -> Bool {
        let batch = try machine.status().value("queue.batch")
        return batch is Int || batch as? Bool == true
    }

    /// Mount and bucket hold exactly what they may.
    func verify(_ when: String) throws {
        let bucket = machine.bucket
        let bodies = try bucket.bodies()
        let isRight = { (contents: Contents) in
            contents.filter { $0.key.hasSuffix(".fastshot") }.count == bodies.count
                && contents.allSatisfy { name, seed in
                    !name.hasSuffix(".fastshot") || Noise.same(bodies[name] ?? [], Self.bytes(seed))
                }
        }
        let matching = ([accepted] + (possible.map { [$0] } ?? [])).filter(isRight)
        #expect(
            !matching.isEmpty,
            "\(when): \(bodies.mapValues(\.count)), not \(accepted) or \(possible ?? [:])\n\(machine.log)")
        try bucket.expectClean()
        #expect(try machine.queue().filter { $0.state != "local" }.isEmpty, "\(when)")
        let conflicts = try machine.conflicts(all: true)
        #expect(conflicts.isEmpty, "\(when): \(conflicts)")
        // The mount shows the same, local drafts beside it.
        let names = try machine.sessions()
        #expect(names.filter { $0.hasSuffix(".fastshot") } == bodies.keys.sorted(), "\(when)")
        for (name, bytes) in bodies { #expect(machine.holds(name, bytes), "\(when): \(name)") }
        let drafts = names.filter { !$0.hasSuffix(".fastshot") }
        #expect(drafts.isEmpty || (matching.contains { $0["draft.part"] != nil }), "\(when): \(drafts)")
        // Nothing is left lying about.
        let staged = try Files.names(in: machine.stateDirectory() + "/staging").count
        #expect(staged == drafts.count, "\(when): \(staged) files in staging/")
    }
}
