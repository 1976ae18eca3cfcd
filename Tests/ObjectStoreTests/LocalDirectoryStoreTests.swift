import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct LocalDirectoryStoreTests {
    let directory: TemporaryDirectory
    let store: LocalDirectoryStore

    init() throws {
        directory = try TemporaryDirectory()
        store = LocalDirectoryStore(directory: directory.path("bucket"))
        try Files.makeDirectories(directory.path("bucket"))
    }

    private func kind(_ body: () async throws -> Void) async -> StoreError.Kind? {
        do { try await body() } catch { return (error as? StoreError)?.kind }
        return nil
    }

    @Test func locationIsAnAbsoluteURL() {
        #expect(LocalDirectoryStore(directory: "/x/y/").location == "file:///x/y")
        #expect(LocalDirectoryStore(directory: "relative").location.hasPrefix("file:///"))
    }

    @Test func missingDirectoryIsNoContainer() async throws {
        let store = LocalDirectoryStore(directory: directory.path("nowhere"))
        #expect(await kind { _ = try await store.head("x") } == .noContainer)
        #expect(await kind { _ = try await store.bytes("x") } == .noContainer)
        #expect(await kind { _ = try await store.put("a/x", .bytes([1]), .always) } == .noContainer)
        #expect(await kind { try await store.delete("x", ifMatch: nil) } == .noContainer)
        #expect(await kind { _ = try await store.list(ListRequest(prefix: "")) } == .noContainer)
        #expect(await kind { _ = try await store.changeMark(prefix: "sessions/") } == .noContainer)
        try await store.createContainer()
        #expect(try await store.list(ListRequest(prefix: "")).objects.isEmpty)
        #expect(try Files.status(directory.path("nowhere"))?.permissions == 0o700)
    }

    @Test(arguments: [
        "", "/etc/passwd", "../outside", "a/../../outside", "a/./b", "a//b", "a/", "nul\u{0}byte", ".", "..",
        ".sessionfs-lock", "a/.sessionfs-tmp-x", String(repeating: "x", count: 256),
    ])
    func refusesKeysThatCannotBeFiles(_ key: String) async throws {
        try directory.write("outside", [1])
        #expect(await kind { _ = try await store.head(key) } == .permanent)
        #expect(await kind { _ = try await store.bytes(key) } == .permanent)
        #expect(await kind { _ = try await store.put(key, .bytes([2]), .always) } == .permanent)
        #expect(await kind { try await store.delete(key, ifMatch: nil) } == .permanent)
        #expect(try directory.read("outside") == [1])
        #expect(try Files.names(in: directory.path).sorted() == ["bucket", "outside"])
    }

    @Test func refusesToFollowLinks() async throws {
        try directory.write("outside/secret", [1])
        try directory.write("bucket/inside", [2])
        let manager = FileManager.default
        try manager.createSymbolicLink(
            atPath: directory.path("bucket/file"), withDestinationPath: directory.path("outside/secret"))
        try manager.createSymbolicLink(
            atPath: directory.path("bucket/dir"), withDestinationPath: directory.path("outside"))
        try manager.createSymbolicLink(atPath: directory.path("bucket/near"), withDestinationPath: "inside")
        try manager.createSymbolicLink(atPath: directory.path("bucket/loop"), withDestinationPath: "loop")
        for key in ["file", "dir/secret", "near", "loop"] {
            #expect(await kind { _ = try await store.bytes(key) } == .permanent)
            #expect(await kind { _ = try await store.head(key) } == .permanent)
            #expect(await kind { try await store.delete(key, ifMatch: nil) } == .permanent)
        }
        #expect(await kind { _ = try await store.put("dir/new", .bytes([1]), .always) } == .permanent)
        #expect(try Files.names(in: directory.path("outside")) == ["secret"])
        #expect(try await store.list(ListRequest(prefix: "")).objects.map(\.key) == ["inside"])
        #expect(try await store.list(ListRequest(prefix: "../outside/")).objects.isEmpty)
    }

    @Test func theRootItselfMayBeALink() async throws {
        try FileManager.default.createSymbolicLink(
            atPath: directory.path("alias"), withDestinationPath: directory.path("bucket"))
        let alias = LocalDirectoryStore(directory: directory.path("alias"))
        let info = try await alias.put("a/x", .bytes([1]), .ifAbsent)
        #expect(try await store.head("a/x") == info)
    }

    @Test func listingsShowOnlyFinishedObjects() async throws {
        try directory.write("bucket/.sessionfs-tmp-left", [1])
        _ = try await store.put("x", .bytes([1]), .always)
        _ = try await store.put("x", .bytes([1]), .always)
        #expect(try Files.names(in: directory.path("bucket")).contains(".sessionfs-lock"))
        let pipe = directory.path("bucket/pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(await kind { _ = try await store.bytes("pipe") } == .permanent)
        #expect(try await store.list(ListRequest(prefix: "")).objects.map(\.key) == ["x"])
    }

    @Test func namesThatAreNotUTF8AreLeftOut() async throws {
        let name: [CChar] = Array(directory.path("bucket/bad").utf8CString.dropLast()) + [-1, 0]
        let raw = open(name, O_CREAT | O_WRONLY, 0o600)
        #expect(raw >= 0)
        close(raw)
        _ = try await store.put("good", .bytes([1]), .always)
        #expect(try await store.list(ListRequest(prefix: "")).objects.map(\.key) == ["good"])
    }

    @Test func removesWhatDeadWritersLeft() async throws {
        try directory.write("bucket/.sessionfs-tmp-old", [1])
        try directory.write("bucket/.sessionfs-tmp-new", [1])
        let old = try FileDescriptor.open(directory.path("bucket/.sessionfs-tmp-old"), .readWrite)
        try old.setModified(Timestamp(seconds: Timestamp.now.seconds - 200_000))
        _ = try await store.put("x", .bytes([1]), .always)
        let names = Set(try Files.names(in: directory.path("bucket")))
        #expect(!names.contains(".sessionfs-tmp-old"))
        #expect(names.contains(".sessionfs-tmp-new"))
    }

    @Test func tagsDifferForEveryVersion() async throws {
        var tags: Set<String?> = []
        for _ in 0..<200 { tags.insert(try await store.put("same", .bytes([1]), .always).etag) }
        #expect(tags.count == 200)
    }

    @Test func tagsNeverGoBackWithTheClock() async throws {
        let first = try await store.put("x", .bytes([1]), .always)
        let future = Timestamp(seconds: Timestamp.now.seconds + 3600)
        try FileDescriptor.open(directory.path("bucket/x"), .readWrite).setModified(future)
        let second = try await store.put("x", .bytes([1]), .always)
        #expect(second.etag != first.etag)
        #expect(try #require(second.modified) > future)
    }

    @Test func aFileWrittenToWhileItIsReadIsATemporaryError() async throws {
        _ = try await store.put("x", .bytes([UInt8](repeating: 1, count: 3 << 20)), .always)
        let path = directory.path("bucket/x")
        let sink = InterferingSink {
            let file = try FileDescriptor.open(path, .readWrite)
            try file.write([9], at: 2 << 20)
            try file.setModified(.now)
        }
        #expect(await kind { _ = try await store.get("x", ReadOptions(), into: sink) } == .temporary)
        #expect(sink.received < 3 << 20)
    }

    @Test func aFileReplacedWhileItIsReadIsReadToItsEnd() async throws {
        _ = try await store.put("x", .bytes([UInt8](repeating: 1, count: 3 << 20)), .always)
        let path = directory.path("bucket/x")
        let sink = InterferingSink { try Files.replace(path, with: [2]) }
        _ = try await store.get("x", ReadOptions(), into: sink)
        #expect(sink.received == 3 << 20)
        #expect(try await store.bytes("x").bytes == [2])
    }

    @Test func whatItMakesIsAsPrivateAsItsSurroundings() async throws {
        chmod(directory.path("bucket"), 0o750)
        let mask = umask(0)
        umask(mask)
        _ = try await store.put("a/b/x", .bytes([1]), .always)
        let allowed = 0o777 & ~UInt32(mask)
        #expect(try Files.status(directory.path("bucket/a/b"))?.permissions == 0o750 & allowed)
        #expect(try Files.status(directory.path("bucket/a/b/x"))?.permissions == 0o640 & allowed)
    }

    @Test func objectsAndDirectoriesDoNotReplaceEachOther() async throws {
        _ = try await store.put("a/x", .bytes([1]), .always)
        #expect(await kind { _ = try await store.put("a", .bytes([2]), .always) } == .permanent)
        #expect(await kind { _ = try await store.put("a", .bytes([2]), .ifAbsent) } == .permanent)
        #expect(await kind { _ = try await store.put("a/x/y", .bytes([2]), .always) } == .permanent)
        #expect(try await store.list(ListRequest(prefix: "")).objects.map(\.key) == ["a/x"])
        #expect(try Files.names(in: directory.path("bucket/a")) == ["x"])
    }

    @Test func aFullDiskIsALocalErrorAndLeavesNothing() async throws {
        try #require(geteuid() == 0, "needs root to mount a small filesystem")
        let small = directory.path("small")
        try Files.makeDirectories(small)
        try #require(run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small) == 0)
        defer { _ = run("umount", small) }
        let store = LocalDirectoryStore(directory: small)
        _ = try await store.put("old", .bytes([1]), .always)
        do {
            _ = try await store.put("old", .bytes([UInt8](repeating: 1, count: 2 << 20)), .always)
            Issue.record("wrote 2 MiB into 1 MiB")
        } catch {
            #expect(error.kind == .local)
            #expect(error.system?.code == ENOSPC)
        }
        #expect(try await store.bytes("old").bytes == [1])
        #expect(Set(try Files.names(in: small)) == ["old", ".sessionfs-lock"])
    }

    private func run(_ arguments: String...) -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        do { try process.run() } catch { return -1 }
        process.waitUntilExit()
        return process.terminationStatus
    }
}

/// Does something behind the reader's back after the first bytes.
private final class InterferingSink: ObjectSink {
    private let state = Guarded(0)
    private let action: @Sendable () throws -> Void

    init(_ action: @escaping @Sendable () throws -> Void) { self.action = action }

    var received: Int { state.withLock { $0 } }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {}

    func receive(_ bytes: RawSpan) throws(StoreError) {
        let isFirst = state.withLock { count in
            defer { count += bytes.byteCount }
            return count == 0
        }
        guard isFirst else { return }
        do { try action() } catch { throw StoreError(.local, message: "\(error)") }
    }
}
