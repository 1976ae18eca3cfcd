import Foundation
import MountHarness
import Platform
import Testing

/// A machine, and what a run knows of it.
final class Player {
    let machine: Machine
    let number: Int
    var isOffline = false
    var isBatchOpen = false

    init(_ machine: Machine, _ number: Int) { (self.machine, self.number) = (machine, number) }

    /// Renames a file, unless that fails in one of these ways.
    func rename(_ name: String, _ other: String, allowing codes: [Int32]) throws -> Bool {
        try unless(codes) { try machine.rename(name, to: other) }
    }

    /// Writes other contents into a file without cutting it first.
    func edit(_ name: String, _ bytes: [UInt8], allowing codes: [Int32]) throws -> Bool {
        var file: OpenedFile?
        guard try unless(codes, { file = try OpenedFile(machine.body(name), O_RDWR) }), let file else { return false }
        try file.write(bytes, at: 0)
        try file.truncate(bytes.count)
        try file.close()
        return true
    }

    /// - Returns: whether the call worked; false when it failed in one of these ways.
    func unless(_ codes: [Int32], _ call: () throws -> Void) throws -> Bool {
        do {
            try call()
            return true
        } catch let error as SystemError where codes.contains(error.code) { return false }
    }
}

/// All machines of a run, and what runs of every kind do with them.
final class Players {
    let world: MountWorld
    let all: [Player]

    init(_ world: MountWorld, machines: Int) throws {
        self.world = world
        // What the client lost is not to be waited for too long.
        world.extra["SESSIONFS_ROW_PATIENCE"] = "3"
        all = try (0..<machines).map { Player(try world.machine($0), $0) }
        for player in all { try player.machine.mount() }
    }

    var count: Int { all.count }
    subscript(number: Int) -> Player { all[number] }

    /// What is no change of a session.
    /// - Returns: false when it is one.
    func control(_ player: Player, _ action: Step.Action) throws -> Bool {
        let machine = player.machine
        switch action {
        case .offline, .online:
            player.isOffline = action == .offline
            try machine.tell("offline", player.isOffline ? "on" : "off")
        case .batch, .commit:
            guard player.isBatchOpen == (action == .commit) else { break }
            try machine.tell("batch", action == .batch ? "begin" : "commit")
            player.isBatchOpen = action == .batch
        case .kill:
            try machine.killDaemon()
            try mount(player)
        case .remount:
            let result = machine.run(["unmount", machine.point], seconds: 120)
            guard [0, 3].contains(result.status) else { throw Mismatch("unmount: \(result)\n\(machine.log)") }
            try mount(player)
        case .flush:
            let result = machine.flush()
            guard [0, 3, 4].contains(result.status) else { throw Mismatch("flush: \(result)\n\(machine.log)") }
        case .refresh: if !player.isOffline { try machine.refresh() }
        default: return false
        }
        return true
    }

    private func mount(_ player: Player) throws {
        try player.machine.mount(learnt: false)
        if player.isOffline { try player.machine.tell("offline", "on") }
    }

    /// Nobody holds anything back.
    func letGo() throws {
        for player in all {
            if player.isBatchOpen { _ = try control(player, .commit) }
            if player.isOffline { _ = try control(player, .online) }
        }
    }

    /// Everybody has sent everything.
    func sendAll() throws {
        try letGo()
        for player in all {
            let result = player.machine.flush(seconds: 180)
            guard result.status == 0 else {
                throw Mismatch("machine \(player.number) does not send: \(result)\n\(player.machine.log)")
            }
        }
    }

    /// The bucket holds exactly these sessions, each with index and row.
    func compareBucket(_ expected: [String: [UInt8]]) throws {
        let bodies = try world.bucket.bodies()
        guard bodies.keys.sorted() == expected.keys.sorted() else {
            throw Mismatch("the bucket holds \(bodies.keys.sorted()), not \(expected.keys.sorted())\n\(logs)")
        }
        for (name, bytes) in expected where !Noise.same(bodies[name] ?? [], bytes) {
            throw Mismatch("the bucket's \(name) is another version\n\(logs)")
        }
        try putInOrder()
    }

    /// Rows that the client overwrote are written again, and what it wrote of sessions that were removed at that moment
    /// goes.
    func putInOrder() throws {
        var problems: [String] = []
        let began = Timestamp.monotonic
        while true {
            for player in all { try player.machine.refresh() }
            problems = try world.bucket.audit()
            if problems.isEmpty { break }
            guard Timestamp.monotonic.seconds(since: began) < 120 else {
                throw Mismatch("not every session has its row: \(problems)\n\(logs)")
            }
            usleep(100_000)
        }
        try world.bucket.client.rebuildOverall()
        problems = try world.bucket.audit()
        guard problems.isEmpty else { throw Mismatch("the bucket is not in order: \(problems)\n\(logs)") }
    }

    /// A machine shows exactly these sessions, and nothing waits.
    /// - Parameter local: names of its files that are never uploaded.
    func compare(_ player: Player, _ expected: [String: [UInt8]], local: [String] = []) throws {
        let machine = player.machine
        try machine.refresh()
        let (shown, wanted) = (try machine.sessions(), (expected.keys + local).sorted())
        guard shown == wanted else {
            throw Mismatch("machine \(player.number) shows \(shown), not \(wanted)\n\(machine.log)")
        }
        for (name, bytes) in expected {
            var read = Posix.read(machine.body(name))
            // A version that turns out to be another one is read by the next open.
            if read.error == ESTALE { read = Posix.read(machine.body(name)) }
            guard read.error == 0, Noise.same(read.bytes, bytes) else {
                throw Mismatch(
                    "machine \(player.number): \(name) is another version: errno \(read.error), "
                        + "\(read.bytes.count) bytes instead of \(bytes.count)\n\(machine.log)")
            }
        }
        let left = try machine.queue().filter { $0.state != "local" }
        guard left.isEmpty else { throw Mismatch("machine \(player.number): \(left)\n\(machine.log)") }
    }

    /// What each one shows and waits with, and its log.
    var whatTheyHave: String {
        all.map { player in
            let machine = player.machine
            let shown = (try? machine.sessions()) ?? []
            let pending =
                ((try? machine.queue()) ?? []).map { "\($0)" } + ((try? machine.conflicts()) ?? []).map { "\($0)" }
            return "machine \(player.number) shows \(shown)\n\(pending.joined(separator: "\n"))\n\(machine.log)"
        }.joined(separator: "\n")
    }

    var logs: String { all.map { "machine \($0.number):\n\($0.machine.log)" }.joined(separator: "\n") }
}
