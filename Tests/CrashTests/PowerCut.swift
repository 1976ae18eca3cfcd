import Foundation
import MountHarness
import Platform
import Testing

/// The power goes at a step of the write path. Journal, staged files, catalog and bucket are all on the disk that loses
/// what was not synchronised: what was accepted is there, and what was taken for sent is in the bucket.
///
/// `SESSIONFS_KILL_STEPS=all` takes every step, instead of some.
@Suite(.timeLimit(.minutes(60))) struct PowerCut {
    @Test(arguments: DiskImage.Filesystem.allCases) func atAStep(_ filesystem: DiskImage.Filesystem) throws {
        try #require(geteuid() == 0, "this test mounts disks in files: run it as root")
        let all = try KillAtEveryStep().listSteps(.directory, large: false)
        #expect(all.count >= 8, "the write path has more steps than \(all)")
        let stride = KillAtEveryStep.isThorough ? 1 : filesystem == .btrfs ? 2 : 5
        for step in Swift.stride(from: 0, to: all.count, by: stride).map({ all[$0] }) {
            print("no power at \(step) on \(filesystem)")
            try onDisk(filesystem) { world, disk in
                let scenario = Scenario(world)
                // The step may lie in the start itself.
                if try world.tryMount(environment: ["SESSIONFS_KILL_AT": step]).status == 0 { scenario.run() }
                try end(world)
                try disk.cut()
                // And once more in the recovery, at the same step, if it passes there.
                let name = step.split(separator: ":")[0]
                if try world.tryMount(environment: ["SESSIONFS_KILL_AT": "\(name):1"]).status == 0 { _ = world.flush() }
                try end(world)
                try disk.cut()
                try world.mount()
                try scenario.settle()
                try scenario.verify("no power at \(step)")
                try world.unmount()
            }
        }
    }

    /// All is sent, and programs have ended: nothing needs a process any more.
    @Test(arguments: DiskImage.Filesystem.allCases) func atRest(_ filesystem: DiskImage.Filesystem) throws {
        try #require(geteuid() == 0, "this test mounts disks in files: run it as root")
        try onDisk(filesystem) { world, disk in
            try world.mount()
            let scenario = Scenario(world)
            scenario.run()
            #expect(scenario.isComplete)
            try scenario.settle()
            try world.killDaemon()
            try disk.cut()
            // The bucket needs no mount to be whole.
            try world.bucket.expectClean()
            try world.mount()
            try scenario.verify("no power at rest")
            try world.unmount()
        }
    }

    /// Power goes right after a file was synchronised that is still open, and of one that never was.
    @Test(arguments: DiskImage.Filesystem.allCases) func openFiles(_ filesystem: DiskImage.Filesystem) throws {
        try #require(geteuid() == 0, "this test mounts disks in files: run it as root")
        try onDisk(filesystem) { world, disk in
            try world.expectOpenFilesOutlived(cut: { try disk.cut() })
            try world.unmount()
        }
    }

    /// A world whose cache, state and bucket are on a disk of their own.
    private func onDisk(
        _ filesystem: DiskImage.Filesystem, _ body: (MountWorld, DiskImage) throws -> Void
    ) throws {
        try MountWorld.with(seconds: 240) { world in
            let disk = try DiskImage(filesystem, in: world.root)
            defer {
                try? end(world)
                #expect(throws: Never.self) { try disk.unmount() }
            }
            for name in ["cache", "state", "bucket"] { try disk.carry(world.root + "/" + name) }
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try body(world, disk)
        }
    }

    /// The daemon is dead, or is killed now.
    private func end(_ world: MountWorld) throws {
        if world.run(["status", world.point]).status == 0 { try world.killDaemon() }
    }
}
