import Foundation
import MountHarness
import Platform
import Testing

/// Deaths at no step in particular.
@Suite(.timeLimit(.minutes(4))) struct SuddenDeath {
    /// What was accepted right before, while it is being sent, in several rounds.
    @Test(arguments: StoreKind.allCases) func whileSending(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile()]
            var expected: [String: [UInt8]] = [:]
            for round in 0..<3 {
                try world.mount(learnt: round == 0)
                for number in 0..<6 {
                    let name = TestSession.fileName(round * 2 + number)
                    let bytes = TestSession.bytes(round * 10 + number, size: 200_000)
                    try world.save(name, bytes)
                    expected[name] = bytes
                }
                let gone = TestSession.fileName(round)
                try world.delete(gone)
                expected[gone] = nil
                try world.killDaemon()
            }
            try world.mount()
            #expect(try world.sessions() == expected.keys.sorted())
            for (name, bytes) in expected { #expect(world.holds(name, bytes), "\(name)") }
            try world.drain()
            let bodies = try world.bucket.bodies()
            #expect(bodies.keys.sorted() == expected.keys.sorted())
            for (name, bytes) in expected { #expect(Noise.same(bodies[name] ?? [], bytes), "\(name)") }
            try world.bucket.expectClean()
            #expect(try world.conflicts(all: true).isEmpty)
        }
    }

    /// While programs change the directory and the daemon tells the kernel of what was sent: sometimes each holds what
    /// the other waits for, and neither ends before the mount is cleared.
    @Test func whileDirectoriesChange() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            let source = world.root + "/source.fastshot"
            try Files.replace(source, with: TestSession.bytes(1, size: 2000))
            for round in 0..<6 {
                try world.mount(learnt: false)
                let programs = try (0..<3).map { number in
                    try Child("python3", ["-c", Self.changing, source, world.body("\(round)\(number)")])
                }
                usleep(UInt32.random(in: 300_000...900_000))
                try world.killDaemon()
                // Whatever they wait for comes to an end, with an error.
                if round % 2 == 0 { try world.mount(learnt: false) } else { try world.unmount() }
                for program in programs {
                    program.kill(SIGKILL)
                    program.wait()
                }
                if round % 2 == 0 { try world.unmount() }
            }
            try world.mount()
            try world.drain()
            try world.bucket.expectClean()
            // Copies that were broken off have kept their names.
            #expect(try world.sessions().filter { $0.hasSuffix(".fastshot") } == world.bucket.names())
        }
    }

    /// Saves and removes sessions for ever, whatever comes of it.
    private static let changing = """
        import os, shutil, sys
        number = 0
        while True:
            number += 1
            name = f"{sys.argv[2]}-{number % 5}.fastshot"
            try:
                if number % 3:
                    shutil.copyfile(sys.argv[1], name + "~")
                    os.replace(name + "~", name)
                else: os.remove(name)
            except OSError: pass
        """

    /// Files that are open when the daemon dies: what was synchronised is kept, what was never is gone.
    @Test func openFiles() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.expectOpenFilesOutlived()
        }
    }

    /// The local cache is thrown away while something waits: the catalog is learnt anew, and what waits is sent.
    @Test func theCacheIsLost() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let names = (0..<5).map { TestSession.fileName($0) }
            for number in 0..<3 { try world.save(names[number], TestSession.bytes(number)) }
            try world.drain()
            try world.tell("offline", "on")
            try world.save(names[0], TestSession.bytes(10))
            try world.delete(names[1])
            try world.rename(names[2], to: names[3])
            try world.save(names[4], TestSession.bytes(4))
            try world.killDaemon()
            try Files.removeTree(world.cacheDirectory())
            try world.mount()
            let pending = try world.sessions()
            #expect(pending == [names[0], names[3], names[4]])
            try world.drain()
            #expect(
                try world.bucket.bodies() == [
                    names[0]: TestSession.bytes(10), names[3]: TestSession.bytes(2), names[4]: TestSession.bytes(4),
                ])
            try world.bucket.expectClean()
            let shown = try world.sessions()
            #expect(shown == [names[0], names[3], names[4]])
            #expect(try world.conflicts(all: true).isEmpty)
        }
    }
}
