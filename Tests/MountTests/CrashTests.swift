import Foundation
import MountHarness
import Platform
import Testing

/// A daemon that is killed without warning.
@Suite(.timeLimit(.minutes(3))) struct CrashTests {
    private func killNow(_ world: MountWorld) throws {
        let daemon = try world.daemon()
        kill(daemon, SIGKILL)
        try world.eventuallyGone(daemon)
    }

    @Test func theNextMountClearsTheStaleOne() throws {
        try MountWorld.with(.directory, .fixture) { world in
            for _ in 0..<3 {
                try world.mount()
                try killNow(world)
                #expect(world.isMounted())
                // The kernel may still be cutting the connection when the first call comes.
                #expect([ENOTCONN, ECONNABORTED].contains(Posix.open(world.point)))
                try world.mount(learnt: false)
                #expect(try world.sessions() == Fixture.names())
                // Nothing of the stale mount is left below.
                try world.unmount()
                #expect(!world.isMounted())
            }
        }
    }

    @Test func unmountClearsAStaleMount() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            try killNow(world)
            try world.unmount()
            #expect(!world.isMounted())
            #expect(try world.mountCount() == 0)
        }
    }

    /// A stale mount in which a program still stands is cleared as well.
    @Test func aStaleMountInUseIsCleared() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let other = try Child("sleep", ["60"], directory: world.point + "/sessions")
            try world.eventually("the other program is in the mount") {
                Files.resolve("/proc/\(other.pid)/cwd") == world.point + "/sessions"
            }
            try killNow(world)
            try world.mount(learnt: false)
            #expect(try world.sessions() == Fixture.names())
            other.kill(SIGKILL)
        }
    }

    /// Bodies that were whole when the daemon died are served, half ones are fetched anew.
    @Test func aKillDuringDownloadsPoisonsNothing() throws {
        try MountWorld.with { world in
            let names = (0..<6).map { "2025010100000\($0)_big.fastshot" }
            let bodies = try names.map { _ in try Noise.bytes(8 << 20) }
            for (name, body) in zip(names, bodies) { try world.bucket.put("sessions/" + name, body) }
            for round in 0..<4 {
                try world.mount(learnt: round == 0)
                let readers = try names.map { try Child("cp", [world.body($0), "/dev/null"]) }
                // At once, or somewhere in the middle of it.
                if round > 0 {
                    try world.eventually("it has begun") {
                        let status = try world.status()
                        return try status.number("cache.downloaded_bytes") > 0 || status.number("cache.hits") > 0
                    }
                }
                try killNow(world)
                for reader in readers { _ = reader.wait() }
            }
            try world.mount(learnt: false)
            for (name, body) in zip(names, bodies) {
                #expect(Noise.same(try Files.read(world.body(name)), body), "\(name)")
            }
            try world.eventually("all are cached") { try world.status().number("cache.bodies") == names.count }
            // Temporary files of the dead are gone.
            #expect(try Files.names(in: world.cacheDirectory() + "/sessions").sorted() == names)
        }
    }

    /// The catalog is used by a command while the daemon that writes it dies.
    @Test func theCatalogSurvives() throws {
        try MountWorld.with { world in
            for round in 0..<5 {
                try world.mount(["-o", "poll_interval=1s"], learnt: false)
                for number in 0..<40 {
                    try world.bucket.put("sessions/2025010\(round)0000\(10 + number)_s.fastshot", "{\"r\": \(round)}")
                }
                if round.isMultiple(of: 2) {
                    try world.eventually("some are seen") { try world.sessions().count > round * 40 }
                }
                try killNow(world)
            }
            try world.mount()
            #expect(try world.sessions().count == 200)
            #expect(!world.log.contains("damaged"), "\(world.log)")
        }
    }
}
