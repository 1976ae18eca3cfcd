import Foundation
import Glibc
import JSON
import Platform
import Testing

@testable import Control

@Suite(.timeLimit(.minutes(1)))
struct MountRegistryTests {
    let scratch: Scratch
    let registry: MountRegistry

    init() throws {
        scratch = try Scratch()
        registry = MountRegistry(directory: scratch.path + "/run")
    }

    func register(_ mountpoint: String) throws -> MountEntry {
        try registry.register(mountpoint: mountpoint, store: "file:///x", cacheDirectory: "/c", stateDirectory: "/s")
    }

    /// Writes an entry that another process would have written.
    func plant(_ entry: MountEntry) throws -> String {
        let path = registry.socketPath(mountpoint: entry.mountpoint).replacingOccurrences(of: ".sock", with: ".json")
        try Files.replace(path, with: entry.json.serialized(.compact))
        return path
    }

    @Test func aRegisteredMountIsFoundWithEverythingWritten() throws {
        let entry = try register("/mnt/a")
        #expect(entry.pid == getpid())
        #expect(try registry.find(mountpoint: "/mnt/a") == entry)
        let found = try #require(try registry.find(mountpoint: "/mnt/a/"))
        #expect(found.store == "file:///x")
        #expect(found.socket == registry.socketPath(mountpoint: "/mnt/a"))
        #expect(found.cacheDirectory == "/c")
        #expect(found.stateDirectory == "/s")
        #expect(found.isAlive)
        #expect(try registry.find(mountpoint: "/mnt/b") == nil)
    }

    @Test func entriesArePrivate() throws {
        _ = try register("/mnt/a")
        #expect(try Files.status(registry.directory)?.permissions == 0o700)
        for name in try Files.names(in: registry.directory) {
            #expect(try Files.status(registry.directory + "/" + name)?.permissions == 0o600)
        }
    }

    @Test func unregisterRemovesOnlyItsOwnEntry() throws {
        let first = try register("/mnt/a")
        var other = first
        other.startTicks += 1
        try registry.unregister(other)
        #expect(try registry.list().count == 1)
        try registry.unregister(first)
        #expect(try registry.list().isEmpty)
    }

    @Test func aReusedPidIsNotTakenForTheDaemon() throws {
        var entry = try register("/mnt/a")
        entry.startTicks += 1
        let path = try plant(entry)
        #expect(try registry.list().isEmpty)
        #expect(!Files.exists(path))
    }

    @Test func deadDaemonsAndTheirSocketsAreTidiedAway() throws {
        var entry = try register("/mnt/a")
        var pid: pid_t = 0
        // Never waited for: a zombie has a /proc entry and is dead all the same.
        #expect(posix_spawn(&pid, "/bin/true", nil, nil, [strdup("true"), nil], nil) == 0)
        while let bytes = try? Files.read("/proc/\(pid)/stat"),
            !String(decoding: bytes, as: UTF8.self).contains(") Z ")
        { sched_yield() }
        entry.pid = pid
        let path = try plant(entry)
        do { _ = try ControlSocket.listen(entry.socket) }
        #expect(Files.exists(entry.socket))
        #expect(try registry.list().isEmpty)
        #expect(!Files.exists(path))
        #expect(!Files.exists(entry.socket))
        var status: Int32 = 0
        waitpid(pid, &status, 0)
    }

    @Test func aGarbledEntryDisturbsNobody() throws {
        _ = try register("/mnt/a")
        try Files.replace(registry.directory + "/0123456789abcdef.json", with: Array("{\"pid\":".utf8))
        try Files.replace(registry.directory + "/1123456789abcdef.json", with: Array("{\"pid\":1}".utf8))
        #expect(try registry.list().map(\.mountpoint) == ["/mnt/a"])
    }

    @Test func pathsInsideAMountFindTheInnermostOne() throws {
        for mountpoint in ["/mnt/a", "/mnt/a/b", "/mnt/ab"] { _ = try register(mountpoint) }
        let inner = try #require(try registry.find(containing: "/mnt/a/b/sessions/x.fastshot"))
        #expect(inner.entry.mountpoint == "/mnt/a/b")
        #expect(inner.relativePath == "sessions/x.fastshot")
        let outer = try #require(try registry.find(containing: "/mnt/a/../a/c"))
        #expect(outer.entry.mountpoint == "/mnt/a")
        #expect(outer.relativePath == "c")
        #expect(try registry.find(containing: "/mnt/ab")?.relativePath == "")
        #expect(try registry.find(containing: "/mnt") == nil)
    }

    @Test func linksAboveTheMountpointAreResolved() throws {
        try Files.makeDirectories(scratch.path + "/real/mnt")
        #expect(symlink("real", scratch.path + "/link") == 0)
        #expect(MountRegistry.resolve(scratch.path + "/link/mnt") == scratch.path + "/real/mnt")
        #expect(MountRegistry.resolve("/") == "/")
        #expect(MountRegistry.resolve("/tmp/./x//") == "/tmp/x")
    }

    @Test func noDirectoryMeansNoMounts() throws {
        #expect(try MountRegistry(directory: scratch.path + "/none").list().isEmpty)
    }

    /// Needs root, who alone can give a directory away.
    @Test(.enabled(if: geteuid() == 0))
    func anotherUsersDirectoryIsRefused() throws {
        try Files.makePrivateDirectory(registry.directory)
        #expect(chown(registry.directory, 65534, 65534) == 0)
        #expect(throws: SystemError.self) { try registry.list() }
        #expect(throws: SystemError.self) { try register("/mnt/a") }
    }

    @Test func theDefaultDirectoryAlwaysFitsASocket() {
        let path = MountRegistry().socketPath(mountpoint: "/" + String(repeating: "long/", count: 100))
        #expect(path.utf8.count <= ControlSocket.longestPath)
    }
}
