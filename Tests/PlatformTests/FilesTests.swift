import Foundation
import Platform
import TestSupport
import Testing

@Suite struct FilesTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func replacingLeavesOnlyTheNewContents() throws {
        let path = directory.path("state")
        try Files.replace(path, with: Array("old".utf8))
        try Files.replace(path, with: Array("newer".utf8))
        #expect(try Files.read(path) == Array("newer".utf8))
        #expect(try Files.names(in: directory.path) == ["state"])
        #expect(try Files.status(path)?.permissions == 0o600)
    }

    @Test func replacingFailsWithoutATrace() throws {
        try Files.makeDirectories(directory.path("state/inside"))
        #expect(throws: SystemError.self) { try Files.replace(directory.path("state"), with: [1]) }
        #expect(try Files.names(in: directory.path) == ["state"])
        let missing = #expect(throws: SystemError.self) { try Files.replace(directory.path("no/such"), with: [1]) }
        #expect(missing?.code == ENOENT)
    }

    @Test(.timeLimit(.minutes(1))) func readersSeeTheOldOrTheNewFile() async throws {
        let path = directory.path("state")
        try Files.replace(path, with: [UInt8](repeating: 0, count: 100_000))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for value in 1...60 { try Files.replace(path, with: [UInt8](repeating: UInt8(value), count: 100_000)) }
            }
            group.addTask {
                for _ in 0..<200 {
                    let bytes = try Files.read(path)
                    #expect(bytes.count == 100_000)
                    #expect(Set(bytes).count == 1)
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func privateDirectoriesArePrivate() throws {
        let path = directory.path("a/b")
        try Files.makePrivateDirectory(path)
        #expect(try Files.status(path)?.permissions == 0o700)
        chmod(path, 0o755)
        try Files.makePrivateDirectory(path)
        #expect(try Files.status(path)?.permissions == 0o700)
    }

    @Test func aDirectoryBelowAFileCannotBeMade() throws {
        try directory.write("file", [1])
        #expect(throws: SystemError.self) { try Files.makeDirectories(directory.path("file/below")) }
        #expect(throws: SystemError.self) { try Files.makeDirectories(directory.path("file")) }
    }

    @Test func foreignFilesCannotFillTheMemory() throws {
        try directory.write("large", [UInt8](repeating: 1, count: 1001))
        let error = #expect(throws: SystemError.self) { _ = try Files.read(directory.path("large"), limit: 1000) }
        #expect(error?.code == EFBIG)
    }

    @Test func removingATreeDoesNotFollowLinks() throws {
        try directory.write("kept/file", [1])
        try directory.write("tree/deep/er/file", [1])
        symlink(directory.path("kept"), directory.path("tree/link"))
        try Files.removeTree(directory.path("tree"))
        try Files.removeTree(directory.path("tree"))
        #expect(try Files.names(in: directory.path) == ["kept"])
        #expect(try Files.read(directory.path("kept/file")) == [1])
    }

    @Test(arguments: [
        ("/a/b/c", "/a/b", "c"), ("/a", "/", "a"), ("a", ".", "a"), ("a/b", "a", "b"), ("/会/é", "/会", "é"),
    ])
    func pathsComeApart(_ path: String, _ parent: String, _ name: String) {
        #expect(Files.parentDirectory(path) == parent)
        #expect(Files.lastComponent(path) == name)
    }

    @Test func statusTellsNothingFromSomething() throws {
        #expect(try Files.status(directory.path("missing")) == nil)
        symlink("missing", directory.path("dangling"))
        #expect(try Files.status(directory.path("dangling")) == nil)
        #expect(try Files.statusOfLink(directory.path("dangling"))?.kind == .symbolicLink)
        try directory.write("file", [1, 2])
        #expect(try Files.status(directory.path("file/below")) == nil)
        #expect(try Files.status(directory.path("file"))?.size == 2)
        #expect(try Files.status(directory.path)?.kind == .directory)
    }

    @Test func aSecondNameNeverReplacesAFile() throws {
        try directory.write("one", [1])
        try directory.write("two", [2])
        let error = #expect(throws: SystemError.self) {
            try Files.link(directory.path("one"), to: directory.path("two"))
        }
        #expect(error?.code == EEXIST)
        #expect(try directory.read("two") == [2])
        try Files.link(directory.path("one"), to: directory.path("three"))
        #expect(try Files.status(directory.path("one")) == Files.status(directory.path("three")))
    }
}

@Suite struct FileDescriptorTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @Test func readsAndWritesAtOffsets() throws {
        let file = try FileDescriptor.open(directory.path("f"), [.readWrite, .exclusive])
        try file.write([1, 2, 3, 4], at: 2)
        #expect(try file.read(at: 0, count: 100) == [0, 0, 1, 2, 3, 4])
        #expect(try file.read(at: 5, count: 1) == [4])
        #expect(try file.read(at: 6, count: 10) == [])
        try file.truncate(to: 3)
        #expect(try file.size() == 3)
        #expect(throws: SystemError.self) {
            _ = try FileDescriptor.open(directory.path("f"), [.readWrite, .exclusive])
        }
    }

    @Test func reservingTakesDiskSpaceAndKeepsContents() throws {
        let file = try FileDescriptor.open(directory.path("f"), [.readWrite, .create])
        try file.write([7], at: 0)
        try file.reserve(1 << 20)
        #expect(try file.size() == 1 << 20)
        #expect(try file.status().allocated >= 1 << 20)
        #expect(try file.read(at: 0, count: 2) == [7, 0])
        try file.reserve(0)
    }

    @Test func timesAreSetToTheNanosecond() throws {
        let file = try FileDescriptor.open(directory.path("f"), [.readWrite, .create])
        for time in [
            Timestamp(seconds: 1_700_000_000, nanoseconds: 123_456_789), Timestamp(seconds: -1, nanoseconds: 5),
        ] {
            try file.setModified(time)
            #expect(try file.status().modified == time)
        }
    }

    @Test func closesWithTheLastReference() throws {
        var file: FileDescriptor? = try FileDescriptor.open(directory.path("f"), [.readWrite, .create])
        let raw = try #require(file?.raw)
        #expect(
            try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(raw)") == directory.path("f"))
        file = nil
        #expect(
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(raw)")) != directory.path("f"))
    }

    @Test func errorsNameCallAndFile() {
        let error = #expect(throws: SystemError.self) { _ = try FileDescriptor.open("/no/such/file") }
        #expect(error?.code == ENOENT)
        #expect(error?.description == "open /no/such/file: No such file or directory")
    }
}
