import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

/// Another process in the middle of a change: it holds the store's lock.
@Suite(.timeLimit(.minutes(2))) struct DirectoryLockTests {
    let directory: TemporaryDirectory
    let store: LocalDirectoryStore

    init() throws {
        directory = try TemporaryDirectory()
        store = LocalDirectoryStore(directory: directory.path)
    }

    /// Starts a process that holds the lock until it is killed.
    private func holdLock() throws -> Process {
        let holder = Process()
        let output = Pipe()
        holder.executableURL = URL(filePath: "/usr/bin/flock")
        holder.arguments = ["--no-fork", directory.path(".sessionfs-lock"), "sh", "-c", "echo held; exec sleep 100"]
        holder.standardOutput = output
        try holder.run()
        #expect(output.fileHandleForReading.availableData == Data("held\n".utf8))
        return holder
    }

    private func release(_ holder: Process) {
        kill(holder.processIdentifier, SIGKILL)
        holder.waitUntilExit()
    }

    /// Waits until a writer has its temporary file complete, so that only the lock keeps it.
    private func awaitWriter(_ size: UInt64) async throws {
        while true {
            for name in try Files.names(in: directory.path) where name.hasPrefix(".sessionfs-tmp-") {
                if try Files.status(directory.path(name))?.size == size { return }
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func changesWaitForOtherProcesses() async throws {
        let first = try await store.put("x", .bytes([1]), .always)
        let holder = try holdLock()
        defer { if holder.isRunning { release(holder) } }
        let tag = try #require(first.etag)
        let write = Task { [store] in try await store.put("x", .bytes([2, 2]), .ifMatch(tag)) }
        try await awaitWriter(2)
        // What the other process does under its lock.
        try Files.replace(directory.path("x"), with: [3, 3, 3])
        release(holder)
        let error = await #expect(throws: StoreError.self) { _ = try await write.value }
        #expect(error?.kind == .precondition)
        #expect(try await store.bytes("x").bytes == [3, 3, 3])
    }

    @Test func waitingCanBeCancelledAndLeavesNothing() async throws {
        _ = try await store.put("x", .bytes([1]), .always)
        let holder = try holdLock()
        defer { release(holder) }
        let write = Task { [store] in try await store.put("x", .bytes([2, 2]), .always) }
        let delete = Task { [store] in try await store.delete("x", ifMatch: nil) }
        try await awaitWriter(2)
        write.cancel()
        delete.cancel()
        let failure = await #expect(throws: StoreError.self) { _ = try await write.value }
        #expect(failure?.kind == .cancelled)
        await #expect(throws: StoreError.self) { try await delete.value }
        #expect(Set(try Files.names(in: directory.path)) == ["x", ".sessionfs-lock"])
        #expect(try await store.bytes("x").bytes == [1])
    }

    @Test func readersAndListingsDoNotWait() async throws {
        _ = try await store.put("x", .bytes([1]), .always)
        let holder = try holdLock()
        defer { release(holder) }
        #expect(try await store.bytes("x").bytes == [1])
        #expect(try await store.list(ListRequest(prefix: "")).objects.count == 1)
        _ = try await store.put("new", .bytes([2]), .ifAbsent)
        #expect(try await store.head("new").size == 1)
    }
}
