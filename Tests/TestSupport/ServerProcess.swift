import Foundation
internal import Platform

/// A child process that talks in lines and ends with its standard input, however this process ends.
///
/// Its standard input and output are one end of a socket pair, whose other end is close-on-exec: no other child keeps
/// it open.
package final class ServerProcess: Sendable {
    private struct State {
        let process: Process
        var isStopped = false
        var pending: [UInt8] = []
    }

    private let socket: FileDescriptor
    private let name: String
    private let state: Guarded<State>

    /// Starts a program.
    /// - Parameter environment: variables beside those of this process.
    package init(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw SystemError.current("socketpair") }
        socket = FileDescriptor(owning: ends[0])
        let other = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = other
        process.standardOutput = other
        try process.run()
        try other.close()
        name = arguments.first.map { URL(filePath: $0).lastPathComponent } ?? program
        state = Guarded(State(process: process))
    }

    deinit { stop() }

    /// Sends a line and takes the answer, one caller at a time.
    package func ask(_ line: String, seconds: Double = 30) throws -> String {
        try state.withLock { state in
            let bytes = Array((line + "\n").utf8)
            guard send(socket.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
                throw SystemError.current("send", name)
            }
            return try Self.line(socket, &state.pending, name, seconds)
        }
    }

    /// The next line of its output.
    package func line(seconds: Double) throws -> String {
        try state.withLock { state in try Self.line(socket, &state.pending, name, seconds) }
    }

    /// Closes its input and waits for its end.
    package func stop() {
        let process = state.withLock { state -> Process in
            if !state.isStopped { shutdown(socket.raw, Int32(SHUT_WR)) }
            state.isStopped = true
            return state.process
        }
        process.waitUntilExit()
    }

    private static func line(
        _ socket: FileDescriptor, _ pending: inout [UInt8], _ name: String, _ seconds: Double
    ) throws -> String {
        let end = Timestamp.monotonic.nanoseconds + Int64(seconds * 1e9)
        while true {
            if let newline = pending.firstIndex(of: UInt8(ascii: "\n")) {
                defer { pending.removeFirst(newline + 1) }
                return String(decoding: pending[..<newline], as: UTF8.self)
            }
            let left = (end - Timestamp.monotonic.nanoseconds) / 1_000_000
            var entry = pollfd(fd: socket.raw, events: Int16(POLLIN), revents: 0)
            guard left > 0, poll(&entry, 1, Int32(left)) > 0 else {
                throw TestSupportError("\(name) did not answer within \(seconds) s")
            }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = read(socket.raw, &buffer, buffer.count)
            guard count > 0 else { throw TestSupportError("\(name) has ended; its reason is above, on standard error") }
            pending += buffer[..<count]
        }
    }
}

/// The test environment itself is not as it must be.
public struct TestSupportError: Error, CustomStringConvertible {
    /// What is wrong, and what to do.
    public let description: String
    init(_ description: String) { self.description = description }
}

/// The Python that test servers and independent clients run on.
public enum TestPython {
    /// The interpreter of the tests' virtual environment: `SESSIONFS_TEST_PYTHON`, else the one that
    /// `mount-helpers/test` has made.
    public static func interpreter() throws -> String {
        if let path = Environment.value("SESSIONFS_TEST_PYTHON") {
            guard access(path, X_OK) == 0 else {
                throw TestSupportError("SESSIONFS_TEST_PYTHON names \(path), which cannot be run")
            }
            return path
        }
        let path = package + "/.build/test-venv/bin/python"
        guard access(path, X_OK) == 0 else {
            throw TestSupportError(
                "no Python for the test servers: run mount-helpers/test once, or set SESSIONFS_TEST_PYTHON")
        }
        return path
    }

    /// Runs a script given as text, such as one that uses boto3, and returns what it prints.
    /// - Throws: what it says on standard error when its exit status is not 0.
    public static func run(
        _ script: String, _ arguments: [String] = [], environment: [String: String] = [:]
    ) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: try interpreter())
        process.arguments = ["-c", script] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        let directory = try TemporaryDirectory()
        // Files and not pipes: nothing has to be drained, and nobody can keep them open.
        try directory.write("out", [])
        try directory.write("err", [])
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: directory.path("out"))
        process.standardError = FileHandle(forWritingAtPath: directory.path("err"))
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let reason = String(decoding: try directory.read("err"), as: UTF8.self)
            throw TestSupportError("script failed with status \(process.terminationStatus):\n\(reason)")
        }
        return String(decoding: try directory.read("out"), as: UTF8.self)
    }

    /// The package's root directory.
    public static let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path()

    static func server(_ name: String) -> String { package + "/Tests/Servers/" + name }
}
