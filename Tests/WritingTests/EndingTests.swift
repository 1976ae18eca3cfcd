import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// How a mount ends that has something to send.
@Suite(.timeLimit(.minutes(4))) struct EndingTests {
    /// `sessionfs unmount` sends what waits before it unmounts.
    @Test(arguments: StoreKind.allCases) func unmountSends(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            for number in 0..<12 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            let daemon = try world.daemon()
            try world.unmount()
            try world.eventuallyGone(daemon)
            #expect(try world.bucket.names().count == 12)
            try world.bucket.expectClean()
            #expect(try Files.names(in: world.stateDirectory() + "/staging").isEmpty)
        }
    }

    /// Who else ends a mount.
    enum Way: String, CaseIterable, CustomTestStringConvertible {
        case umount, fusermount, terminate
        var testDescription: String { rawValue }

        func end(_ world: Machine, _ daemon: Int32) {
            switch self {
            case .umount: #expect(Shell.run("umount", [world.point]).status == 0)
            case .fusermount: #expect(Shell.run("fusermount3", ["-u", world.point]).status == 0)
            case .terminate: kill(daemon, SIGTERM)
            }
        }
    }

    @Test(arguments: Way.allCases) func everyEndSends(_ way: Way) throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let daemon = try world.daemon()
            for number in 0..<5 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            way.end(world, daemon)
            try world.eventuallyGone(daemon)
            #expect(!world.isMounted())
            #expect(try world.bucket.names().count == 5)
            try world.bucket.expectClean()
        }
    }

    /// What cannot be sent is named, and the exit status says so; it is there, and sent, with the next mount.
    @Test func whatStaysIsNamed() throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let proxy = try #require(world.bucket.proxy)
            try world.save(TestSession.fileName(0), TestSession.bytes(0))
            try world.drain()
            try proxy.setState(.refusing)
            try world.save(TestSession.fileName(0), TestSession.bytes(10))
            try world.save(TestSession.fileName(1), TestSession.bytes(1))
            try world.save("draft.txt", [1, 2, 3])
            let daemon = try world.daemon()
            let ended = world.run(["unmount", world.point])
            #expect(ended.status == 3, "\(ended)")
            let said = ended.output + ended.errors
            #expect(said.contains(TestSession.fileName(0)) && said.contains(TestSession.fileName(1)), "\(said)")
            #expect(!world.isMounted())
            try world.eventuallyGone(daemon)
            // Still without a network.
            try world.mount(learnt: false)
            #expect(try world.sessions() == [TestSession.fileName(0), TestSession.fileName(1), "draft.txt"])
            #expect(world.holds(TestSession.fileName(0), TestSession.bytes(10)))
            #expect(world.holds(TestSession.fileName(1), TestSession.bytes(1)))
            #expect(world.holds("draft.txt", [1, 2, 3]))
            #expect(try world.queue().filter { $0.state != "local" }.count == 2)
            try proxy.setState(.open)
            try world.eventually("all is sent") { world.flush().status == 0 }
            #expect(
                try world.bucket.bodies() == [
                    TestSession.fileName(0): TestSession.bytes(10), TestSession.fileName(1): TestSession.bytes(1),
                ])
            try world.bucket.expectClean()
        }
    }

    /// In the foreground, too: the exit status is 3 when something was not sent.
    @Test func theForegroundSaysSo() throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            world.options = ["--key-file", try world.keyFile()]
            let child = try world.start(["mount", "-f"] + world.options + [world.bucket.url, world.point])
            try world.eventually("it is ready") { world.run(["refresh", world.point]).status == 0 }
            try #require(world.bucket.proxy).setState(.refusing)
            try world.save(TestSession.fileName(1), TestSession.bytes(1))
            child.kill(SIGTERM)
            let result = child.wait(seconds: 120)
            #expect(result.status == 3, "\(result)")
            #expect((result.output + result.errors).contains(TestSession.fileName(1)), "\(result)")
            #expect(!world.isMounted())
        }
    }

    /// `close=cloud`: what was closed is in the bucket.
    @Test(arguments: StoreKind.allCases) func closeWaitsForTheCloud(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile(), "--close", "cloud"]
            try world.mount()
            for number in 0..<3 {
                try world.save(TestSession.fileName(number), TestSession.bytes(number))
                #expect(try world.bucket.names().count == number + 1)
            }
            try world.bucket.expectClean()
        }
    }

    /// A shell closes a copy of the descriptor before the program writes: that close has nothing to send.
    @Test func aRedirectionIsOneUpload() throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            world.options = ["--foreign", "basic", "--close", "cloud"]
            try world.mount()
            let source = world.root + "/source"
            try Files.replace(source, with: TestSession.bytes(1))
            let result = Shell.run("bash", ["-c", "cat \"$0\" > \"$1\"", source, world.body(TestSession.fileName(1))])
            #expect(result.status == 0, "\(result.errors)")
            #expect(try world.bucket.bodies() == [TestSession.fileName(1): TestSession.bytes(1)])
            let requests = try #require(world.bucket.proxy).statistics().requests
            #expect(requests.filter { $0.hasPrefix("PUT ") && $0.contains("/sessions/2026") }.count == 1, "\(requests)")
        }
    }

    /// And says so when it cannot be; nothing is lost.
    @Test func closeTellsWhatTheCloudSays() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile(), "--close", "cloud"]
            try world.mount()
            let name = "20260101000000_none.fastshot"
            #expect(throws: (any Error).self) { try world.save(name, Array("no session".utf8)) }
            #expect(world.holds(name, Array("no session".utf8)))
            #expect(world.state(name) == "refused")
        }
    }

    /// Several descriptors of a file whose name goes while their closes wait: nothing is to be sent any more, and all of
    /// them hear so, whatever becomes of the removal.
    @Test func allDescriptorsOfARemovedFileAreClosed() throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            world.options = ["--key-file", try world.keyFile(), "--close", "cloud"]
            try world.mount()
            try world.save(TestSession.fileName(0), TestSession.bytes(0))
            let proxy = try #require(world.bucket.proxy)
            try proxy.resetStatistics()
            try proxy.inject(.status(503), times: 1_000_000)
            let source = world.root + "/source"
            try Files.replace(source, with: TestSession.bytes(1))
            let script = """
                import os, sys, threading, time
                path, source = sys.argv[1:]
                first = os.open(path, os.O_CREAT | os.O_RDWR)
                os.write(first, open(source, "rb").read())
                others = [os.open(path, os.O_RDWR), os.dup(first)]
                results = {}
                def close(number, descriptor):
                    try:
                        os.close(descriptor)
                        results[number] = 0
                    except OSError as error:
                        results[number] = error.errno
                threads = [threading.Thread(target=close, args=item) for item in enumerate([first] + others)]
                for thread in threads: thread.start()
                while not os.path.exists(source + ".go"): time.sleep(0.01)
                os.unlink(path)
                for thread in threads: thread.join()
                print(results)
                sys.exit(0 if set(results.values()) == {0} else 1)
                """
            let child = try Child(
                try TestPython.interpreter(), ["-c", script, world.body(TestSession.fileName(1)), source])
            try world.eventually("it is being sent") {
                try proxy.statistics().requests.contains { $0.contains(TestSession.fileName(1)) }
            }
            #expect(child.isRunning, "\(child.output)\(child.errors)")
            try Files.replace(source + ".go", with: [])
            let result = child.wait(seconds: 60)
            #expect(result.status == 0, "\(result)")
            try proxy.clearFaults()
            try world.drain()
            #expect(try world.bucket.names() == [TestSession.fileName(0)])
        }
    }

    /// Two mounts with one state directory: the second shows everything and changes nothing, and says so.
    @Test func theSecondMountIsReadOnly() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            try world.save(TestSession.fileName(1), TestSession.bytes(1))
            try world.drain()
            let other = world.root + "/other"
            try Files.makeDirectories(other)
            let second = world.run(["mount"] + world.options + [world.bucket.url, other])
            #expect(second.status == 0)
            #expect(second.errors.contains("read-only"), "\(second.errors)")
            try world.refresh(other)
            #expect(Noise.same(try Files.read(other + "/sessions/" + TestSession.fileName(1)), TestSession.bytes(1)))
            #expect(throws: (any Error).self) {
                try Posix.save(other + "/sessions/" + TestSession.fileName(2), TestSession.bytes(2))
            }
            try world.unmount(other)
            try world.save(TestSession.fileName(2), TestSession.bytes(2))
            try world.drain()
            #expect(try world.bucket.names().count == 2)
        }
    }

    /// A limited line shows how far an upload is, and the limit can be changed under way.
    @Test func limits() throws {
        try MountWorld.with(.ministack) { world in
            world.options = ["--key-file", try world.keyFile(), "--limit-upload", "200K"]
            try world.mount()
            #expect(try world.status().number("limits.upload") == 200 << 10)
            let body = TestSession.bytes(1, size: 40 << 20)
            try world.save(TestSession.fileName(1), body)
            try world.eventually("it is being uploaded") {
                world.state(TestSession.fileName(1)).hasPrefix("uploading ")
            }
            #expect(try world.bucket.names().isEmpty)
            #expect(world.holds(TestSession.fileName(1), body))
            #expect(world.run(["limit", world.point, "--upload", "0"]).status == 0)
            #expect(try world.status().value("limits.upload") as? Int ?? 0 == 0)
            try world.drain()
            #expect(Noise.same(try world.bucket.bodies()[TestSession.fileName(1)] ?? [], body))
            try world.bucket.expectClean()
        }
    }
}
