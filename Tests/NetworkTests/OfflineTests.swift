import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// The store cannot be reached: work goes on, and is replayed when it is back.
@Suite(.timeLimit(.minutes(5))) struct OfflineTests {
    @Test func connectionsAreRefused() throws {
        try withLine { world, proxy in
            try proxy.setState(.refusing)
            // A body that is not here fails at once.
            let read = Posix.read(world.body(TestSession.fileName(1)))
            #expect(read.error == ENETUNREACH, "\(read.error)")
            let expected = try world.workWithoutNetwork()
            try world.eventually("it is known to be offline") { try world.connection() == "offline" }
            let status = try world.status()
            #expect(try !status.text("connection.reason").isEmpty && !status.text("connection.since").isEmpty)
            #expect(try status.number("queue.pending") == 3)
            #expect(world.flush().status == 3)
            // Also over the end of a daemon.
            try world.killDaemon()
            try world.mount(learnt: false)
            #expect(try world.queue().count == 3)
            world.browse(4)
            try proxy.setState(.open)
            try world.eventually("it is online again") { try world.connection() == "online" }
            // By itself, without a flush.
            try world.eventually("everything is sent") { try world.queue().isEmpty }
            try world.replay(expected)
        }
    }

    /// Names that cannot be resolved any more: of the proxy that all requests have to pass.
    @Test func namesAreNotResolved() throws {
        try MountWorld.with(.ministack) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.bucket.client.save(TestSession.fileName(0), TestSession.bytes(0))
            try world.bucket.client.save(TestSession.fileName(1), TestSession.bytes(1))
            try world.mount()
            #expect(world.holds(TestSession.fileName(0), TestSession.bytes(0)))
            try world.eventually("the body is cached") { world.state(TestSession.fileName(0)) == "cached" }
            try world.unmount(nil, ["--keep-cache"])
            try world.mount(["-o", "proxy=http://nowhere.invalid:3128"], learnt: false)
            try world.eventually("it is known to be offline") { try world.connection() == "offline" }
            #expect(Posix.read(world.body(TestSession.fileName(1))).error == ENETUNREACH)
            let expected = try world.workWithoutNetwork()
            #expect(world.run(["unmount", "--keep-cache", world.point]).status == 3)
            try world.mount()
            try world.replay(expected)
        }
    }

    /// Credentials that have run out are waited for, and nothing is taken for refused.
    @Test func credentialsHaveExpired() throws {
        try withLine { world, proxy in
            try proxy.inject(.status(400, code: "ExpiredToken"), times: 1_000_000)
            let expected = try world.workWithoutNetwork()
            try world.eventually("it is known to be offline") { try world.connection() == "offline" }
            #expect(try world.queue().allSatisfy { $0.state == "ready" })
            try proxy.clearFaults()
            try world.replay(expected)
        }
    }

    /// On request: nothing is asked of the store until the user says so.
    @Test func onRequest() throws {
        try withLine { world, proxy in
            try world.tell("offline", "on")
            #expect(try world.connection() == "forced")
            try proxy.resetStatistics()
            let expected = try world.workWithoutNetwork()
            #expect(Posix.read(world.body(TestSession.fileName(1))).error == ENETUNREACH)
            #expect(world.flush().status == 3)
            #expect(try proxy.statistics().requests.isEmpty)
            try world.tell("offline", "off")
            try world.replay(expected)
        }
    }

    /// A line that takes everything and says nothing: what needs no network does not wait for it.
    @Test func halfOpen() throws {
        try withLine { world, proxy in
            try proxy.setState(.blackHole)
            let reader = try Child("cp", [world.body(TestSession.fileName(1)), "/dev/null"])
            let expected = try world.workWithoutNetwork()
            try proxy.setState(.open)
            try proxy.cutConnections()
            try world.replay(expected)
            #expect(reader.wait(seconds: 120).status == 0)
        }
    }

    /// `offline_reads = wait`: who opens what is not here waits until the store is back, or gives up; what needs no
    /// network goes on beside it.
    @Test func readersWait() throws {
        try withLine(["--offline-reads", "wait"]) { world, proxy in
            try proxy.setState(.refusing)
            let readers = try (0..<3).map { _ in try Child("cat", [world.body(TestSession.fileName(1))]) }
            let expected = try world.workWithoutNetwork()
            try world.eventually("it is known to be offline") { try world.connection() == "offline" }
            // One that comes when it is known already.
            let late = try Child("cat", [world.body(TestSession.fileName(1))])
            world.browse(4)
            // A reader that is told to end ends, and the others go on waiting.
            for (reader, signal) in zip(readers, [SIGTERM, SIGKILL]) {
                #expect(reader.isRunning, "\(reader.errors)")
                reader.kill(signal)
                #expect(reader.wait().status == 128 + signal)
            }
            #expect(readers[2].isRunning && late.isRunning, "\(readers[2].errors)\(late.errors)")
            #expect(readers[2].output.isEmpty && late.output.isEmpty)
            try proxy.setState(.open)
            for reader in [readers[2], late] {
                let read = reader.wait(seconds: 150)
                #expect(read.status == 0, "\(read.errors)")
            }
            let copy = world.root + "/copy"
            let again = Shell.run("cp", [world.body(TestSession.fileName(1)), copy])
            #expect(try again.status == 0 && Noise.same(Files.read(copy), TestSession.bytes(1)))
            try world.replay(expected)
        }
    }

    /// On request, too; and the end of the mount ends the waiting.
    @Test func waitingEndsWithTheMount() throws {
        try withLine(["--offline-reads", "wait"]) { world, _ in
            try world.tell("offline", "on")
            let back = try Child("cat", [world.body(TestSession.fileName(1))])
            world.browse(2)
            #expect(back.isRunning, "\(back.errors)")
            try world.tell("offline", "off")
            #expect(back.wait(seconds: 120).status == 0)
            try world.bucket.client.save(TestSession.fileName(9), TestSession.bytes(9))
            try world.refresh()
            try world.tell("offline", "on")
            let reader = try Child("cat", [world.body(TestSession.fileName(9))])
            world.browse(3)
            #expect(reader.isRunning, "\(reader.errors)")
            let daemon = try world.daemon()
            kill(daemon, SIGTERM)
            try world.eventuallyGone(daemon)
            #expect(reader.wait().status == 1)
            #expect(reader.output.isEmpty)
        }
    }

    /// Work that was queued is replayed in the order in which it was done.
    @Test func theOrderIsKept() throws {
        try withLine { world, proxy in
            try proxy.setState(.refusing)
            var expected = [TestSession.fileName(1): TestSession.bytes(1)]
            // One name, again and again, and names that follow each other.
            for round in 0..<5 {
                try world.save(TestSession.fileName(0), TestSession.bytes(100 + round))
                try world.delete(TestSession.fileName(0))
                try world.save(TestSession.fileName(20 + round), TestSession.bytes(200 + round))
                if round > 0 {
                    try world.rename(TestSession.fileName(20 + round), to: TestSession.fileName(19 + round))
                }
            }
            expected[TestSession.fileName(20)] = TestSession.bytes(201)
            expected[TestSession.fileName(21)] = TestSession.bytes(202)
            expected[TestSession.fileName(22)] = TestSession.bytes(203)
            expected[TestSession.fileName(23)] = TestSession.bytes(204)
            #expect(try world.sessions() == expected.keys.sorted())
            try proxy.setState(.open)
            try world.replay(expected)
        }
    }
}
