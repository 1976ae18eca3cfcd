import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// A line to the store that misbehaves: errors are repeated or told, wrong bytes never reach a reader who reads to the
/// end, and nothing that went wrong stays in the cache.
@Suite(.timeLimit(.minutes(3))) struct FaultTests {
    private static let name = "20250101000000_body.fastshot"

    /// A mount through a proxy, with one body in the bucket.
    private func withProxy(
        kilobytes: Int = 700, _ test: (MountWorld, FaultProxy, [UInt8]) throws -> Void
    ) throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            let body = try Noise.bytes(kilobytes << 10 | 77)
            try world.bucket.put("sessions/" + Self.name, body)
            try world.bucket.put("sessions/20250101000001_other.fastshot", "other")
            try world.mount(["-o", "poll_interval=1h"])
            try test(world, try #require(world.bucket.proxy), body)
        }
    }

    /// What passes by itself: the reader notices nothing.
    struct Passing: CustomTestStringConvertible {
        var testDescription: String
        var fault: FaultProxy.Fault
        var times = 1
    }

    static let passing = [
        Passing(testDescription: "503", fault: .status(503), times: 2),
        Passing(testDescription: "500", fault: .status(500), times: 2),
        Passing(testDescription: "429 with Retry-After", fault: .status(429, retryAfter: 1)),
        Passing(testDescription: "dropped in the middle", fault: .drop(after: 100_000), times: 2),
        Passing(testDescription: "reset in the middle", fault: .reset(after: 300_000), times: 2),
        Passing(testDescription: "reset at once", fault: .reset(after: 0), times: 2),
        Passing(testDescription: "answer lost", fault: .lose, times: 2),
        Passing(testDescription: "one bit wrong once", fault: .corrupt(at: 5000)),
        Passing(testDescription: "shorter than it should be", fault: .shorten(to: 200_000)),
    ]

    @Test(arguments: passing) func passes(_ passing: Passing) throws {
        try withProxy { world, proxy, body in
            try proxy.inject(
                passing.fault, times: passing.times, method: "GET", path: "sessions/" + Self.name.prefix(14))
            let read = Posix.read(world.body(Self.name))
            // A reader who was handed bytes that prove wrong is refused, and a new one gets the right ones.
            let isRefused = read.error == EBADMSG || read.error == EIO
            let isRight = read.error == 0 && Noise.same(read.bytes, body)
            #expect(isRight || isRefused, "\(read.error) after \(read.bytes.count) bytes\n\(world.log)")
            if case .corrupt = passing.fault {} else { #expect(isRight, "\(read.error)\n\(world.log)") }
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
            try world.eventually("the body is cached") { try world.status().number("cache.bodies") == 1 }
            try world.unmount(nil, ["--keep-cache"])
            try proxy.setState(.refusing)
            try world.mount(learnt: false)
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
        }
    }

    /// A body that stays wrong is never given to the end, and never kept.
    @Test func whatStaysWrongIsRefused() throws {
        try withProxy { world, proxy, body in
            try proxy.inject(.corrupt(at: 600_000), times: 1000, method: "GET", path: "sessions/")
            for _ in 0..<2 {
                let read = Posix.read(world.body(Self.name))
                #expect(read.error == EBADMSG || read.error == EIO, "\(read.error) after \(read.bytes.count)")
            }
            #expect(try world.status().number("cache.bodies") == 0)
            #expect(try world.status().value("errors").map { "\($0)" }?.contains(Self.name) == true)
            #expect(try world.sessions().count == 2)
            try proxy.clearFaults()
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
        }
    }

    /// The store is gone: what is here goes on, what is not says so in time, and all is well when it is back.
    @Test func offline() throws {
        try withProxy { world, proxy, body in
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
            try world.eventually("the body is cached") { try world.status().number("cache.bodies") == 1 }
            try proxy.setState(.refusing)
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
            #expect(try world.sessions().count == 2)
            let other = Posix.read(world.body("20250101000001_other.fastshot"))
            #expect(other.error == ENETUNREACH, "\(other.error)")
            let refresh = world.run(["refresh", world.point], seconds: 120)
            #expect(refresh.status == 4, "\(refresh.errors)")
            #expect(try world.status().value("freshness.online") as? Bool == false)
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
            try proxy.setState(.open)
            try world.refresh()
            #expect(try world.status().value("freshness.online") as? Bool == true)
            #expect(try Files.read(world.body("20250101000001_other.fastshot")) == Array("other".utf8))
        }
    }

    /// A reader that waits for a store that says nothing can be killed, and the mount lives on.
    @Test func aWaitingReaderCanBeKilled() throws {
        try withProxy { world, proxy, body in
            try proxy.setState(.blackHole)
            for signal in [SIGKILL, SIGTERM] {
                let reader = try Child("cp", [world.body(Self.name), "/dev/null"])
                try world.eventually("it waits") {
                    try proxy.statistics().requests.contains { $0.contains("sessions/2025") }
                }
                #expect(reader.isRunning)
                reader.kill(signal)
                #expect(reader.wait(seconds: 20).status == 128 + signal)
            }
            #expect(try world.sessions().count == 2)
            #expect(try world.status().value("phase") as? String == "ready")
            try proxy.setState(.open)
            try proxy.cutConnections()
            try world.eventually("the body can be read") { Noise.same(Posix.read(world.body(Self.name)).bytes, body) }
        }
    }

    @Test func aDownloadCanBeCancelled() throws {
        try withProxy { world, proxy, body in
            try proxy.inject(.stall(after: 100_000), times: 1000, method: "GET", path: "sessions/")
            let reader = try Child("cp", [world.body(Self.name), world.root + "/copy"], environment: world.environment)
            var id = 0
            try world.eventually("the download is listed") {
                let running = try world.json(["ops", "list", world.point])["operations"] as? [[String: Any]] ?? []
                let download = running.first {
                    $0["kind"] as? String == "download" && $0["state"] as? String == "running"
                }
                id = download?["id"] as? Int ?? 0
                return id != 0
            }
            // Seen in the attribute and in the status, too.
            let state = ExtendedAttributes.value("user.sessionfs.state", of: world.body(Self.name)) ?? ""
            #expect(state.hasPrefix("downloading "), "\(state)")
            #expect(world.run(["status", world.point]).output.contains("download"))
            #expect(world.run(["ops", "cancel", world.point, "\(id)"]).status == 0)
            #expect(reader.wait().status == 1)
            #expect(reader.errors.contains("Operation canceled"), "\(reader.errors)")
            #expect(try world.json(["ops", "show", world.point, "\(id)"])["state"] as? String == "cancelled")
            try proxy.clearFaults()
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
        }
    }

    /// Bytes are handed on as they arrive: the beginning is there while the rest is still to come.
    @Test func theBeginningIsReadWhileTheRestArrives() throws {
        try withProxy(kilobytes: 3000) { world, proxy, body in
            try proxy.setLine(bytesPerSecond: 700_000)
            let file = try FileDescriptor.open(world.body(Self.name))
            #expect(Noise.same(try file.read(at: 0, count: 200_000), Array(body.prefix(200_000))))
            let state = ExtendedAttributes.value("user.sessionfs.state", of: world.body(Self.name)) ?? ""
            #expect(state.hasPrefix("downloading "), "\(state)")
            #expect(Noise.same(try file.read(at: 0, count: body.count), body))
        }
    }

    @Test func aSlowLineIsRight() throws {
        try withProxy { world, proxy, body in
            try proxy.setLine(roundTrip: 60, bytesPerSecond: 400_000)
            #expect(Noise.same(try Files.read(world.body(Self.name)), body))
        }
    }

    /// The object is replaced between opening and the end of its download: one version or an error, no mixture.
    @Test func versionsNeverMix() throws {
        try withProxy(kilobytes: 4000) { world, proxy, body in
            let other = try Noise.bytes(body.count)
            try proxy.inject(.drop(after: 1 << 20), times: 1, method: "GET", path: "sessions/")
            let file = try FileDescriptor.open(world.body(Self.name))
            try world.bucket.put("sessions/" + Self.name, other)
            do throws(SystemError) {
                let read = try file.read(at: 0, count: body.count)
                #expect(Noise.same(read, body) || Noise.same(read, other))
            } catch {
                #expect([ESTALE, EBADMSG, EIO].contains(error.code), "\(error)")
            }
            file.closeNow()
            try world.refresh()
            #expect(Noise.same(try Files.read(world.body(Self.name)), other))
        }
    }

    /// Nothing that signs is in a place where others can see it.
    @Test(arguments: StoreKind.remote) func secretsStaySecret(_ kind: StoreKind) throws {
        try MountWorld.with(kind, .fixture) { world in
            try world.mount(["-v", "-v", "-o", "log=debug"])
            let daemon = try world.daemon()
            _ = try Files.read(world.body(try Fixture.names()[0]))
            let secret = try #require(world.environment["AWS_SECRET_ACCESS_KEY"])
            #expect(secret.count > 8)
            let listed = Shell.run("ps", ["-eo", "args", "ww"])
            #expect(listed.output.contains("sessionfs") && !listed.output.contains(secret))
            #expect(!world.log.isEmpty && !world.log.contains(secret))
            for arguments in [["status", "--json", world.point], ["ops", "list", "--json", world.point]] {
                #expect(!world.run(arguments).output.contains(secret))
            }
            let found = Shell.run(
                "grep", ["-rlaF", secret, world.root + "/cache", world.root + "/state", world.root + "/run"])
            #expect(found.output.isEmpty, "\(found.output)")
            #expect(daemon > 0)
        }
    }

    /// Wrong credentials: denied, with the store's reason, and nothing mounted.
    @Test(arguments: StoreKind.remote) func wrongCredentialsAreDenied(_ kind: StoreKind) throws {
        try MountWorld.with(kind, .fixture) { world in
            world.extra["AWS_SECRET_ACCESS_KEY"] = "wrongwrongwrongwrong"
            let refused = world.run(["mount", world.bucket.url, world.point])
            #expect(refused.status == 5, "\(refused.status) \(refused.errors)")
            #expect(!world.isMounted())
            let missing = world.run(["mount", "s3://no-such-bucket-here", world.point])
            #expect(missing.status != 0)
        }
    }
}
