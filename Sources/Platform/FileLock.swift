internal import Glibc

/// An advisory lock between processes (flock(2)), released when the object goes or the process dies.
public final class FileLock: Sendable {
    private let file: FileDescriptor

    private init(_ file: FileDescriptor) { self.file = file }

    /// Takes the exclusive lock on a file, which is made when it is missing.
    /// - Parameter wait: false returns nil at once when another process holds it.
    /// - Throws: `SystemError` of open(2) or flock(2).
    public static func acquire(_ path: String, wait: Bool) throws(SystemError) -> FileLock? {
        let file = try FileDescriptor.open(path, [.readWrite, .create])
        do throws(SystemError) {
            try retryingInterrupts("flock", path) { flock(file.raw, wait ? LOCK_EX : LOCK_EX | LOCK_NB) }
        } catch  where error.code == EWOULDBLOCK {
            return nil
        }
        return FileLock(file)
    }

    /// Takes the exclusive lock on a file, or returns nil when a process that lives holds it. One that was killed keeps its
    /// files until its last thread has left the kernel, which may be after its parent has heard of its end: that is
    /// waited for, up to so many seconds.
    /// - Throws: `SystemError` of open(2) or flock(2).
    public static func acquire(_ path: String, outliving seconds: Double) throws(SystemError) -> FileLock? {
        let began = Timestamp.monotonic
        while true {
            if let lock = try acquire(path, wait: false) {
                // A full disk keeps nobody from the lock.
                try? lock.describeHolder("\(getpid())\n")
                return lock
            }
            guard holderHasEnded(path), Timestamp.monotonic.seconds(since: began) < seconds else { return nil }
            usleep(10_000)
        }
    }

    private static func holderHasEnded(_ path: String) -> Bool {
        guard let text = try? Files.read(path), text.last == UInt8(ascii: "\n"),
            let pid = Int32(String(decoding: text.dropLast(), as: UTF8.self)), pid > 0
        else { return false }
        guard let stat = try? Files.read("/proc/\(pid)/stat") else { return true }
        // The name before it may hold anything.
        let state = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " ").first
        return state == "Z" || state == "X"
    }

    /// Replaces the lock file's text, by which others learn who holds it.
    public func describeHolder(_ text: String) throws(SystemError) {
        try file.truncate(to: 0)
        try file.write(Array(text.utf8), at: 0)
    }
}
