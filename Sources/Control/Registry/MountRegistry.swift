internal import Digests
internal import Glibc
internal import JSON
public import Platform

/// How commands find the daemon of a mount: one small file per mount in the runtime directory.
public struct MountRegistry: Sendable {
    /// Where the files and sockets are.
    public let directory: String

    /// The registry of this user. Nothing is touched yet.
    /// - Parameter directory: default ``Platform/Environment/runtimeDirectory``, or the short
    ///   `/tmp/sessionfs-<uid>` where a socket's path in that would exceed 107 bytes.
    public init(directory: String? = nil) {
        self.directory = directory ?? Self.defaultDirectory
    }

    private static var defaultDirectory: String {
        let preferred = Environment.runtimeDirectory
        let longest = preferred + "/" + String(repeating: "0", count: 16) + ".sock"
        return longest.utf8.count <= ControlSocket.longestPath ? preferred : "/tmp/sessionfs-\(geteuid())"
    }

    /// The control socket for a mount at a directory.
    public func socketPath(mountpoint: String) -> String { path(mountpoint, ".sock") }

    /// Writes the calling process's mount down, durably and private (0600).
    /// - Throws: `SystemError`; `EPERM` when the directory belongs to another user.
    public func register(
        mountpoint: String, store: String, cacheDirectory: String, stateDirectory: String
    ) throws(SystemError) -> MountEntry {
        guard let process = ProcessIdentity.current else {
            throw SystemError(code: ENOENT, operation: "read", subject: "/proc/self/stat")
        }
        let entry = MountEntry(
            pid: process.pid, startTicks: process.startTicks, mountpoint: mountpoint, store: store,
            socket: socketPath(mountpoint: mountpoint), started: Self.nowInMilliseconds,
            cacheDirectory: cacheDirectory, stateDirectory: stateDirectory)
        try Files.makePrivateDirectory(directory)
        // The process that it names does not outlive a restart of the machine.
        try Files.replace(path(mountpoint, ".json"), with: entry.json.serialized(.pretty), durably: false)
        return entry
    }

    /// Removes a mount's entry when it is the given one; another daemon's is left alone.
    public func unregister(_ entry: MountEntry) throws(SystemError) {
        let path = path(entry.mountpoint, ".json")
        if read(path) == entry { try Files.remove(path) }
    }

    /// The running mounts, by mountpoint. Entries and sockets that dead daemons left are removed.
    /// - Throws: `SystemError`; `EPERM` when the directory belongs to another user.
    public func list() throws(SystemError) -> [MountEntry] {
        guard Files.exists(directory) else { return [] }
        try Files.makePrivateDirectory(directory)
        var alive: [MountEntry] = []
        for name in try Files.names(in: directory) where name.hasSuffix(".json") && !name.hasPrefix(".") {
            let path = directory + "/" + name
            guard let entry = read(path) else { continue }
            if entry.isAlive { alive.append(entry) } else { try remove(entry, path) }
        }
        return alive.sorted { $0.mountpoint < $1.mountpoint }
    }

    /// The running mount at a directory, or nil.
    public func find(mountpoint: String) throws(SystemError) -> MountEntry? {
        let wanted = Self.resolve(mountpoint)
        return try list().first { $0.mountpoint == wanted }
    }

    /// The running mount that a path is in, the innermost where they are nested; with the path below it.
    public func find(containing path: String) throws(SystemError) -> (entry: MountEntry, relativePath: String)? {
        let wanted = Self.resolve(path)
        let holders = try list().filter { wanted == $0.mountpoint || wanted.hasPrefix($0.mountpoint + "/") }
        guard let entry = holders.max(by: { $0.mountpoint.utf8.count < $1.mountpoint.utf8.count }) else { return nil }
        return (entry, String(wanted.dropFirst(entry.mountpoint.count + 1)))
    }

    /// A path as the registry writes it: absolute, links resolved in all but the last part, so that a mount whose
    /// daemon hangs or has died is not touched.
    public static func resolve(_ path: String) -> String {
        let absolute = Files.normalized(path)
        guard absolute != "/" else { return absolute }
        let parent = Files.parentDirectory(absolute)
        guard let resolved = Files.resolve(parent) else { return absolute }
        let last = Files.lastComponent(absolute)
        return resolved == "/" ? "/" + last : resolved + "/" + last
    }

    /// As precise as the file, so that the entry equals what is read again.
    private static var nowInMilliseconds: Timestamp {
        Timestamp(nanoseconds: Timestamp.now.nanoseconds / 1_000_000 * 1_000_000)
    }

    private func remove(_ entry: MountEntry, _ path: String) throws(SystemError) {
        // A new daemon may have written its own meanwhile.
        guard read(path) == entry else { return }
        try Files.remove(path)
        if Files.parentDirectory(entry.socket) == directory, ControlSocket.holder(of: entry.socket) == nil {
            try Files.remove(entry.socket)
        }
    }

    private func read(_ path: String) -> MountEntry? {
        guard let bytes = try? Files.read(path, limit: 1 << 16), let value = try? JSONValue.parse(bytes) else {
            return nil
        }
        return try? MountEntry(json: value)
    }

    private func path(_ mountpoint: String, _ suffix: String) -> String {
        directory + "/" + SHA256.hex(Array(mountpoint.utf8)).prefix(16) + suffix
    }
}
