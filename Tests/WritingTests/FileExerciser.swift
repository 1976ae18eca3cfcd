import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// Random work on a few files, every byte of which is compared: `Tests/Clients/file_exerciser.py`. Uploads, evictions
/// and looks at the bucket go on meanwhile and must not be seen.
///
/// The seed is printed; `SESSIONFS_MODEL_SEED` and `SESSIONFS_MODEL_STEPS` are as in `ModelTests`.
@Suite(.timeLimit(.minutes(10))) struct FileExerciser {
    @Test(arguments: [StoreKind.directory, .ministack]) func filesAreAsInMemory(_ kind: StoreKind) throws {
        let wish = Environment.value("SESSIONFS_MODEL_SEED")
        let seed = wish.flatMap { UInt64($0) } ?? (wish == "random" ? UInt64.random(in: 0...999_999_999) : 20_250_622)
        let steps = Environment.value("SESSIONFS_MODEL_STEPS").flatMap { Int($0) } ?? 1500
        print("files: SESSIONFS_MODEL_SEED=\(seed) SESSIONFS_MODEL_STEPS=\(steps) on \(kind.rawValue)")
        try MountWorld.with(kind, seconds: max(240, steps / 4)) { world in
            // Where the kernel reads bodies itself, who has one open keeps the version that he opened.
            world.options = ["--foreign", "basic", "--no-passthrough", "-o", "poll_interval=1s"]
            try world.mount()
            let program = Machine.program
            let commands = [
                "\(program) flush --timeout 5 \(world.point)", "\(program) cache clear \(world.point)",
                "\(program) refresh \(world.point)",
            ]
            let result = Shell.run(
                try TestPython.interpreter(),
                [TestPython.package + "/Tests/Clients/file_exerciser.py", "\(seed)", "\(steps)"]
                    + [world.point + "/sessions", "--"] + commands,
                environment: world.environment, seconds: Double(max(240, steps / 4)))
            #expect(result.status == 0, "\(result.errors)\(world.log)")
            // Nobody else has written.
            #expect(try world.conflicts(all: true).isEmpty, "\(world.log)")
            try world.drain()
            #expect(try world.bucket.names().isEmpty)
        }
    }
}
