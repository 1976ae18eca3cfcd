import Foundation
import JSON
import Platform

@testable import Control

/// A short private directory that goes with the test.
final class Scratch: Sendable {
    let path: String
    var socket: String { path + "/run/control.sock" }

    init() throws {
        path = "/tmp/sfs-control-\(UInt32.random(in: .min ... .max))"
        try Files.makePrivateDirectory(path)
    }

    deinit { try? Files.removeTree(path) }
}

/// Opens once; any number may wait for it.
final class Gate: Sendable {
    private struct State {
        var open = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Guarded(State())

    func open() {
        let waiting = state.withLock { state in
            state.open = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let open = state.withLock { state in
                if !state.open { state.waiting.append(continuation) }
                return state.open
            }
            if open { continuation.resume() }
        }
    }
}

/// Runs a blocking call on a thread of its own, so that tasks are not starved by it.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}

/// Runs a program and returns its exit status and standard output.
func run(_ program: String, _ arguments: [String]) async throws -> (status: Int32, output: String) {
    try await onThread {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
    }
}
