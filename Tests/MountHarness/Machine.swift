internal import Foundation
internal import Platform
internal import TestSupport
package import Testing

/// A computer of its own: home, cache, state and runtime directories, and mounts of the world's bucket.
package class Machine {
    package let root: String
    package let bucket: Bucket
    /// Variables beside the usual ones, for every command.
    package var extra: [String: String] = [:]
    /// Options of every `mount` of this machine, before those that a test gives.
    package var options: [String] = []
    /// Where each daemon's mount is.
    let daemons: Guarded<[Int32: String]>

    init(root: String, bucket: Bucket, daemons: Guarded<[Int32: String]>) throws {
        (self.root, self.bucket, self.daemons) = (root, bucket, daemons)
        for name in ["", "/home", "/cache", "/state", "/run", "/mnt"] { try Files.makePrivateDirectory(root + name) }
    }

    /// Where the first mount goes.
    package var point: String { root + "/mnt" }

    /// The built program, beside the test bundle.
    package static let program: String = {
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
    package static let zone = "Asia/Kathmandu"

    package var environment: [String: String] {
        var variables = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
            "HOME": root + "/home", "XDG_CACHE_HOME": root + "/cache", "XDG_STATE_HOME": root + "/state",
            "XDG_RUNTIME_DIR": root + "/run", "XDG_CONFIG_HOME": root + "/home/.config", "TZ": Machine.zone,
            "LC_ALL": "C.UTF-8", "SWIFT_BACKTRACE": "enable=no",
        ]
        variables.merge(bucket.environment) { $1 }
        return variables.merging(extra) { $1 }
    }

    // MARK: Commands

    /// Runs the program to its end.
    @discardableResult
    package func run(
        _ arguments: [String], seconds: Double = 60, environment: [String: String] = [:],
        _ location: SourceLocation = #_sourceLocation
    ) -> CommandResult {
        Shell.run(
            Machine.program, arguments, environment: self.environment.merging(environment) { $1 }, seconds: seconds,
            location)
    }

    /// Starts the program.
    package func start(_ arguments: [String]) throws -> Child {
        try Child(Machine.program, arguments, environment: environment)
    }

    /// Runs the program with `--json`.
    package func json(_ arguments: [String], _ location: SourceLocation = #_sourceLocation) throws -> [String: Any] {
        let result = run(arguments + ["--json"], location)
        try #require(result.status == 0, "\(arguments): \(result.errors)", sourceLocation: location)
        return try #require(
            JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any],
            "\(arguments): no JSON: \(result.output)", sourceLocation: location)
    }

    /// Mounts the bucket, and fails the test when that does not work.
    /// - Parameters:
    ///   - learnt: wait until the catalog holds the bucket and every index was asked for.
    ///   - environment: variables of this mount's daemon alone.
    package func mount(
        at directory: String? = nil, _ options: [String] = [], learnt: Bool = true,
        environment: [String: String] = [:], _ location: SourceLocation = #_sourceLocation
    ) throws {
        let target = directory ?? point
        let result = try tryMount(at: directory, options, environment: environment, location)
        try #require(result.status == 0, "mount: \(result.errors)\(log)", sourceLocation: location)
        if learnt {
            let refreshed = run(["refresh", target], location)
            try #require(refreshed.status == 0, "refresh: \(refreshed.errors)\(log)", sourceLocation: location)
        }
    }

    /// Mounts the bucket, or not, as it comes.
    package func tryMount(
        at directory: String? = nil, _ options: [String] = [], environment: [String: String] = [:],
        _ location: SourceLocation = #_sourceLocation
    ) throws -> CommandResult {
        let target = directory ?? point
        // The mount of a killed daemon does not say that it is a directory.
        if !isMounted(target) { try Files.makeDirectories(target) }
        let result = run(
            ["mount"] + self.options + options + [bucket.url, target], environment: environment, location)
        // A daemon that is told to die may be dead by now.
        let status = run(["status", "--json", target], location)
        let fields = try? JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [String: Any]
        if result.status == 0, status.status == 0, let pid = fields?["pid"] as? Int {
            daemons.withLock { $0[Int32(pid)] = target }
        }
        return result
    }

    /// Unmounts with the program's own command, and fails the test when that does not work.
    package func unmount(
        _ directory: String? = nil, _ options: [String] = [], _ location: SourceLocation = #_sourceLocation
    ) throws {
        let result = run(["unmount"] + options + [directory ?? point], location)
        try #require(result.status == 0, "unmount: \(result.errors)\(log)", sourceLocation: location)
    }

    /// `sessionfs status --json`.
    package func status(_ directory: String? = nil) throws -> Status {
        Status(try json(["status", directory ?? point]))
    }

    /// How many mounts `sessionfs status` knows.
    package func mountCount() throws -> Int { try #require(json(["status"])["mounts"] as? [Any]).count }

    /// The daemon's process.
    package func daemon(_ directory: String? = nil) throws -> Int32 { Int32(try status(directory).number("pid")) }

    /// Looks at the bucket now.
    package func refresh(_ directory: String? = nil, _ location: SourceLocation = #_sourceLocation) throws {
        let result = run(["refresh", directory ?? point], location)
        try #require(result.status == 0, "refresh: \(result.errors)", sourceLocation: location)
    }

    /// Names of `sessions/`, as the kernel lists them, sorted.
    package func sessions(_ directory: String? = nil) throws -> [String] {
        try Files.names(in: (directory ?? point) + "/sessions").sorted()
    }

    /// The path of a session's body in the mount.
    package func body(_ name: String) -> String { point + "/sessions/" + name }

    /// Whether something of ours is mounted there.
    package func isMounted(_ directory: String? = nil) -> Bool { MountTable.entry(at: directory ?? point) != nil }

    /// What the daemons of this machine logged.
    package var log: String {
        guard let walker = FileManager.default.enumerator(atPath: root + "/state") else { return "" }
        return walker.compactMap { $0 as? String }.filter { $0.hasSuffix("daemon.log") }
            .compactMap { try? String(contentsOfFile: root + "/state/" + $0, encoding: .utf8) }.joined(separator: "\n")
    }

    /// The cache directory of the bucket's only store.
    package func cacheDirectory() throws -> String {
        let names = try Files.names(in: root + "/cache/sessionfs")
        return root + "/cache/sessionfs/" + (try #require(names.first))
    }

    /// Waits until something holds; the bound is only there to end a broken run.
    package func eventually(
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
    package func eventuallyGone(_ pid: Int32, _ location: SourceLocation = #_sourceLocation) throws {
        try eventually("process \(pid) ends", seconds: 60, location) { Posix.hasEnded(pid) }
    }

    /// Kills the daemon of the first mount without warning, and waits for its end. The mount stays behind, stale.
    package func killDaemon(_ location: SourceLocation = #_sourceLocation) throws {
        let daemon = try daemon()
        kill(daemon, SIGKILL)
        try eventuallyGone(daemon, location)
    }

    // MARK: End

    /// Unmounts whatever is mounted here.
    func close() {
        for entry in mounts() { _ = run(["unmount", "--keep-cache", entry]) }
        for entry in mounts() {
            Issue.record("cannot be unmounted: \(entry)\n\(log)")
            try? MountTable.unmount(entry, lazily: true)
        }
    }

    private func mounts() -> [String] {
        ((try? MountTable.entries()) ?? []).map(\.mountpoint).filter { $0.hasPrefix(root + "/") }.reversed()
    }
}
