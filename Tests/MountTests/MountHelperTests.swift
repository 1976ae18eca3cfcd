import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// `mount -t sessionfs`, by the helper that mount(8) looks for in /sbin.
@Suite(.timeLimit(.minutes(3)), .serialized) struct MountHelperTests {
    private static let link = "/sbin/mount.sessionfs"

    /// A copy of the helper beside the built program, linked from /sbin while the test runs.
    private func withHelper(_ test: (MountWorld) throws -> Void) throws {
        try MountWorld.with(.directory, .fixture) { world in
            let directory = world.root + "/helper"
            try Files.makePrivateDirectory(directory)
            try FileManager.default.copyItem(
                atPath: TestPython.package + "/mount-helpers/mount.sessionfs", toPath: directory + "/mount.sessionfs")
            try FileManager.default.createSymbolicLink(
                atPath: directory + "/sessionfs", withDestinationPath: MountWorld.program)
            try FileManager.default.createSymbolicLink(
                atPath: Self.link, withDestinationPath: directory + "/mount.sessionfs")
            defer { try? Files.remove(Self.link) }
            try test(world)
        }
    }

    static var canLink: Bool { access("/sbin", W_OK) == 0 && !Files.exists(link) }

    @Test(.enabled(if: canLink, "needs to put a link into /sbin, where none may be"))
    func mountsByTypeAndUnmounts() throws {
        try withHelper { world in
            for options in ["ro", "ro,noatime,cache_max=1G,_netdev,nofail,x-systemd.automount"] {
                let mounted = Shell.run(
                    "mount", ["-t", "sessionfs", "-o", options, world.bucket.url, world.point],
                    environment: world.environment)
                try #require(mounted.status == 0, "\(mounted.errors)")
                #expect(try world.sessions() == Fixture.names())
                #expect(
                    try Noise.same(
                        Files.read(world.body(Fixture.names()[0])), Fixture.read("sessions/" + Fixture.names()[0])))
                let daemon = try world.daemon()
                #expect(Shell.run("umount", [world.point]).status == 0)
                try world.eventuallyGone(daemon)
                #expect(!world.isMounted())
            }
        }
    }

    @Test(.enabled(if: canLink, "needs to put a link into /sbin, where none may be"))
    func failuresReachMount() throws {
        try withHelper { world in
            let bad = Shell.run(
                "mount", ["-t", "sessionfs", "-o", "cache_maxx=1", world.bucket.url, world.point],
                environment: world.environment)
            #expect(bad.status == 1 && bad.errors.contains("cache_max"), "\(bad.status) \(bad.errors)")
            let missing = Shell.run(
                "mount", ["-t", "sessionfs", world.bucket.url, world.root + "/none"], environment: world.environment)
            #expect(missing.status != 0)
            #expect(!world.isMounted())
        }
    }
}
