import Foundation
import MountHarness
import Platform
import Testing

/// How a mount begins, or tells why it does not.
@Suite(.timeLimit(.minutes(3))) struct StartTests {
    /// `mount` in the background returns the daemon's own error and exit code, and leaves nothing behind.
    @Test func failuresAreReported() throws {
        try MountWorld.with(.directory, .fixture) { world in
            func failure(
                _ arguments: [String], _ code: Int32, _ text: String, _ location: SourceLocation = #_sourceLocation
            ) {
                let result = world.run(["mount"] + arguments, location)
                #expect(result.status == code, "\(arguments): \(result.errors)", sourceLocation: location)
                #expect(result.errors.contains(text), "\(result.errors)", sourceLocation: location)
            }
            let url = world.bucket.url
            try Files.replace(world.root + "/file", with: [1])
            failure([url, world.root + "/none"], 1, "does not exist")
            failure([url, world.root + "/file"], 1, "is not a directory")
            failure([url, world.bucket.directory], 1, "would cover the store itself")
            failure([url, world.root], 1, "would cover the store itself")
            failure(["nosuchstore", world.point], 2, "nosuchstore")
            failure(["ftp://host/x", world.point], 2, "ftp://")
            failure(["-o", "cache_maxx=1G", url, world.point], 2, "did you mean cache_max?")
            failure(["-o", "secret_access_key=abc", url, world.point], 2, "visible to every user")
            failure(["--nonsense", url, world.point], 2, "--nonsense")
            failure([url], 2, "DIR")
            #expect(!world.isMounted())
            #expect(try world.mountCount() == 0)
        }
    }

    @Test func aSecondMountAtTheSamePlaceIsRefused() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let daemon = try world.daemon()
            let again = world.run(["mount", world.bucket.url, world.point])
            #expect(again.status == 1)
            #expect(
                again.errors.contains("is mounted already") && again.errors.contains("\(daemon)"), "\(again.errors)")
            #expect(try world.daemon() == daemon)
            #expect(try world.sessions() == Fixture.names())
        }
    }

    /// An empty directory would say that there are no sessions: a first start fails with the store's own reason.
    @Test func aFirstStartNeedsItsStore() throws {
        try MountWorld.with { world in
            try Files.removeTree(world.bucket.directory)
            let refused = world.run(["mount", world.bucket.url, world.point])
            #expect(refused.status == 1 || refused.status == 4)
            #expect(refused.errors.contains(world.bucket.directory), "\(refused.errors)")
            #expect(!world.isMounted())
            #expect(try world.mountCount() == 0)
            // And works as soon as it is there.
            try Files.makePrivateDirectory(world.bucket.directory)
            try world.bucket.put("sessions/20250101000000_late.fastshot", "{}")
            try world.mount(learnt: false)
            #expect(try world.sessions() == ["20250101000000_late.fastshot"])
        }
    }

    /// With `-f` the mount belongs to the program, which tells a service manager when it is ready and when it stops.
    @Test func theForegroundNotifiesAServiceManager() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let script = """
                import os, signal, socket, subprocess, sys
                program, store, point, path = sys.argv[1:]
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                    s.bind(path)
                    s.settimeout(50)
                    p = subprocess.Popen([program, "mount", "-f", store, point], env={**os.environ, "NOTIFY_SOCKET": path})
                    try:
                        ready = s.recv(4096).decode().split("\\n")
                        assert "READY=1" in ready and f"MAINPID={p.pid}" in ready, ready
                        assert len(os.listdir(point)) == 3 + 1 or len(os.listdir(point)) == 3, os.listdir(point)
                        assert p.poll() is None
                        p.send_signal(signal.SIGTERM)
                        stopping = s.recv(4096).decode().split("\\n")
                        assert "STOPPING=1" in stopping, stopping
                        assert p.wait(50) == 0, p.returncode
                    finally:
                        p.kill()
                print(os.listdir(point))
                """
            let result = Shell.run(
                "python3", ["-c", script, MountWorld.program, world.bucket.url, world.point, world.root + "/notify"],
                environment: world.environment)
            #expect(result.status == 0 && result.output == "[]\n", "\(result.output)\(result.errors)")
        }
    }

    @Test func theForegroundReportsFailuresByItself() throws {
        try MountWorld.with { world in
            let result = world.run(["mount", "-f", world.bucket.url, world.root + "/none"])
            #expect(result.status == 1)
            #expect(result.errors.contains("does not exist"), "\(result.errors)")
        }
    }

    /// A warm start needs no network: the catalog is shown at once.
    @Test func aWarmStartNeedsNoStore() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let name = try Fixture.names()[0]
            _ = try Files.read(world.body(name))
            try world.eventually("the body is cached") { try world.status().number("cache.bodies") == 1 }
            let before = Shell.run("ls", ["-li", "--time-style=full-iso", world.point + "/sessions"]).output
            try world.unmount(nil, ["--keep-cache"])
            try Files.rename(world.bucket.directory, to: world.root + "/away")
            try world.mount(["-o", "poll_interval=1s"], learnt: false)
            #expect(Shell.run("ls", ["-li", "--time-style=full-iso", world.point + "/sessions"]).output == before)
            #expect(try Files.names(in: world.point + "/meta_indexes").count == 37)
            #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(name)) != nil)
            #expect(try Noise.same(Files.read(world.point + "/overall_meta.json"), Fixture.read("overall_meta.json")))
            #expect(try Noise.same(Files.read(world.body(name)), Fixture.read("sessions/" + name)))
            try world.eventually("it is known to be offline") {
                try world.status().value("freshness.online") as? Bool == false
            }
            // Nothing is taken for gone because the store is.
            #expect(try world.sessions() == Fixture.names())
            #expect(Posix.read(world.body(try Fixture.names()[1])).error != 0)
            try Files.rename(world.root + "/away", to: world.bucket.directory)
            try world.eventually("it is online again") { try world.status().value("freshness.online") as? Bool == true }
            #expect(
                try Noise.same(
                    Files.read(world.body(Fixture.names()[1])), Fixture.read("sessions/" + Fixture.names()[1])))
        }
    }

    /// What a disk or another program may do to the catalog between two mounts.
    enum Damage: String, CaseIterable, CustomTestStringConvertible {
        case truncated, emptied, overwritten, removed
        var testDescription: String { rawValue }

        func apply(_ path: String) throws {
            switch self {
            case .truncated:
                try FileDescriptor.open(path, .readWrite).truncate(to: 5000)
            case .emptied:
                try FileDescriptor.open(path, .readWrite).truncate(to: 0)
            case .overwritten:
                let file = try FileDescriptor.open(path, .readWrite)
                try file.write([UInt8](repeating: 0xa5, count: Int(try file.size())), at: 0)
            case .removed: try Files.remove(path)
            }
        }
    }

    @Test(arguments: Damage.allCases) func aDamagedCatalogIsLearntAnew(_ damage: Damage) throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let daemon = try world.daemon()
            try world.unmount()
            try world.eventuallyGone(daemon)
            let catalog = try world.cacheDirectory() + "/meta_cache/catalog.sqlite"
            try damage.apply(catalog)
            try world.mount()
            #expect(try world.sessions() == Fixture.names())
            for key in try Fixture.keys() {
                #expect(try Noise.same(Files.read(world.point + "/" + key), Fixture.read(key)), "\(key)")
            }
        }
    }

    @Test func localStateIsPrivate() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            _ = try Files.read(world.body(try Fixture.names()[0]))
            try world.eventually("the body is cached") { try world.status().number("cache.bodies") == 1 }
            let found = Shell.run(
                "find",
                [
                    world.root + "/cache", world.root + "/state", world.root + "/run", "-perm", "/077", "-not", "-type",
                    "l",
                ])
            #expect(found.status == 0 && found.output.isEmpty, "\(found.output)\(found.errors)")
        }
    }
}
