import Foundation
import MountHarness
import Platform
import Testing

/// The daemon is killed at every step of the write path, once in each run, and once more in the recovery: nothing that
/// was accepted is lost, nothing is there twice, nothing is left lying about.
///
/// `SESSIONFS_KILL_STEPS=all` takes every time that a step is passed, and all steps on a server, too, instead of one time
/// of each: the first, one in the middle or the last, by turns. `SESSIONFS_KILL_STEPS=2/8` takes the second of eight parts
/// of all.
@Suite(.timeLimit(.minutes(60))) struct KillAtEveryStep {
    @Test func onADirectory() throws { try killEverywhere(.directory, large: false) }

    /// With bodies in parts, against a server: the steps between its requests, where it differs from a directory.
    @Test func onAServer() throws {
        let isThorough = Self.isThorough
        try killEverywhere(.ministack, large: true) { step in
            isThorough || Self.stepsOnAServer.contains { step.hasPrefix($0 + ":") }
        }
    }

    private static let stepsOnAServer = [
        "staging.note.journal", "publish.body.after", "publish.index.after", "rows.write.after",
        "publish.rename.copy.after", "publish.remove.index.after", "publish.sent.before", "staging.sent.catalog",
    ]

    static var isThorough: Bool { Environment.value("SESSIONFS_KILL_STEPS") == "all" || part != nil }

    /// Which part of all steps, and of how many.
    private static var part: (number: Int, count: Int)? {
        let numbers = Environment.value("SESSIONFS_KILL_STEPS")?.split(separator: "/").map { Int($0) } ?? []
        guard numbers.count == 2, let number = numbers[0], let count = numbers[1], (1...count).contains(number) else {
            return nil
        }
        return (number, count)
    }

    private func killEverywhere(
        _ kind: StoreKind, large: Bool, _ isWanted: (String) -> Bool = { _ in true }
    ) throws {
        let steps = try listSteps(kind, large: large).filter(isWanted)
        #expect(steps.count >= 8, "the write path has more steps than \(steps)")
        for (place, step) in steps.enumerated() where Self.part.map({ place % $0.count == $0.number - 1 }) ?? true {
            print("killed at \(step) on \(kind.rawValue)")
            try killOnce(kind, large: large, step)
        }
    }

    /// What is passed on the way, as `name:n`.
    func listSteps(_ kind: StoreKind, large: Bool) throws -> [String] {
        var steps: [String] = []
        try MountWorld.with(kind, seconds: 240) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            let path = world.root + "/steps"
            try world.mount(environment: ["SESSIONFS_KILL_LOG": path])
            let scenario = Scenario(world, large: large)
            scenario.run()
            #expect(scenario.isComplete)
            try scenario.settle()
            try scenario.verify("undisturbed")
            let text = String(decoding: try Files.read(path), as: UTF8.self)
            var counts: [String: Int] = [:]
            for line in text.split(separator: "\n") {
                let parts = line.split(separator: ":")
                guard parts.count == 2, let count = Int(parts[1]) else { continue }
                counts[String(parts[0]), default: 0] = max(counts[String(parts[0])] ?? 0, count)
            }
            for (place, (name, count)) in counts.sorted(by: { $0.key < $1.key }).enumerated() {
                let wanted = Self.isThorough ? Array(1...count) : [[1, (count + 1) / 2, count][place % 3]]
                steps += wanted.map { "\(name):\($0)" }
            }
        }
        return steps
    }

    private func killOnce(_ kind: StoreKind, large: Bool, _ step: String) throws {
        try MountWorld.with(kind, seconds: 240) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            let scenario = Scenario(world, large: large)
            // The step may lie in the start itself.
            if try mount(world, step) { scenario.run() }
            try end(world)
            // Once more, wherever the recovery first passes it.
            let name = step.split(separator: ":")[0]
            if try mount(world, "\(name):1") { _ = world.flush() }
            try end(world)
            try world.mount()
            try scenario.settle()
            try scenario.verify(step)
            try world.unmount()
            // What is in the catalog now is what another machine learns.
            let other = try world.machine(1)
            try other.mount()
            #expect(try other.sessions() == world.bucket.names(), "\(step)")
        }
    }

    /// Mounts with a step at which the daemon dies.
    /// - Returns: whether it was reached alive.
    private func mount(_ world: MountWorld, _ step: String) throws -> Bool {
        try world.tryMount(environment: ["SESSIONFS_KILL_AT": step]).status == 0
    }

    /// The daemon is dead, or is killed now.
    private func end(_ world: MountWorld) throws {
        if world.run(["status", world.point]).status == 0 { try world.killDaemon() }
    }
}
