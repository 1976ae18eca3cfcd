internal import Foundation
internal import Platform
package import Testing

/// How a program ended and what it printed.
package struct CommandResult {
    /// The exit code, or 128 plus the signal that killed it.
    package var status: Int32
    package var output: String
    package var errors: String
}

/// A running program with a bound on its life. Its output goes to files: nothing has to be drained, and a daemon that
/// it leaves behind keeps nothing open.
package final class Child {
    package let pid: Int32
    private let scratch: String
    private var ended: Int32?

    /// - Parameters:
    ///   - program: a path, or a name that is looked up in `PATH`.
    ///   - environment: the whole environment; nil passes this process's on.
    ///   - directory: where it runs; nil is this process's.
    package init(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil, directory: String? = nil
    ) throws {
        scratch = Scratch.path("child")
        try Files.makePrivateDirectory(scratch)
        let output = try FileDescriptor.open(scratch + "/out", [.write, .create, .append])
        let errors = try FileDescriptor.open(scratch + "/err", [.write, .create, .append])
        let null = try FileDescriptor.open("/dev/null")
        var options = Subprocess.Options()
        options.newSession = true
        options.descriptors = [(0, null.raw), (1, output.raw), (2, errors.raw)]
        var words = ["env"]
        if let directory { words += ["-C", directory] }
        if let environment { words += ["-i"] + environment.map { "\($0)=\($1)" } }
        pid = try Subprocess.spawn("env", words + [program] + arguments, options)
    }

    deinit {
        if ended == nil {
            kill(SIGKILL)
            _ = try? Subprocess.wait(pid)
        }
        try? Files.removeTree(scratch)
    }

    /// Whether it has not ended yet.
    package var isRunning: Bool {
        if ended != nil { return false }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return true }
        ended = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
        return false
    }

    /// Sends a signal to the program and what it started.
    package func kill(_ signal: Int32) { Glibc.kill(-pid, signal) }

    /// What it has printed so far.
    package var output: String { text("out") }
    package var errors: String { text("err") }

    private func text(_ name: String) -> String {
        String(decoding: (try? Files.read(scratch + "/" + name, limit: 1 << 30)) ?? [], as: UTF8.self)
    }

    /// Waits for its end. When that does not come it is killed, and the test fails.
    @discardableResult
    package func wait(seconds: Double = 60, _ location: SourceLocation = #_sourceLocation) -> CommandResult {
        let began = Timestamp.monotonic
        while isRunning {
            if Timestamp.monotonic.seconds(since: began) > seconds {
                Issue.record("still running after \(seconds) s: \(output)\(errors)", sourceLocation: location)
                kill(SIGKILL)
                ended = (try? Subprocess.wait(pid)) ?? -1
                break
            }
            usleep(2000)
        }
        return CommandResult(status: ended ?? -1, output: output, errors: errors)
    }
}

/// Programs beside ours.
package enum Shell {
    /// Runs a program to its end.
    @discardableResult
    package static func run(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil, directory: String? = nil,
        seconds: Double = 60, _ location: SourceLocation = #_sourceLocation
    ) -> CommandResult {
        do {
            return try Child(program, arguments, environment: environment, directory: directory)
                .wait(seconds: seconds, location)
        } catch {
            return CommandResult(status: 127, output: "", errors: "\(error)")
        }
    }

    /// Runs a Python script and returns what it prints; fails the test when the script fails.
    package static func python(
        _ script: String, _ arguments: [String] = [], seconds: Double = 60,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> String {
        let result = run("python3", ["-c", script] + arguments, seconds: seconds, location)
        try #require(result.status == 0, "\(result.errors)", sourceLocation: location)
        return result.output
    }
}

/// Names for what a test makes, where this run keeps its temporary files.
package enum Scratch {
    private static let parent = Files.resolve(Environment.value("TMPDIR") ?? "/tmp") ?? "/tmp"

    /// A fresh path; short, for sockets lie below it.
    package static func path(_ what: String) -> String {
        parent + "/sfs-\(what)-" + String(UInt64.random(in: .min ... .max), radix: 36)
    }
}
