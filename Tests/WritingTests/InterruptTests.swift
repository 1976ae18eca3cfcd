import Foundation
import MountHarness
import Platform
import Testing

/// Programs that get signals while they write: timers, children that end, threads that are preempted by one.
@Suite(.timeLimit(.minutes(4))) struct InterruptTests {
    /// The kernel tells of every signal, of those too that the program has handlers for which restart calls. What does
    /// not wait for the network is done as on any filesystem: `EINTR` would be no answer to a chmod(2), and after an
    /// open(2) with O_EXCL the file would be there, and the second attempt fail.
    @Test func localWorkIsNotDisturbed() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            try world.save(TestSession.fileName(1), TestSession.bytes(1))
            try world.drain()
            let script = """
                import ctypes, errno, os, signal, sys
                libc = ctypes.CDLL(None, use_errno=True)
                top, session = os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2])
                signal.signal(signal.SIGALRM, lambda *_: None)
                signal.siginterrupt(signal.SIGALRM, False)
                signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
                failed = {}
                # Python itself repeats what was interrupted.
                def call(name, *arguments):
                    result = getattr(libc, name)(*arguments)
                    if result < 0:
                        what = (name, errno.errorcode[ctypes.get_errno()])
                        failed[what] = failed.get(what, 0) + 1
                    return result
                for number in range(150):
                    path = top + b"/%d.part" % number
                    new = call("open", path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
                    call("write", new, b"text", 4)
                    call("ftruncate", new, 2)
                    call("futimens", new, None)
                    call("fchmod", new, 0o600)
                    call("fsync", new)
                    call("close", new)
                    call("truncate", path, 0)
                    cut = call("open", path, os.O_WRONLY | os.O_TRUNC)
                    call("close", cut)
                    edited = call("open", session, os.O_RDWR)
                    call("close", edited)
                    call("unlink", path)
                signal.setitimer(signal.ITIMER_REAL, 0)
                print(failed or "undisturbed")
                """
            let outcome = try Shell.python(script, [world.point + "/sessions", world.body(TestSession.fileName(1))])
            #expect(outcome == "undisturbed\n")
            #expect(try world.sessions() == [TestSession.fileName(1)])
            #expect(try world.conflicts(all: true).isEmpty)
        }
    }

    /// An open that has to fetch the session first can be given up, and the program be killed.
    @Test func whatWaitsForTheStoreIsInterrupted() throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.bucket.client.save(TestSession.fileName(1), TestSession.bytes(1, size: 1 << 20))
            try world.mount()
            let proxy = try #require(world.bucket.proxy)
            for change in ["open(sys.argv[1], 'r+b')", "os.truncate(sys.argv[1], 1000)"] {
                try proxy.inject(.stall(after: 1000), times: 50, method: "GET", path: "sessions/2026")
                let child = try Child(
                    "python3", ["-c", "import os, sys; \(change)", world.body(TestSession.fileName(1))])
                try world.eventually("the download begins") { world.state(TestSession.fileName(1)) != "remote" }
                #expect(child.isRunning)
                child.kill(SIGTERM)
                try world.eventually("the program ends") { !child.isRunning }
                try proxy.clearFaults()
                try proxy.cutConnections()
                #expect(world.holds(TestSession.fileName(1), TestSession.bytes(1, size: 1 << 20)))
                // The kernel may have had the pages: the download goes on, and is kept.
                try world.eventually("the body is kept") { world.state(TestSession.fileName(1)) == "cached" }
                try world.tell("cache", "clear")
                try world.eventually("the body is gone") { world.state(TestSession.fileName(1)) == "remote" }
            }
        }
    }
}
