internal import CSystem
internal import Glibc
internal import Synchronization

/// An open file that closes itself when the last reference goes. Safe to share: every call is one system call on a
/// constant descriptor number.
public final class FileDescriptor: Sendable {
    /// The raw descriptor, for C interfaces. Valid as long as this object lives.
    public let raw: Int32
    private let path: String
    private let isClosed = Atomic<Bool>(false)

    /// Takes ownership of an open descriptor.
    public init(owning raw: Int32, path: String = "") {
        self.raw = raw
        self.path = path
    }

    deinit { closeNow() }

    /// Closes before the last reference goes. No call may be under way or follow.
    public func closeNow() {
        if !isClosed.exchange(true, ordering: .acquiringAndReleasing) { close(raw) }
    }

    /// Reads once from a pipe or socket: at most `count` bytes, none at the end.
    /// - Throws: `SystemError` of read(2).
    public func readAvailable(_ count: Int) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(SystemError) {
                filled = try retryingInterrupts("read", path) { Glibc.read(raw, buffer.baseAddress, count) }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes to a pipe, or at the end of a file opened with ``Mode/append``.
    /// - Throws: `SystemError` of write(2).
    public func append(_ bytes: [UInt8]) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            done += try retryingInterrupts("write", path) {
                bytes.withUnsafeBytes { Glibc.write(raw, $0.baseAddress.map { $0 + done }, bytes.count - done) }
            }
        }
    }

    /// How a file is opened.
    public struct Mode: OptionSet, Sendable {
        /// The flags of open(2).
        public let rawValue: Int32
        /// Takes flags of open(2) as they are.
        public init(rawValue: Int32) { self.rawValue = rawValue }
        /// For reading only.
        public static let read = Mode([])
        /// For reading and writing.
        public static let readWrite = Mode(rawValue: O_RDWR)
        /// For writing only.
        public static let write = Mode(rawValue: O_WRONLY)
        /// Makes the file when it is missing.
        public static let create = Mode(rawValue: O_CREAT)
        /// Makes the file and fails with `EEXIST` when it is there.
        public static let exclusive = Mode(rawValue: O_CREAT | O_EXCL)
        /// Empties the file.
        public static let truncate = Mode(rawValue: O_TRUNC)
        /// Every write goes to the end.
        public static let append = Mode(rawValue: O_APPEND)
        /// Fails with `ENOTDIR` on anything but a directory.
        public static let directory = Mode(rawValue: O_DIRECTORY)
        /// Fails with `ELOOP` on a symbolic link.
        public static let noFollow = Mode(rawValue: O_NOFOLLOW)
    }

    /// Opens a file, close-on-exec.
    /// - Parameter permissions: of a file that is created; private (0600) by default.
    /// - Throws: `SystemError` of open(2).
    public static func open(
        _ path: String, _ mode: Mode = .read, permissions: UInt32 = 0o600
    ) throws(SystemError) -> FileDescriptor {
        let raw = try retryingInterrupts("open", path) {
            Glibc.open(path, mode.rawValue | O_CLOEXEC, permissions)
        }
        return FileDescriptor(owning: raw, path: path)
    }

    /// The length of the file in bytes.
    public func size() throws(SystemError) -> UInt64 { try status().size }

    /// fstat(2).
    public func status() throws(SystemError) -> FileStatus {
        var result = stat()
        try retryingInterrupts("fstat", path) { fstat(raw, &result) }
        return FileStatus(result)
    }

    /// Reads at an offset, until `count` bytes or the end of the file.
    /// - Throws: `SystemError` of pread(2).
    public func read(at offset: UInt64, count: Int) throws(SystemError) -> [UInt8] {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            do throws(SystemError) {
                while filled < count {
                    let base = buffer.baseAddress.map { $0 + filled }
                    let n = try retryingInterrupts("pread", path) {
                        pread(raw, base, count - filled, off_t(offset) + off_t(filled))
                    }
                    if n == 0 { break }
                    filled += n
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes all bytes at an offset.
    /// - Throws: `SystemError` of pwrite(2), `ENOSPC` included.
    public func write(_ bytes: RawSpan, at offset: UInt64) throws(SystemError) {
        var failure: SystemError?
        bytes.withUnsafeBytes { buffer in
            var done = 0
            do throws(SystemError) {
                while done < buffer.count {
                    let base = buffer.baseAddress.map { $0 + done }
                    done += try retryingInterrupts("pwrite", path) {
                        pwrite(raw, base, buffer.count - done, off_t(offset) + off_t(done))
                    }
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes all bytes at an offset.
    public func write(_ bytes: [UInt8], at offset: UInt64) throws(SystemError) {
        try write(bytes.span.bytes, at: offset)
    }

    /// ftruncate(2).
    public func truncate(to length: UInt64) throws(SystemError) {
        try retryingInterrupts("ftruncate", path) { ftruncate(raw, off_t(length)) }
    }

    /// Reserves disk space, so that a full disk shows before bytes are spread over a sparse file. A filesystem that
    /// cannot reserve is not an error.
    /// - Throws: `SystemError` with `ENOSPC` or another cause.
    public func reserve(_ length: UInt64) throws(SystemError) {
        guard length > 0 else { return }
        do throws(SystemError) {
            try retryingInterrupts("fallocate", path) { sfs_fallocate(raw, off_t(length)) }
        } catch  where error.code == EOPNOTSUPP || error.code == ENOSYS {
            try truncate(to: length)
        }
    }

    /// fsync(2): contents and metadata are on the disk when it returns.
    public func synchronize() throws(SystemError) {
        try retryingInterrupts("fsync", path) { fsync(raw) }
    }
}
