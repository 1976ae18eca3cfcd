internal import Glibc
internal import Platform

/// The lock under which a directory store changes names, between tasks and between processes (flock(2)). Waiting for it
/// never blocks a thread: whoever holds it may have been stopped.
enum DirectoryLock {
    /// Takes the lock of a store; it is released with the last reference to the descriptor.
    /// - Parameters:
    ///   - path: the lock file, made when it is missing.
    ///   - permissions: of the lock file when it is made.
    /// - Throws: `.cancelled`, or the failure of open(2) or flock(2).
    static func acquire(_ path: String, permissions: UInt32) async throws(StoreError) -> FileDescriptor {
        var pause = Duration.microseconds(200)
        while true {
            let file = try onDirectory("") { () throws(SystemError) in
                try FileDescriptor.open(path, [.readWrite, .create, .noFollow], permissions: permissions)
            }
            if flock(file.raw, LOCK_EX | LOCK_NB) == 0 {
                // Somebody may have removed the file meanwhile: then the lock guards nothing.
                let held = try onDirectory("") { () throws(SystemError) in try file.status().inode }
                let named = try onDirectory("") { () throws(SystemError) in try Files.status(path)?.inode }
                if held == named { return file }
                continue
            }
            let cause = SystemError.current("flock", path)
            guard cause.code == EWOULDBLOCK || cause.code == EINTR else { throw StoreError(directory: cause) }
            do { try await Task.sleep(for: pause) } catch {
                throw StoreError(.cancelled, message: "cancelled while waiting for \(path)")
            }
            pause = min(pause * 2, .milliseconds(20))
        }
    }
}
