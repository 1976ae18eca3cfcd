import Foundation
import Platform
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct FileLockTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func onlyOneHoldsIt() throws {
        let path = directory.path("lock")
        var first = try FileLock.acquire(path, wait: false)
        #expect(first != nil)
        #expect(try FileLock.acquire(path, wait: false) == nil)
        try first?.describeHolder("pid:\(getpid())\n")
        #expect(try Files.read(path) == Array("pid:\(getpid())\n".utf8))
        first = nil
        #expect(try FileLock.acquire(path, wait: false) != nil)
    }

    @Test func anotherProcessHoldsItUntilItIsKilled() throws {
        let path = directory.path("lock")
        let holder = Process()
        let output = Pipe()
        holder.executableURL = URL(filePath: "/usr/bin/flock")
        // flock(1) runs the command itself, so that killing the process releases the lock.
        holder.arguments = ["--no-fork", path, "sh", "-c", "echo held; exec sleep 50"]
        holder.standardOutput = output
        try holder.run()
        defer { holder.terminate() }
        #expect(output.fileHandleForReading.availableData == Data("held\n".utf8))
        #expect(try FileLock.acquire(path, wait: false) == nil)
        kill(holder.processIdentifier, SIGKILL)
        #expect(try FileLock.acquire(path, wait: true) != nil)
        holder.waitUntilExit()
    }

    /// Its parent may take the first thread of the holder for its end, while another one has the files still.
    @Test func aHolderThatIsEndingIsOutlived() throws {
        let path = directory.path("lock")
        let script = """
            import ctypes, fcntl, os, sys, threading, time
            file = open(sys.argv[1], "w")
            fcntl.flock(file, fcntl.LOCK_EX)
            print(os.getpid(), file=file, flush=True)
            def end():
                while open(f"/proc/{os.getpid()}/stat").read().split(")")[1].split()[0] != "Z": time.sleep(0.01)
                os.write(1, b"ended\\n")
                time.sleep(0.3)
                os._exit(0)
            threading.Thread(target=end).start()
            ctypes.CDLL(None).pthread_exit(None)
            """
        let holder = Process()
        let output = Pipe()
        holder.executableURL = URL(filePath: "/usr/bin/python3")
        holder.arguments = ["-c", script, path]
        holder.standardOutput = output
        try holder.run()
        defer { holder.terminate() }
        #expect(output.fileHandleForReading.availableData == Data("ended\n".utf8))
        #expect(try FileLock.acquire(path, wait: false) == nil)
        let lock = try FileLock.acquire(path, outliving: 60)
        #expect(lock != nil)
        // One that lives is not waited for.
        #expect(try FileLock.acquire(path, outliving: 60) == nil)
        holder.waitUntilExit()
    }

    @Test func waitingGetsItInTheEnd() async throws {
        let path = directory.path("lock")
        let count = Guarded(0)
        let alone = Guarded(0)
        await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
                        // A thread of its own: waiting blocks it.
                        Thread.detachNewThread {
                            done.resume(
                                with: Result {
                                    for _ in 0..<50 {
                                        let lock = try FileLock.acquire(path, wait: true)
                                        #expect(lock != nil)
                                        #expect(
                                            alone.withLock {
                                                $0 += 1; return $0
                                            } == 1)
                                        count.withLock { $0 += 1 }
                                        alone.withLock { $0 -= 1 }
                                        withExtendedLifetime(lock) {}
                                    }
                                })
                        }
                    }
                }
            }
        }
        #expect(count.withLock { $0 } == 200)
    }
}
