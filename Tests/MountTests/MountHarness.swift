import Foundation
import Platform
import TestSupport
import Testing

/// The program under test and what it printed.
struct CommandResult {
    var status: Int32
    var output: String
    var errors: String
}

/// A private world for one test: home, cache, state and runtime directories of its own, and mounts in them. What is
/// still mounted when it goes is unmounted, and the test fails for it.
final class MountWorld {
    let root: String
    private var extra: [String: String]

    init(environment: [String: String] = [:]) throws {
        root = FileManager.default.temporaryDirectory.path + "/sessionfs-mount-\(UUID().uuidString.prefix(8))"
        extra = environment
        for name in ["home", "cache", "state", "run", "mnt"] { try Files.makeDirectories(root + "/" + name) }
    }

    deinit {
        for entry in (try? MountTable.entries()) ?? [] where entry.mountpoint.hasPrefix(root + "/") {
            Issue.record("still mounted: \(entry.mountpoint)")
            _ = run(["unmount", entry.mountpoint])
            try? MountTable.unmount(entry.mountpoint, lazily: true)
        }
        try? Files.removeTree(root)
    }

    /// Where the first mount goes.
    var point: String { root + "/mnt" }

    /// The built program, beside the test bundle.
    static let program: String = {
        let own = Files.resolve("/proc/self/exe") ?? ""
        for argument in CommandLine.arguments + [own] {
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

    var environment: [String: String] {
        var variables = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("AWS_") }
        variables["HOME"] = root + "/home"
        variables["XDG_CACHE_HOME"] = root + "/cache"
        variables["XDG_STATE_HOME"] = root + "/state"
        variables["XDG_RUNTIME_DIR"] = root + "/run"
        variables["XDG_CONFIG_HOME"] = root + "/home/.config"
        variables["SWIFT_BACKTRACE"] = "enable=no"
        return variables.merging(extra) { $1 }
    }

    /// Runs the program to its end.
    @discardableResult
    func run(_ arguments: [String], input: String? = nil) -> CommandResult {
        Shell.run(MountWorld.program, arguments, environment: environment)
    }

    /// Mounts, and fails the test when that does not work.
    func mount(_ store: String, at directory: String? = nil, _ options: [String] = []) throws {
        let target = directory ?? point
        try Files.makeDirectories(target)
        let result = run(["mount"] + options + [store, target])
        try #require(result.status == 0, "mount: \(result.errors)\(log)")
    }

    /// Unmounts with the program's own command.
    @discardableResult
    func unmount(_ directory: String? = nil, _ options: [String] = []) -> CommandResult {
        run(["unmount"] + options + [directory ?? point])
    }

    /// What the daemons of this world logged.
    var log: String {
        guard let walker = FileManager.default.enumerator(atPath: root + "/state") else { return "" }
        return walker.compactMap { $0 as? String }.filter { $0.hasSuffix("daemon.log") }
            .compactMap { try? String(contentsOfFile: root + "/state/" + $0, encoding: .utf8) }.joined(separator: "\n")
    }

    /// The daemon's process, as `status` tells.
    func daemon(_ directory: String? = nil) throws -> Int32 {
        let status = try status(directory)
        return try #require(status["pid"] as? Int).int32
    }

    /// `sessionfs status --json`.
    func status(_ directory: String? = nil) throws -> [String: Any] {
        let result = run(["status", "--json", directory ?? point])
        try #require(result.status == 0, "status: \(result.errors)")
        return try #require(JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    }

    /// Names of `sessions/`.
    func sessions(_ directory: String? = nil) throws -> [String] {
        try Files.names(in: (directory ?? point) + "/sessions").sorted()
    }

    /// Waits until something holds; the bound is only there to end a broken run.
    func eventually(_ what: String, seconds: Double = 60, _ condition: () throws -> Bool) async throws {
        let began = Timestamp.monotonic
        while Timestamp.monotonic.seconds(since: began) < seconds {
            if try condition() { return }
            try await Task.sleep(nanoseconds: 20_000_000)
        }
        Issue.record("not within \(seconds) s: \(what)\n\(log)")
    }
}

extension Int {
    var int32: Int32 { Int32(self) }
}

/// Programs beside ours.
enum Shell {
    @discardableResult
    static func run(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil
    ) -> CommandResult {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program.hasPrefix("/") ? program : "/usr/bin/env")
        process.arguments = program.hasPrefix("/") ? arguments : [program] + arguments
        if let environment { process.environment = environment }
        let output = Foundation.Pipe()
        let errors = Foundation.Pipe()
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch { return CommandResult(status: 127, output: "", errors: "\(error)") }
        let collected = Guarded(Data())
        let done = Semaphore()
        WorkerThread(name: "stderr") {
            let data = errors.fileHandleForReading.readDataToEndOfFile()
            collected.withLock { $0 = data }
            done.signal()
        }.detach()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        done.wait()
        process.waitUntilExit()
        let reason = process.terminationReason == .uncaughtSignal
        return CommandResult(
            status: reason ? 128 + process.terminationStatus : process.terminationStatus,
            output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: collected.withLock { $0 }, as: UTF8.self))
    }
}

/// The bucket that a FastShot client wrote.
enum Fixture {
    static let key = "demo-key-7391"
    static let directory: String = {
        Files.parentDirectory(Files.parentDirectory(#filePath)) + "/Fixtures/fastshot-37"
    }()
    static let bucket = directory + "/bucket"

    /// A copy that a test may change.
    static func copy(to target: String) throws {
        try FileManager.default.copyItem(atPath: bucket, toPath: target)
        Shell.run("chmod", ["-R", "u+w", target])
    }

    /// File names of all sessions.
    static func names() throws -> [String] { try Files.names(in: bucket + "/sessions").sorted() }
}
