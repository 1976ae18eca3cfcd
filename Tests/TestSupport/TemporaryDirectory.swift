internal import Platform

/// A fresh directory that goes, with everything in it, with the last reference.
public final class TemporaryDirectory: Sendable {
    /// Absolute, links resolved.
    public let path: String

    /// - Parameter parent: below the system's directory for temporary files by default.
    public init(below parent: String? = nil) throws {
        let parent = parent ?? Environment.value("TMPDIR") ?? "/tmp"
        let path = parent + "/sessionfs-test-" + String(UInt64.random(in: .min ... .max), radix: 36)
        try Files.makeDirectories(path)
        self.path = Files.resolve(path) ?? path
    }

    deinit { try? Files.removeTree(path) }

    /// A path below the directory.
    public func path(_ name: String) -> String { path + "/" + name }

    /// Writes a file below the directory, with the directories on its way.
    public func write(_ name: String, _ bytes: [UInt8]) throws {
        try Files.makeDirectories(Files.parentDirectory(path(name)))
        try Files.replace(path(name), with: bytes)
    }

    /// Reads a file below the directory.
    public func read(_ name: String) throws -> [UInt8] { try Files.read(path(name), limit: 1 << 30) }
}
