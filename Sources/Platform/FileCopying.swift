internal import CSystem
internal import Glibc

/// Whole files, from one descriptor to another.
extension FileDescriptor {
    /// Copies all bytes of another file into this empty one: shares its blocks where the filesystem can, has the kernel
    /// copy where it cannot.
    /// - Throws: `SystemError`, `ENOSPC` included.
    public func copyContents(of source: FileDescriptor) throws(SystemError) {
        if sfs_clone(raw, source.raw) == 0 { return }
        let size = try source.size()
        var done: UInt64 = 0
        while done < size {
            let wanted = Int(min(size - done, 1 << 26))
            let copied = sfs_copy_range(source.raw, raw, off_t(done), wanted)
            if copied > 0 {
                done += UInt64(copied)
            } else if copied == 0 {
                return
            } else {
                let error = SystemError.current("copy_file_range")
                if error.code == EINTR { continue }
                // Between some filesystems it is not possible.
                guard [EXDEV, EINVAL, ENOSYS, EOPNOTSUPP].contains(error.code) else { throw error }
                return try copyBytes(of: source, from: done)
            }
        }
    }

    private func copyBytes(of source: FileDescriptor, from start: UInt64) throws(SystemError) {
        var done = start
        while true {
            let bytes = try source.read(at: done, count: 1 << 20)
            if bytes.isEmpty { return }
            try write(bytes, at: done)
            done += UInt64(bytes.count)
        }
    }

    /// Reserves disk space for a range (fallocate(2)), and lengthens the file to its end unless `keepingSize`. A
    /// filesystem that cannot reserve is not an error.
    /// - Throws: `SystemError` with `ENOSPC` or another cause.
    public func allocate(_ range: Range<UInt64>, keepingSize: Bool) throws(SystemError) {
        guard !range.isEmpty, let start = Int64(exactly: range.lowerBound), let length = Int64(exactly: range.count)
        else { throw SystemError(code: EFBIG, operation: "fallocate") }
        do throws(SystemError) {
            try retryingInterrupts("fallocate", "descriptor \(raw)") {
                sfs_fallocate_range(raw, keepingSize ? 1 : 0, off_t(start), off_t(length))
            }
        } catch  where error.code == EOPNOTSUPP || error.code == ENOSYS {
            if !keepingSize, try size() < range.upperBound { try truncate(to: range.upperBound) }
        }
    }

    /// Begins writing a range to the disk, and waits for nothing (sync_file_range(2)): a later ``synchronize()`` finds less
    /// to do. Makes nothing durable, and reports no error; that one does.
    public func beginWriteback(_ range: Range<UInt64>) {
        guard let start = Int64(exactly: range.lowerBound), let length = Int64(exactly: range.count) else { return }
        _ = sfs_begin_writeback(raw, off_t(start), off_t(length))
    }

    /// Whether the call failed as the file would be too large.
    public static func isTooLarge(_ error: SystemError) -> Bool { error.code == EFBIG }
}
