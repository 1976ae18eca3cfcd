import Foundation
import Platform
import TestSupport
import Testing

/// A private world for one test: a bucket, and home, cache, state and runtime directories of its own, with mounts in
/// them.
final class MountWorld {
    let root: String
    let bucket: Bucket
    /// Variables beside the usual ones, for every command.
    var extra: [String: String] = [:]
    private let daemons = Guarded<Set<Int32>>([])
    private let isOver = Guarded(false)

    /// Runs a test's body in a fresh world and takes the world down afterwards, whatever the body left mounted.
    /// - Parameters:
    ///   - contents: how the bucket begins.
    ///   - proxied: a ``FaultProxy`` stands between the product and the server.
    static func with(
        _ kind: StoreKind = .directory, _ contents: Bucket.Contents = .empty, proxied: Bool = false,
        _ body: (MountWorld) throws -> Void
    ) throws {
        let world = try MountWorld(kind, contents, proxied)
        defer { world.close() }
        world.watch()
        try body(world)
    }

    /// A test that reads from a mount hangs when the daemon does. Then the daemon is killed, and the kernel fails
    /// whatever waits for it.
    private func watch() {
        WorkerThread(name: "watch") { [daemons, isOver] in
            for _ in 0..<900 {
                usleep(200_000)
                if isOver.withLock({ $0 }) { return }
            }
            for daemon in daemons.withLock({ $0 }) { kill(daemon, SIGKILL) }
        }.detach()
    }

    private init(_ kind: StoreKind, _ contents: Bucket.Contents, _ proxied: Bool) throws {
        root = Scratch.path("mount")
        for name in ["", "/home", "/cache", "/state", "/run", "/mnt"] { try Files.makePrivateDirectory(root + name) }
        bucket = try Bucket(kind, directory: root + "/bucket", proxied: proxied, contents)
    }

    /// Where the first mount goes.
    var point: String { root + "/mnt" }

    /// The built program, beside the test bundle.
    static let program: String = {
        for argument in CommandLine.arguments + [Files.resolve("/proc/self/exe") ?? ""] {
            var directory = Files.parentDirectory(argument)
            for _ in 0..<4 {
                if Files.exists(directory + "/sessionfs"), !Files.isDirectory(directory + "/sessionfs") {
                    return directory + "/sessionfs"
                }
                directory = Files.parentDirectory(directory)
            }
        }
        return Environment.value("SESSIONFS_PROGRAM") ?? "sessionfs"
    }()

    /// The zone of every program here: naive times of sessions are times of this zone.
    static let zone = "Asia/Kathmandu"

