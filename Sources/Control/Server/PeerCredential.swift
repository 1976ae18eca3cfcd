internal import Glibc

/// The process at the other end of a Unix socket, as the kernel vouches for it (unix(7), SO_PEERCRED).
struct PeerCredential: Equatable {
    let pid: Int32
    let user: UInt32

    /// Of a connected socket; for a client it is the process that listens. Nil when the kernel knows none.
    static func of(socket: Int32) -> PeerCredential? {
        // struct ucred { pid_t; uid_t; gid_t }, which glibc declares for GNU sources only.
        var fields: [UInt32] = [0, 0, 0]
        var length = socklen_t(12)
        guard getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &fields, &length) == 0, length == 12 else { return nil }
        return PeerCredential(pid: Int32(bitPattern: fields[0]), user: fields[1])
    }

    /// Whether it may use a socket of this process: the same user, or root.
    var isAdmitted: Bool { user == geteuid() || user == 0 }
}
