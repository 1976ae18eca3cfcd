import Foundation
import MountHarness
import Platform
import Testing

/// Every way in which a mount ends.
@Suite(.timeLimit(.minutes(3))) struct UnmountTests {
    /// Who ends it.
    enum Way: String, CaseIterable, CustomTestStringConvertible {
        case command, umount, fusermount, terminate, interrupt, hangUp
        var testDescription: String { rawValue }

        func end(_ world: MountWorld, _ daemon: Int32) throws {
            switch self {
            case .command: try world.unmount()
            case .umount: #expect(Shell.run("umount", [world.point]).status == 0)
            case .fusermount: #expect(Shell.run("fusermount3", ["-u", world.point]).status == 0)
            case .terminate: kill(daemon, SIGTERM)
            case .interrupt: kill(daemon, SIGINT)
            case .hangUp: kill(daemon, SIGHUP)
            }
        }
    }

    @Test(arguments: Way.allCases) func everyWayEndsItCleanly(_ way: Way) throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let daemon = try world.daemon()
            let name = try Fixture.names()[0]
            #expect(try Noise.same(Files.read(world.body(name)), Fixture.read("sessions/" + name)))
            let cache = try world.cacheDirectory()
            try world.eventually("the body is cached") { try world.status().number("cache.bodies") == 1 }
            try way.end(world, daemon)
            try world.eventuallyGone(daemon)
            #expect(!world.isMounted())
            #expect(try Files.names(in: world.point).isEmpty)
            // `clean` is the default: bodies go, the catalog stays.
            #expect(try Files.names(in: cache + "/sessions").isEmpty)
            #expect(Files.exists(cache + "/meta_cache/catalog.sqlite"))
            #expect(try world.mountCount() == 0)
            #expect(world.run(["status", world.point]).status == 1)
            // And it can be mounted again.
            try world.mount(learnt: false)
            #expect(try world.sessions() == Fixture.names())
        }
    }

    /// What becomes of the cache.
    enum Policy: String, CaseIterable, CustomTestStringConvertible {
        case keep, clean, purge
        var testDescription: String { rawValue }
    }

    @Test(arguments: Policy.allCases, [true, false]) func policies(_ policy: Policy, asMountOption: Bool) throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(asMountOption ? ["-o", "unmount_policy=\(policy.rawValue)"] : [])
            let name = try Fixture.names()[0]
            _ = try Files.read(world.body(name))
            try world.eventually("the body is cached") { try world.status().number("cache.bodies") == 1 }
            let cache = try world.cacheDirectory()
            let daemon = try world.daemon()
            let option: [String] =
                asMountOption ? [] : policy == .keep ? ["--keep-cache"] : policy == .purge ? ["--purge"] : []
            try world.unmount(nil, option)
            try world.eventuallyGone(daemon)
            #expect(Files.exists(cache + "/sessions/" + name) == (policy == .keep))
            #expect(Files.exists(cache + "/meta_cache/catalog.sqlite") == (policy != .purge))
            if policy == .keep {
                try world.mount(learnt: false)
                #expect(ExtendedAttributes.value("user.sessionfs.state", of: world.body(name)) == "cached")
                #expect(try Noise.same(Files.read(world.body(name)), Fixture.read("sessions/" + name)))
                #expect(try world.status().number("cache.hits") == 1)
                try world.unmount(nil, ["--purge"])
            }
        }
    }

    @Test func aBusyMountStays() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let shell = try Child("sleep", ["60"], directory: world.point + "/sessions")
            try world.eventually("the other program is in the mount") {
                Files.resolve("/proc/\(shell.pid)/cwd") == world.point + "/sessions"
            }
            let refused = world.run(["unmount", "--timeout", "0.3", world.point])
            #expect(refused.status == 1)
            #expect(refused.errors.contains("in use"), "\(refused.errors)")
            #expect(try world.sessions() == Fixture.names())
            #expect(try world.status().value("phase") as? String == "ready")
            shell.kill(SIGKILL)
            shell.wait()
            try world.unmount()
            #expect(!world.isMounted())
        }
    }

    @Test func anOpenFileIsWaitedFor() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let file = try FileDescriptor.open(world.body(try Fixture.names()[0]))
            let ending = try world.start(["unmount", "--timeout", "60", world.point])
            try world.eventually("it is draining") { try world.status().value("phase") as? String == "draining" }
            #expect(ending.isRunning)
            file.closeNow()
            #expect(ending.wait().status == 0)
            #expect(!world.isMounted())
        }
    }

    /// A signal wants an end; the open file fails, the name is gone at once.
    @Test func aSignalEndsABusyMount() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let daemon = try world.daemon()
            let file = try FileDescriptor.open(world.body(try Fixture.names()[0]))
            kill(daemon, SIGTERM)
            try world.eventuallyGone(daemon)
            #expect(!world.isMounted())
            file.closeNow()
            try world.mount(learnt: false)
            #expect(try world.sessions() == Fixture.names())
        }
    }

    @Test func mountsAndUnmountsAgainAndAgain() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let names = try Fixture.names()
            for round in 0..<15 {
                try world.mount(learnt: round == 0)
                let daemon = try world.daemon()
                #expect(try world.sessions() == names)
                let name = names[round]
                #expect(try Noise.same(Files.read(world.body(name)), Fixture.read("sessions/" + name)))
                if round % 3 == 0 {
                    try world.unmount()
                } else {
                    #expect(Shell.run("umount", [world.point]).status == 0)
                }
                try world.eventuallyGone(daemon)
            }
            #expect(try Files.names(in: world.root + "/run/sessionfs").filter { $0 != "lock" }.isEmpty)
        }
    }

    /// `umount` returns before the daemon has cleaned up; whoever mounts again at once waits for that.
    @Test func mountsAgainWhileTheDaemonBeforeStillEnds() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let names = try Fixture.names()
            try world.mount()
            for name in names.prefix(8) {
                #expect(try Noise.same(Files.read(world.body(name)), Fixture.read("sessions/" + name)))
                #expect(Shell.run("umount", [world.point]).status == 0)
                try world.mount(learnt: false)
                #expect(try world.sessions() == names)
            }
        }
    }

    @Test func twoMountsOfOneStore() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let other = world.root + "/other"
            try world.mount()
            try world.mount(at: other)
            let names = try Fixture.names()
            #expect(try world.daemon() != world.daemon(other))
            #expect(try world.mountCount() == 2)
            for name in names {
                let expected = try Fixture.read("sessions/" + name)
                #expect(Noise.same(try Files.read(world.body(name)), expected))
                #expect(Noise.same(try Files.read(other + "/sessions/" + name), expected))
            }
            // The first to go leaves the other its cache.
            try world.unmount()
            #expect(ExtendedAttributes.value("user.sessionfs.state", of: other + "/sessions/" + names[0]) == "cached")
            #expect(try Noise.same(Files.read(other + "/sessions/" + names[0]), Fixture.read("sessions/" + names[0])))
            try world.unmount(other)
            #expect(try Files.names(in: world.cacheDirectory() + "/sessions").isEmpty)
        }
    }

    @Test func whatIsNotMountedCannotBeUnmounted() throws {
        try MountWorld.with { world in
            let refused = world.run(["unmount", world.point])
            #expect(refused.status == 1)
            #expect(refused.errors.contains("no sessionfs is mounted"), "\(refused.errors)")
            #expect(world.run(["unmount", "--keep-cache", "--purge", world.point]).status == 2)
        }
    }
}
