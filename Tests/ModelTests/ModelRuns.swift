import MountHarness
import Platform
import Testing

/// Random work of several machines and a FastShot client on one bucket.
///
/// The seed is printed; `SESSIONFS_MODEL_SEED` draws the same steps again or, with `random`, others;
/// `SESSIONFS_MODEL_STEPS` makes a run longer, `SESSIONFS_MODEL_STORES` chooses the stores. Without them a run is always
/// the same: whether a change is good is not left to luck.
///
/// A failed run leaves its steps in a file. `SESSIONFS_MODEL_REPLAY` does those of such a file, as far as daemons that
/// work at the same time can be repeated; `SESSIONFS_MODEL_SHRINK=N` leaves out, in up to N runs, what is not needed for
/// the failure.
@Suite(.timeLimit(.minutes(ModelWishes.minutes))) struct ModelRuns {
    static let places = ModelWishes.chosen([
        Place(kind: .directory, machines: 2, steps: 240), Place(kind: .ministack, machines: 3, steps: 120),
        Place(kind: .ceph, machines: 2, steps: 100), Place(kind: .openStackSwift, machines: 2, steps: 60),
    ])

    @Test(arguments: places) func everythingIsAsInTheReference(_ place: Place) throws {
        try run(place) { try OwnNames($0, machines: place.machines, seed: $1) }
    }

    static let contested = ModelWishes.chosen([
        Place(kind: .directory, machines: 3, steps: 100), Place(kind: .ministack, machines: 2, steps: 80),
        Place(kind: .ceph, machines: 2, steps: 50), Place(kind: .openStackSwift, machines: 2, steps: 40),
    ])

    @Test(arguments: contested) func allAgreeOnContestedNames(_ place: Place) throws {
        try run(place) { try SharedNames($0, machines: place.machines, seed: $1) }
    }

    static let apart = ModelWishes.chosen([
        Place(kind: .directory, machines: 3, steps: 100), Place(kind: .ministack, machines: 2, steps: 50),
        Place(kind: .ceph, machines: 2, steps: 40), Place(kind: .openStackSwift, machines: 2, steps: 40),
    ])

    @Test(arguments: apart) func nothingIsLostThatWasWrittenOffline(_ place: Place) throws {
        try run(place) { try OfflineRounds($0, machines: place.machines, seed: $1) }
    }

    private func run<Kind: Reference>(
        _ place: Place, test: String = #function, _ make: (MountWorld, _ seed: UInt64) throws -> Kind
    ) throws {
        let seed = ModelWishes.seed
        let name = "\(Kind.self)-\(place.kind.rawValue)-\(seed)"
        let steps = ModelWishes.steps ?? place.steps
        print("model: SESSIONFS_MODEL_SEED=\(seed) SESSIONFS_MODEL_STEPS=\(steps) on \(place.testDescription)")
        do {
            if let path = Environment.value("SESSIONFS_MODEL_REPLAY") {
                let lines = String(decoding: try Files.read(path), as: UTF8.self).split(separator: "\n")
                let known = try lines.map { line in try #require(Step(line: line), "\(line)") }
                try self.run(place, known.count) { try Run.replay(make($0, seed), known) }
            } else {
                try self.run(place, steps) { try Run.draw(make($0, seed), seed: seed, steps: steps) }
            }
        } catch let failure as FailedRun {
            var done = failure.steps
            report("fails", done, failure.cause, name, seed)
            if ModelWishes.shrinkingRuns > 0 {
                done = try Run.shrink(done, tries: ModelWishes.shrinkingRuns) { shorter in
                    try fails(shorter, test, place, seed)
                }
                report("shrunk", done, failure.cause, name + "-shrunk", seed)
            }
        }
    }

    private func run(_ place: Place, _ steps: Int, _ body: (MountWorld) throws -> Void) throws {
        try MountWorld.with(place.kind, seconds: max(600, steps * 4)) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=2s"]
            try body(world)
        }
    }

    /// Whether these steps fail, whichever way, in a process of their own.
    private func fails(_ steps: [Step], _ test: String, _ place: Place, _ seed: UInt64) throws -> Bool {
        let path = Scratch.path("steps")
        try write(steps, to: path)
        defer { try? Files.remove(path) }
        let program = try #require(Files.resolve("/proc/self/exe"))
        let child = try Child(
            "env",
            [
                "-u", "SESSIONFS_MODEL_SHRINK", "SESSIONFS_MODEL_REPLAY=\(path)", "SESSIONFS_MODEL_SEED=\(seed)",
                "SESSIONFS_MODEL_STORES=\(place.kind.rawValue)", program, "--testing-library", "swift-testing",
                "--no-parallel", "--filter", "ModelRuns.*\(test.prefix { $0 != "(" })",
            ])
        return child.wait(seconds: Double(ModelWishes.minutes) * 60).status != 0
    }

    private func write(_ steps: [Step], to path: String) throws {
        try Files.replace(path, with: Array(steps.map { "\($0)\n" }.joined().utf8))
    }

    private func report(_ how: String, _ steps: [Step], _ cause: any Error, _ name: String, _ seed: UInt64) {
        let path = (Environment.value("TMPDIR") ?? "/tmp") + "/sessionfs-model-\(name).steps"
        do { try write(steps, to: path) } catch { Issue.record("\(path): \(error)") }
        // The seed also says what is decided about conflicts.
        let wishes = "SESSIONFS_MODEL_SEED=\(seed) SESSIONFS_MODEL_REPLAY=\(path)"
        let lines = steps.map { "\($0)\n" }.joined()
        Issue.record("\(how): \(cause)\n\(lines)\(wishes) repeats these \(steps.count) steps")
    }
}
