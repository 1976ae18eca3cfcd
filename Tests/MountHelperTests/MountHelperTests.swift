import Foundation
import TestSupport
import Testing

/// The helper that mount(8) calls, with a program beside it that prints its arguments, one a line, instead of mounting.
@Suite(.timeLimit(.minutes(1))) struct MountHelperTests {
    let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
        let helper = try String(contentsOfFile: TestPython.package + "/mount-helpers/mount.sessionfs", encoding: .utf8)
        try install("mount.sessionfs", helper)
        try install("sessionfs", "#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit ${STUB_STATUS:-0}\n")
    }

    private func install(_ name: String, _ text: String) throws {
        try directory.write(name, Array(text.utf8))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory.path(name))
    }

    private func run(_ arguments: [String], status: Int = 0) throws -> (status: Int32, lines: [String]) {
        let process = Process()
        process.executableURL = URL(filePath: directory.path("mount.sessionfs"))
        process.arguments = arguments
        process.environment = ["STUB_STATUS": "\(status)", "PATH": "/usr/bin:/bin"]
        try directory.write("out", [])
        process.standardOutput = FileHandle(forWritingAtPath: directory.path("out"))
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        let text = String(decoding: try directory.read("out"), as: UTF8.self)
        return (process.terminationStatus, text.split(separator: "\n").map(String.init))
    }

    @Test(arguments: [
        (["s3://b/p", "/m"], ["mount", "--", "s3://b/p", "/m"]),
        (["s3://b", "/m", "-o", "ro,_netdev"], ["mount", "-o", "ro,_netdev", "--", "s3://b", "/m"]),
        (["s3://b", "/m dir", "-n", "-s", "-o", "ro"], ["mount", "-o", "ro", "--", "s3://b", "/m dir"]),
        (["s3://b", "/m", "-sn", "-o", "a=b c"], ["mount", "-o", "a=b c", "--", "s3://b", "/m"]),
        (
            ["-t", "sessionfs", "-o", "ro", "s3://b", "/m", "-o", "dev"],
            ["mount", "-o", "ro,dev", "--", "s3://b", "/m"]
        ),
        (["-r", "x", "/m"], ["mount", "-o", "ro", "--", "x", "/m"]),
        (["-oro", "--", "-x", "/m"], ["mount", "-o", "ro", "--", "-x", "/m"]),
    ])
    func passesOn(_ arguments: [String], _ wanted: [String]) throws {
        let result = try run(arguments)
        #expect(result.status == 0)
        #expect(result.lines == wanted)
    }

    @Test(arguments: [[], ["s3://b"], ["s3://b", "/m", "/n"], ["s3://b", "/m", "-q"], ["s3://b", "/m", "-o"]])
    func refusesWrongCalls(_ arguments: [String]) throws {
        let result = try run(arguments)
        #expect(result.status == 1)
        #expect(result.lines.isEmpty)
    }

    @Test(arguments: [(0, 0), (1, 32), (2, 1), (4, 32), (5, 1)])
    func translatesExitStatuses(_ own: Int, _ wanted: Int32) throws {
        #expect(try run(["s3://b", "/m"], status: own).status == wanted)
    }

    @Test func fakingMountsNothing() throws {
        let result = try run(["s3://b", "/m", "-f", "-v"])
        #expect(result.status == 0)
        #expect(result.lines.isEmpty)
    }
}
