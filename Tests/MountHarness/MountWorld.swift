internal import Foundation
internal import Platform
internal import TestSupport
internal import Testing

/// A private world for one test: a bucket, and a machine with mounts of it; more machines where a test asks for them.
package final class MountWorld: Machine {
    private var others: [Machine] = []
    private let isOver = Guarded(false)

    /// Runs a test's body in a fresh world and takes the world down afterwards, whatever the body left mounted.
    /// - Parameters:
    ///   - contents: how the bucket begins.
    ///   - proxied: a ``FaultProxy`` stands between the product and the server.
    ///   - seconds: how long the body may take before its daemons are killed.
    package static func with(
        _ kind: StoreKind = .directory, _ contents: Bucket.Contents = .empty, proxied: Bool = false,
        seconds: Int = 180, _ body: (MountWorld) throws -> Void
    ) throws {
        let root = Scratch.path("mount")
        try Files.makePrivateDirectory(root)
        let world = try MountWorld(
            root: root, bucket: Bucket(kind, directory: root + "/bucket", proxied: proxied, contents),
            daemons: Guarded([:]))
        defer { world.end() }
        world.watch(seconds)
        try body(world)
    }

    /// A machine by its number, from 0: the world itself is the first.
    package func machine(_ number: Int) throws -> Machine {
        if number == 0 { return self }
        while others.count < number {
            let other = try Machine(root: root + "/machine\(others.count + 1)", bucket: bucket, daemons: daemons)
            (other.extra, other.options) = (extra, options)
            others.append(other)
        }
        return others[number - 1]
    }

    /// A file that holds the FastShot key of the fixture, for `--key-file`.
    package func keyFile() throws -> String {
        let path = root + "/fastshot.key"
        if !Files.exists(path) { try Files.replace(path, with: Array((Fixture.key + "\n").utf8)) }
        return path
    }

    /// A test that reads from a mount hangs when the daemon does. Then the daemon is killed, and the kernel fails
    /// whatever waits for it.
    private func watch(_ seconds: Int) {
        WorkerThread(name: "watch") { [daemons, isOver] in
            var stuck: Set<Int32> = []
            for round in 1...(5 * seconds) {
                usleep(200_000)
                if isOver.withLock({ $0 }) { return }
                if round % 50 == 0 { stuck = MountWorld.release(daemons.withLock { $0 }, before: stuck) }
            }
            for daemon in daemons.withLock({ $0 }).keys { kill(daemon, SIGKILL) }
        }.detach()
    }

    /// A daemon that is killed while it tells the kernel of a change of a directory, and a program that changes this
    /// directory at that moment, wait for each other for ever (docs/semantics.md, 37). Where the program is the test
    /// itself, only another thread can end that.
    /// - Returns: those that have died and not ended; if they were so `before`, their connections are aborted.
    private static func release(_ daemons: [Int32: String], before: Set<Int32>) -> Set<Int32> {
        let forced: Int32 = 1
        let stuck = daemons.keys.filter { Posix.hasEnded($0) && Posix.hasThreadInKernel($0) }
        for daemon in stuck where before.contains(daemon) {
            // Not the mount of one that came after it.
            let isLast = daemons.allSatisfy { $0.value != daemons[daemon] || Posix.hasEnded($0.key) }
            if isLast, let mount = daemons[daemon] { umount2(mount, forced) }
        }
        return Set(stuck)
    }

    private func end() {
        isOver.withLock { $0 = true }
        for other in others { other.close() }
        close()
        for daemon in daemons.withLock({ $0 }).keys where !hasEnded(daemon) {
            Issue.record("the daemon \(daemon) does not end\n\(log)")
            kill(daemon, SIGKILL)
        }
        do { try Files.removeTree(root) } catch { Issue.record("left behind: \(error)") }
    }

    private func hasEnded(_ pid: Int32) -> Bool {
        for _ in 0..<1500 {
            if Posix.hasEnded(pid) { return true }
            usleep(20_000)
        }
        return false
    }
}
