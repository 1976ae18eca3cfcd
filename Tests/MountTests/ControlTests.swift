import Foundation
import MountHarness
import Platform
import Testing

/// The commands about a mount.
@Suite(.timeLimit(.minutes(3))) struct ControlTests {
    @Test func everythingThatReportsSpeaksJSON() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let name = try Fixture.names()[0]
            _ = try Files.read(world.body(name))
            try world.eventually("the body is cached") { try world.status().number("cache.bodies") == 1 }
            for arguments in [
                ["status"], ["status", world.point], ["refresh", world.point], ["ls", world.point],
                ["ls", world.bucket.url], ["ls", "--offline", world.bucket.url], ["info", world.body(name)],
                ["info", "--store", world.bucket.url, name], ["ops", "list", world.point],
                ["cache", "stats", world.point], ["cache", "clear", world.point],
            ] {
                #expect(try !world.json(arguments).isEmpty, "\(arguments)")
                // Without it they speak to people.
                let text = world.run(arguments)
                #expect(
                    text.status == 0 && !text.output.isEmpty && !text.output.hasPrefix("{"), "\(arguments): \(text)")
            }
            #expect(try world.json(["unmount", world.point])["unmounted"] as? Bool == true)
        }
    }

    @Test func statusTellsWhatIsGoingOn() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(["-o", "cache_max=2G"])
            let status = try world.status()
            #expect(status.value("mountpoint") as? String == world.point)
            #expect(status.value("store") as? String == world.bucket.url)
            #expect(status.value("phase") as? String == "ready")
            #expect(status.value("read_only") as? Bool == false)
            #expect(try status.number("sessions.count") == 37)
            #expect(try status.number("sessions.indexed") == 37)
            #expect(
                try status.number("sessions.bytes")
                    == Fixture.names().reduce(0) { try $0 + Fixture.read("sessions/" + $1).count })
            #expect(try status.number("cache.limit") == 2 << 30)
            #expect(status.value("freshness.last_success") is String)
            #expect((status.value("errors") as? [Any])?.isEmpty == true)
            let text = world.run(["status", world.point])
            #expect(text.output.contains("37") && text.output.contains(world.bucket.url), "\(text.output)")
            // The same from inside of the mount, and from a path below it.
            let inside = try JSONSerialization.jsonObject(
                with: Data(Files.read(world.point + "/.sessionfs/status.json")))
            #expect(((inside as? [String: Any])?["sessions"] as? [String: Any])?["count"] as? Int == 37)
            #expect(try world.status(world.point + "/sessions").value("mountpoint") as? String == world.point)
            #expect(world.run(["status", world.root]).status == 1)
        }
    }

    @Test func lsAndInfoShowTheMetadata() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let names = try Fixture.names()
            // Without a mount.
            let before = world.run(["ls", world.bucket.url])
            #expect(before.output == names.map { $0 + "\n" }.joined(), "\(before.errors)")
            try world.mount()
            #expect(world.run(["ls", world.point]).output == before.output)
            let long = world.run(["ls", "-l", world.point]).output.split(separator: "\n")
            #expect(long.count == 37 && long.allSatisfy { $0.contains("image") })
            let rows = try world.json(["ls", world.point])["sessions"] as? [[String: Any]]
            #expect(rows?.compactMap { $0["name"] as? String } == names)
            #expect(rows?.allSatisfy { $0["metadata"] is [String: Any] } == true)
            let info = try world.json(["info", world.body(names[6])])
            #expect(info["name"] as? String == names[6])
            #expect(info["size"] as? Int == (try Fixture.read("sessions/" + names[6])).count)
            #expect(info["state"] as? String == "remote")
            #expect(world.run(["info", "--store", world.bucket.url, "nosuchsession"]).status == 1)
        }
    }

    @Test(arguments: StoreKind.allCases) func getDownloadsVerified(_ kind: StoreKind) throws {
        try MountWorld.with(kind, .fixture) { world in
            let name = try Fixture.names()[8]
            let target = world.root + "/got"
            let result = world.run(["get", "-o", target, world.bucket.url, name])
            #expect(result.status == 0, "\(result.errors)")
            #expect(try Noise.same(Files.read(target), Fixture.read("sessions/" + name)))
            #expect(world.run(["get", "-o", world.root + "/not", world.bucket.url, "nosuchsession"]).status == 1)
            #expect(!Files.exists(world.root + "/not"))
        }
    }

    /// A name as long as a file's can be: what is written beside it meanwhile must have a shorter one.
    @Test func getTakesLongNames() throws {
        try MountWorld.with { world in
            let name = String(repeating: "界", count: 82) + ".fastshot"
            try world.bucket.put("sessions/" + name, "{}")
            let result = world.run(["get", "-o", world.root + "/" + name, world.bucket.url, name])
            #expect(result.status == 0, "\(result.errors)")
            #expect(try Files.read(world.root + "/" + name) == Array("{}".utf8))
        }
    }

    @Test func cacheClearSparesOpenFiles() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let names = try Array(Fixture.names().prefix(3))
            for name in names { _ = try Files.read(world.body(name)) }
            try world.eventually("three are cached") {
                try world.json(["cache", "stats", world.point])["bodies"] as? Int == 3
            }
            let open = try FileDescriptor.open(world.body(names[0]))
            let cleared = try world.json(["cache", "clear", world.point])
            #expect((cleared["bodies"] as? Int ?? 0) >= 2)
            #expect(try Noise.same(open.read(at: 0, count: 1 << 24), Fixture.read("sessions/" + names[0])))
            open.closeNow()
            try world.eventually("the last goes when it is closed") { try world.status().number("cache.bodies") == 0 }
            #expect(try Files.names(in: world.cacheDirectory() + "/sessions").isEmpty)
            for name in names {
                #expect(try Noise.same(Files.read(world.body(name)), Fixture.read("sessions/" + name)))
            }
        }
    }

    @Test func operationsAreListed() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let listed = try #require(try world.json(["ops", "list", world.point])["operations"] as? [[String: Any]])
            let refresh = try #require(listed.first { $0["kind"] as? String == "refresh" })
            let id = try #require(refresh["id"] as? Int)
            let shown = try world.json(["ops", "show", world.point, "\(id)"])
            #expect(shown["state"] as? String == "done")
            #expect(world.run(["ops", "show", world.point, "999999"]).status == 1)
            #expect(world.run(["ops", "show", world.point, "x"]).status == 2)
            // What has ended cannot be cancelled, and that is no failure of the mount.
            _ = world.run(["ops", "cancel", world.point, "\(id)"])
            #expect(try world.status().value("phase") as? String == "ready")
        }
    }

    @Test func theControlSocketIsPrivate() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let sockets = try Files.names(in: world.root + "/run/sessionfs").filter { $0.hasSuffix(".sock") }
            let socket = world.root + "/run/sessionfs/" + (try #require(sockets.first))
            #expect(try Files.status(socket)?.permissions == 0o600)
            #expect(try Files.status(world.root + "/run/sessionfs")?.permissions == 0o700)
            let answer = Shell.run("curl", ["-sS", "--unix-socket", socket, "http://localhost/v1/status"])
            #expect(answer.status == 0 && answer.output.contains("\"mountpoint\""), "\(answer.errors)")
        }
    }

    /// `-o poll_interval=0` never looks by itself, and rests.
    @Test func withoutPollingNothingHappens() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(["-o", "poll_interval=0"])
            let before = try world.status().requests()
            try world.bucket.put("sessions/20250901000000_new.fastshot", "{}")
            #expect(try world.sessions().count == 37)
            for _ in 0..<20 { _ = try world.status() }
            #expect(try world.status().requests() == before)
            try world.refresh()
            #expect(try world.sessions().count == 38)
        }
    }

    @Test func helpAndVersion() throws {
        try MountWorld.with { world in
            #expect(world.run(["--version"]).output.hasPrefix("sessionfs "))
            for command in [[], ["mount"], ["cache"], ["ops"]] {
                let help = world.run(command + ["--help"])
                #expect(help.status == 0 && help.output.contains("sessionfs"), "\(command)")
            }
            #expect(world.run(["mout"]).status == 2)
            #expect(world.run(["mout"]).errors.contains("mount"))
            #expect(world.run([]).status == 2)
        }
    }
}
