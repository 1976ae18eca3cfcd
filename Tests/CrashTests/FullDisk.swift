import Foundation
import MountHarness
import Platform
import Testing

/// No room in the state directory: what does not fit is refused, and nothing that was accepted suffers.
@Suite(.timeLimit(.minutes(4))) struct FullDisk {
    /// A world whose state directory is a filesystem of so many MiB.
    private func withSmallState(_ megabytes: Int, _ body: (MountWorld, _ state: String) throws -> Void) throws {
        try #require(geteuid() == 0, "this test mounts a small tmpfs: run it as root")
        try MountWorld.with { world in
            let state = world.root + "/small"
            try Files.makePrivateDirectory(state)
            try #require(
                Shell.run("mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m,mode=700", "none", state]).status == 0)
            defer { #expect(Shell.run("umount", ["-l", state]).status == 0) }
            world.options = ["--key-file", try world.keyFile(), "--state-dir", state]
            try world.mount()
            let daemon = try world.daemon()
            try body(world, state)
            try world.unmount()
            try world.eventuallyGone(daemon)
        }
    }

    @Test func whatDoesNotFitIsRefused() throws {
        try withSmallState(48) { world, _ in
            try world.save(TestSession.fileName(0), TestSession.bytes(0))
            try world.drain()
            try world.tell("offline", "on")
            var accepted: [String: [UInt8]] = [TestSession.fileName(0): TestSession.bytes(0)]
            var refused: Int32 = 0
            for number in 1...40 where refused == 0 {
                let bytes = TestSession.bytes(number, size: 3 << 20)
                do {
                    try world.save(TestSession.fileName(number), bytes)
                    accepted[TestSession.fileName(number)] = bytes
                } catch let error as SystemError {
                    refused = error.code
                }
            }
            #expect(refused == ENOSPC)
            #expect(accepted.count > 3)
            // An edit that does not fit is refused as well; its writer removes what is left.
            #expect(throws: SystemError.self) {
                try world.save(TestSession.fileName(1), TestSession.bytes(99, size: 60 << 20))
            }
            accepted[TestSession.fileName(1)] = nil
            // Whatever is left of a file that was refused is removed by its writer, as cp users do.
            for name in try world.sessions() where accepted[name] == nil { try world.delete(name) }
            #expect(try world.sessions() == accepted.keys.sorted())
            for (name, bytes) in accepted { #expect(world.holds(name, bytes), "\(name)") }
            // Removals and renames go on without room.
            try world.delete(TestSession.fileName(2))
            accepted[TestSession.fileName(2)] = nil
            try world.rename(TestSession.fileName(3), to: TestSession.fileName(60))
            accepted[TestSession.fileName(60)] = accepted.removeValue(forKey: TestSession.fileName(3))
            // A crash now costs nothing.
            try world.killDaemon()
            try world.mount()
            #expect(try world.sessions() == accepted.keys.sorted())
            try world.tell("offline", "off")
            try world.drain()
            let bodies = try world.bucket.bodies()
            #expect(bodies.keys.sorted() == accepted.keys.sorted())
            for (name, bytes) in accepted { #expect(Noise.same(bodies[name] ?? [], bytes), "\(name)") }
            try world.bucket.expectClean()
            // There is room again, for all of what was refused.
            try world.save(TestSession.fileName(61), TestSession.bytes(61, size: 10 << 20))
            try world.drain()
            #expect(try world.bucket.names().count == accepted.count + 1)
        }
    }

    /// Somebody else fills the disk to the last byte.
    @Test func theLastByteIsGone() throws {
        try withSmallState(32) { world, state in
            for number in 0..<4 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            try world.drain()
            Shell.run("dd", ["if=/dev/zero", "of=" + state + "/filler", "bs=64K", "status=none"])
            #expect(throws: SystemError.self) {
                try world.save(TestSession.fileName(5), TestSession.bytes(5, size: 1 << 20))
            }
            #expect(try world.sessions().prefix(4) == (0..<4).map { TestSession.fileName($0) }[...])
            for number in 0..<4 { #expect(world.holds(TestSession.fileName(number), TestSession.bytes(number))) }
            try world.delete(TestSession.fileName(0))
            #expect(Posix.open(world.body(TestSession.fileName(0))) == ENOENT)
            try Files.remove(state + "/filler")
            try? world.delete(TestSession.fileName(5))
            try world.save(TestSession.fileName(6), TestSession.bytes(6))
            try world.drain()
            #expect(try world.bucket.names() == [1, 2, 3, 6].map { TestSession.fileName($0) })
            try world.bucket.expectClean()
        }
    }
}