    var environment: [String: String] {
        var variables = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
            "HOME": root + "/home", "XDG_CACHE_HOME": root + "/cache", "XDG_STATE_HOME": root + "/state",
            "XDG_RUNTIME_DIR": root + "/run", "XDG_CONFIG_HOME": root + "/home/.config", "TZ": MountWorld.zone,
            "LC_ALL": "C.UTF-8", "SWIFT_BACKTRACE": "enable=no",
        ]
        variables.merge(bucket.environment) { $1 }
        return variables.merging(extra) { $1 }
    }

    // MARK: Commands

    /// Runs the program to its end.
    @discardableResult
    func run(_ arguments: [String], seconds: Double = 60, _ location: SourceLocation = #_sourceLocation)
        -> CommandResult
    {
        Shell.run(MountWorld.program, arguments, environment: environment, seconds: seconds, location)
    }

    /// Starts the program.
    func start(_ arguments: [String]) throws -> Child {
        try Child(MountWorld.program, arguments, environment: environment)
    }

    /// Runs the program with `--json`.
    func json(_ arguments: [String], _ location: SourceLocation = #_sourceLocation) throws -> [String: Any] {
        let result = run(arguments + ["--json"], location)
        try #require(result.status == 0, "\(arguments): \(result.errors)", sourceLocation: location)
        return try #require(
            JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any],
            "\(arguments): no JSON: \(result.output)", sourceLocation: location)
    }

    /// Mounts the bucket, and fails the test when that does not work.
    /// - Parameter learnt: wait until the catalog holds the bucket and every index was asked for.
    func mount(
        at directory: String? = nil, _ options: [String] = [], learnt: Bool = true,
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let target = directory ?? point
        try Files.makeDirectories(target)
        let result = run(["mount"] + options + [bucket.url, target], location)
        try #require(result.status == 0, "mount: \(result.errors)\(log)", sourceLocation: location)
        let daemon = try daemon(target)
        daemons.withLock { _ = $0.insert(daemon) }
        if learnt {
            let refreshed = run(["refresh", target], location)
            try #require(refreshed.status == 0, "refresh: \(refreshed.errors)\(log)", sourceLocation: location)
        }
    }

    /// Unmounts with the program's own command, and fails the test when that does not work.
    func unmount(_ directory: String? = nil, _ options: [String] = [], _ location: SourceLocation = #_sourceLocation)
        throws
    {
        let result = run(["unmount"] + options + [directory ?? point], location)
        try #require(result.status == 0, "unmount: \(result.errors)\(log)", sourceLocation: location)
    }

    /// `sessionfs status --json`.
    func status(_ directory: String? = nil) throws -> Status { Status(try json(["status", directory ?? point])) }

    /// How many mounts `sessionfs status` knows.
    func mountCount() throws -> Int { try #require(json(["status"])["mounts"] as? [Any]).count }

    /// The daemon's process.
    func daemon(_ directory: String? = nil) throws -> Int32 { Int32(try status(directory).number("pid")) }

    /// Looks at the bucket now.
    func refresh(_ directory: String? = nil, _ location: SourceLocation = #_sourceLocation) throws {
        let result = run(["refresh", directory ?? point], location)
        try #require(result.status == 0, "refresh: \(result.errors)", sourceLocation: location)
    }

    /// Names of `sessions/`, as the kernel lists them, sorted.
    func sessions(_ directory: String? = nil) throws -> [String] {
        try Files.names(in: (directory ?? point) + "/sessions").sorted()
    }

    /// The path of a session's body in the mount.
    func body(_ name: String) -> String { point + "/sessions/" + name }

    /// Whether something of ours is mounted there.
    func isMounted(_ directory: String? = nil) -> Bool { MountTable.entry(at: directory ?? point) != nil }

    /// What the daemons of this world logged.
    var log: String {
        guard let walker = FileManager.default.enumerator(atPath: root + "/state") else { return "" }
        return walker.compactMap { $0 as? String }.filter { $0.hasSuffix("daemon.log") }
            .compactMap { try? String(contentsOfFile: root + "/state/" + $0, encoding: .utf8) }.joined(separator: "\n")
    }

    /// The cache directory of the bucket's only store.
    func cacheDirectory() throws -> String {
        let names = try Files.names(in: root + "/cache/sessionfs")
        return root + "/cache/sessionfs/" + (try #require(names.first))
    }

    /// Waits until something holds; the bound is only there to end a broken run.
    func eventually(
        _ what: String, seconds: Double = 60, _ location: SourceLocation = #_sourceLocation,
        _ condition: () throws -> Bool
    ) throws {
        let began = Timestamp.monotonic
        while try !condition() {
            guard Timestamp.monotonic.seconds(since: began) < seconds else {
                Issue.record("not within \(seconds) s: \(what)\n\(log)", sourceLocation: location)
                return
            }
            usleep(20_000)
        }
    }

    /// Waits until a daemon has ended.
    func eventuallyGone(_ pid: Int32, _ location: SourceLocation = #_sourceLocation) throws {
        try eventually("process \(pid) ends", seconds: 60, location) { Posix.hasEnded(pid) }
    }

    // MARK: End

    private func close() {
        isOver.withLock { $0 = true }
        for entry in mounts() { _ = run(["unmount", "--keep-cache", entry]) }
        for entry in mounts() {
            Issue.record("cannot be unmounted: \(entry)\n\(log)")
            try? MountTable.unmount(entry, lazily: true)
        }
        for daemon in daemons.withLock({ $0 }) where !hasEnded(daemon) {
            Issue.record("the daemon \(daemon) does not end\n\(log)")
            kill(daemon, SIGKILL)
        }
        do { try Files.removeTree(root) } catch { Issue.record("left behind: \(error)") }
    }

    private func mounts() -> [String] {
        ((try? MountTable.entries()) ?? []).map(\.mountpoint).filter { $0.hasPrefix(root + "/") }.reversed()
    }

    private func hasEnded(_ pid: Int32) -> Bool {
        for _ in 0..<1500 {
            if Posix.hasEnded(pid) { return true }
            usleep(20_000)
        }
        return false
    }
}

/// `sessionfs status --json`, by dotted paths.
struct Status {
    let fields: [String: Any]

    init(_ fields: [String: Any]) { self.fields = fields }

    func value(_ path: String) -> Any? {
        path.split(separator: ".").reduce(fields as Any?) { ($0 as? [String: Any])?[String($1)] }
    }

    func number(_ path: String) throws -> Int { try #require(value(path) as? Int, "\(path) in \(fields)") }

    /// Requests made to the store so far.
    func requests() throws -> Int { try number("freshness.requests") }
}
