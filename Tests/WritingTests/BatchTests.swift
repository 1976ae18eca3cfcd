import Foundation
import MountHarness
import Platform
import Testing

/// Many files at once: what they cost, and what is held back on request.
@Suite(.timeLimit(.minutes(4))) struct BatchTests {
    /// How often the overall file was written.
    private func overallWrites(_ world: MountWorld) throws -> Int {
        let proxy = try #require(world.bucket.proxy)
        return try proxy.statistics().requests.filter { $0.hasPrefix("PUT ") && $0.contains("overall_meta.json") }.count
    }

    /// A committed batch of 40 sessions writes the overall file once, and each body and index once.
    /// Times are the sessions' again after the upload, so `rsync -a` writes everything anew; no body is sent for that.
    @Test func aSecondRsyncSendsNoBodies() throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try world.mount()
            let source = world.root + "/source"
            try Files.makePrivateDirectory(source)
            let sizes = [3_000, 200_000, 17 << 20]
            for (number, size) in sizes.enumerated() {
                try Posix.save(
                    source + "/" + TestSession.fileName(number), TestSession.bytes(number, size: size))
            }
            func synchronize() throws -> [String] {
                try world.bucket.proxy?.resetStatistics()
                let result = Shell.run("rsync", ["-a", source + "/", world.point + "/sessions"])
                #expect(result.status == 0, "\(result.errors)")
                try world.drain()
                let requests = try #require(world.bucket.proxy).statistics().requests
                return requests.filter { $0.hasPrefix("PUT ") && $0.contains("/sessions/") }
            }
            #expect(try synchronize().count >= 5)
            #expect(try synchronize() == [])
            try world.bucket.expectClean()
            // An edit of the same length is one.
            let name = TestSession.fileName(1)
            let edited = TestSession.bytes(11, size: sizes[1])
            try Posix.save(source + "/" + name, edited)
            #expect(try synchronize().count == 1)
            #expect(try world.bucket.bodies()[name] == edited)
            try world.bucket.expectClean()
        }
    }

    @Test func aBatchCostsOneUpdate() throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try world.mount()
            try world.save(TestSession.fileName(0), TestSession.bytes(0))
            try world.drain()
            try world.bucket.proxy?.resetStatistics()
            try world.tell("batch", "begin")
            for number in 1...40 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            #expect(try world.bucket.names() == [TestSession.fileName(0)])
            #expect(try world.queue().allSatisfy { $0.state == "held" })
            #expect(try world.sessions().count == 41)
            let began = Timestamp.monotonic
            #expect(try world.json(["batch", "commit", world.point])["changes"] as? Int == 40)
            try world.drain()
            // Rows wait five seconds at most: only where the uploads take longer there is a second update.
            let most = 1 + Int(Timestamp.monotonic.seconds(since: began) / 5)
            let requests = try #require(world.bucket.proxy).statistics().requests
            let writes = try overallWrites(world)
            #expect(1...most ~= writes, "\(writes): \(requests)")
            let puts = requests.filter { $0.hasPrefix("PUT ") }
            #expect(puts.filter { $0.contains("/sessions/") }.count == 40)
            #expect(puts.filter { $0.contains("/meta_indexes/") }.count == 40)
            #expect(try world.bucket.names().count == 41)
            try world.bucket.expectClean()
        }
    }

    /// A batch is kept over a crash, and what is given up is as it was before.
    @Test func cancelUndoesTheBatch() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            for number in 0..<4 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            try world.drain()
            try world.tell("batch", "begin")
            try world.save(TestSession.fileName(0), TestSession.bytes(10))
            try world.delete(TestSession.fileName(1))
            try world.rename(TestSession.fileName(2), to: TestSession.fileName(5))
            try world.save(TestSession.fileName(6), TestSession.bytes(6))
            #expect(world.run(["batch", "begin", world.point]).status == 1)
            try world.killDaemon()
            try world.mount()
            #expect(try world.sessions() == [0, 3, 5, 6].map { TestSession.fileName($0) })
            #expect(try world.queue().filter { $0.state == "held" }.count == 4)
            // What is in a batch is not in the way of an end: it stays for the next mount.
            try world.tell("batch", "cancel")
            #expect(try world.sessions() == (0..<4).map { TestSession.fileName($0) })
            for number in 0..<4 { #expect(world.holds(TestSession.fileName(number), TestSession.bytes(number))) }
            try world.drain()
            #expect(try world.bucket.names() == (0..<4).map { TestSession.fileName($0) })
            try world.bucket.expectClean()
            #expect(world.run(["batch", "commit", world.point]).status == 1)
        }
    }

    /// A thousand sessions copied in, as a file manager does: all there, with a handful of writes of the overall file,
    /// and two requests for each of them.
    @Test(arguments: StoreKind.usually([.ministack], thorough: StoreKind.remote)) func manyFiles(_ kind: StoreKind)
        throws
    {
        let count = 1000
        try MountWorld.with(kind, proxied: true, seconds: 280) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try world.mount()
            let source = world.root + "/source"
            try Files.makePrivateDirectory(source)
            for number in 0..<count {
                try Posix.save(source + "/" + TestSession.fileName(number), TestSession.bytes(number))
            }
            try world.bucket.proxy?.resetStatistics()
            let began = Timestamp.monotonic
            let copied = Shell.run("cp", ["-r", source + "/.", world.point + "/sessions"], seconds: 120)
            #expect(copied.status == 0, "\(copied.errors)")
            try world.drain(seconds: 240)
            // Rows wait for each other for five seconds at most, so that a slow machine writes them more often.
            let most = 4 + Int(Timestamp.monotonic.seconds(since: began) / 5)
            let writes = try overallWrites(world)
            #expect(1...most ~= writes, "\(writes) writes of the overall file")
            let requests = try #require(world.bucket.proxy).statistics().requests
            let puts = requests.filter { $0.hasPrefix("PUT ") }
            for place in ["/sessions/", "/meta_indexes/"] {
                let targets = puts.filter { $0.contains(place) }
                #expect(Set(targets).count == count)
                // A busy server may leave a request without an answer.
                #expect(targets.count < count + count / 20, "\(targets.count) in \(place)")
            }
            print("\(kind.rawValue): \(count) files, \(requests.count) requests, \(writes) of the overall file")
            #expect(try world.bucket.names().count == count)
            try world.bucket.expectClean()
            #expect(try world.bucket.client.list().count == count)
        }
    }

    /// Removals come in numbers, too.
    @Test func manyRemovals() throws {
        try MountWorld.with(.ministack, .fixture, proxied: true) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try world.mount()
            #expect(Shell.run("sh", ["-c", "rm \"$0\"/sessions/*", world.point]).status == 0)
            #expect(try world.sessions().isEmpty)
            try world.drain()
            #expect(try world.bucket.keys() == ["overall_meta.json"])
            #expect(try overallWrites(world) < 20)
            try world.bucket.expectClean()
        }
    }

    /// What waits can be taken off the queue by its name: an edit is undone, a new file goes.
    @Test func theQueueCanBeEdited() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let names = (0..<4).map { TestSession.fileName($0) }
            try world.save(names[0], TestSession.bytes(0))
            try world.drain()
            try world.tell("offline", "on")
            try world.save(names[0], TestSession.bytes(10))
            try world.save(names[1], TestSession.bytes(1))
            try world.save(names[2], TestSession.bytes(2))
            let queue = try world.queue()
            #expect(queue.map(\.name) == [names[0], names[1], names[2]])
            #expect(queue.map(\.kind) == ["edit", "create", "create"])
            #expect(world.run(["queue", "remove", world.point, names[1]]).status == 0)
            #expect(world.run(["queue", "remove", world.point, names[3]]).status == 1)
            #expect(try world.sessions() == [names[0], names[2]])
            #expect(world.run(["queue", "remove", world.point, names[0]]).status == 0)
            try world.tell("offline", "off")
            try world.drain()
            #expect(try world.bucket.bodies() == [names[0]: TestSession.bytes(0), names[2]: TestSession.bytes(2)])
            #expect(world.holds(names[0], TestSession.bytes(0)))
            try world.tell("offline", "on")
            try world.delete(names[0])
            try world.save(names[3], TestSession.bytes(3))
            try world.tell("queue", "clear")
            #expect(try world.queue().isEmpty)
            #expect(try world.sessions() == [names[0], names[2]])
            try world.tell("offline", "off")
            try world.drain()
            try world.bucket.expectClean()
        }
    }

    /// Hundreds at once, of every kind, and names that are free only when another change has been given up.
    @Test func manyChangesAreGivenUp() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let old = (0..<120).map { TestSession.fileName($0) }
            for (number, name) in old.enumerated() { try world.save(name, TestSession.bytes(number)) }
            try world.drain()
            try world.tell("offline", "on")
            // Each takes the name that the one before it has left.
            for number in 0..<40 { try world.rename(old[number], to: TestSession.fileName(1000 + number)) }
            for number in 40..<80 { try world.rename(old[number], to: old[number - 40]) }
            for number in 80..<100 { try world.delete(old[number]) }
            for number in 100..<120 { try world.save(old[number], TestSession.bytes(number + 500)) }
            for number in 2000..<2300 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            let given = try #require(world.json(["queue", "clear", world.point])["changes"] as? [[String: Any]])
            #expect(given.count == 420)
            #expect(try world.queue().isEmpty)
            #expect(try world.sessions() == old)
            for (number, name) in old.enumerated() { #expect(world.holds(name, TestSession.bytes(number)), "\(name)") }
            try world.tell("offline", "off")
            try world.drain()
            #expect(try world.bucket.names() == old)
        }
    }
}
