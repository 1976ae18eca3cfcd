internal import Glibc
public import Platform

/// Why a control server did not start.
public enum ControlServerError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A living process already answers on the socket.
    case inUse(socket: String, pid: Int32, command: String)
    /// The path does not fit into a socket address (107 bytes, unix(7)).
    case pathTooLong(String)
    /// A system call failed.
    case system(SystemError)
    /// libmicrohttpd did not start its thread.
    case threadRefused

    /// The reason in words.
    public var description: String {
        switch self {
        case .inUse(let socket, let pid, let command):
            "\(socket) is in use by process \(pid)" + (command.isEmpty ? "" : " (\(command))")
        case .pathTooLong(let path): "socket path is longer than 107 bytes: \(path)"
        case .system(let error): error.description
        case .threadRefused: "the control server's thread could not be started"
        }
    }

    /// Runs system calls whose failure is `.system`.
    static func wrapping<Result>(_ body: () throws(SystemError) -> Result) throws(ControlServerError) -> Result {
        do throws(SystemError) { return try body() } catch { throw .system(error) }
    }
}

/// A private listening Unix socket at a path.
enum ControlSocket {
    /// Longest path in bytes: `sun_path` less its terminator.
    static let longestPath = 107

    /// Listens at `path`: the directory becomes 0700 and the socket is 0600 before anybody can connect. The socket of
    /// a process that is gone is replaced.
    /// - Throws: `.inUse` when somebody answers there.
    static func listen(_ path: String) throws(ControlServerError) -> FileDescriptor {
        guard path.utf8.count <= longestPath else { throw .pathTooLong(path) }
        let directory = Files.parentDirectory(path)
        try ControlServerError.wrapping { () throws(SystemError) in try Files.makePrivateDirectory(directory) }
        // Held over look, remove and bind, so that two that start at once do not remove each other's socket.
        let lock = try ControlServerError.wrapping { () throws(SystemError) in
            try FileLock.acquire(directory + "/lock", wait: true)
        }
        return try withExtendedLifetime(lock) { () throws(ControlServerError) in
            if Files.exists(path) {
                if let holder = holder(of: path) {
                    throw .inUse(socket: path, pid: holder.pid, command: ProcessIdentity.command(of: holder.pid))
                }
                try ControlServerError.wrapping { () throws(SystemError) in try Files.remove(path) }
            }
            return try bind(path)
        }
    }

    /// Who listens at the path; nil when nobody does, whatever is there.
    static func holder(of path: String) -> PeerCredential? {
        let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { return nil }
        let probe = FileDescriptor(owning: raw, path: path)
        // EAGAIN is a full backlog: somebody listens, and the credential is then unknown.
        while withAddress(path, { connect(probe.raw, $0, $1) }) != 0 {
            switch errno {
            case EINTR: continue
            case EAGAIN: return PeerCredential(pid: 0, user: 0)
            default: return nil
            }
        }
        return PeerCredential.of(socket: probe.raw) ?? PeerCredential(pid: 0, user: 0)
    }

    private static func bind(_ path: String) throws(ControlServerError) -> FileDescriptor {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let raw = socket(AF_UNIX, type, 0)
        guard raw >= 0 else { throw .system(.current("socket", path)) }
        let listener = FileDescriptor(owning: raw, path: path)
        // Linux gives the bound name the mode of the socket's inode, less the umask: it is never wider than this.
        guard fchmod(raw, 0o600) == 0 else { throw .system(.current("fchmod", path)) }
        guard withAddress(path, { Glibc.bind(raw, $0, $1) }) == 0 else { throw .system(.current("bind", path)) }
        guard Glibc.listen(raw, 64) == 0 else { throw .system(.current("listen", path)) }
        return listener
    }

    private static func withAddress<Result>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { field in
            // The last byte stays zero; longer paths were refused before.
            for (index, byte) in path.utf8.prefix(longestPath).enumerated() { field[index] = byte }
        }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
