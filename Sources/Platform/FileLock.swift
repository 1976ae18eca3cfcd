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

    /// Replaces the lock file's text, by which others learn who holds it.
    public func describeHolder(_ text: String) throws(SystemError) {
        try file.truncate(to: 0)
        try file.write(Array(text.utf8), at: 0)
    }
}
