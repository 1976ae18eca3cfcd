internal import Glibc

extension Files {
    /// lstat(2): of the link itself; nil when nothing is there.
    /// - Throws: `SystemError` other than `ENOENT` and `ENOTDIR`.
    public static func statusOfLink(_ path: String) throws(SystemError) -> FileStatus? {
        var result = stat()
        do throws(SystemError) {
            try retryingInterrupts("lstat", path) { lstat(path, &result) }
        } catch  where error.code == ENOENT || error.code == ENOTDIR {
            return nil
        }
        return FileStatus(result)
    }

    /// link(2): a second name for a file, only if that name is free. Not durable until its directory is synchronized.
    /// - Throws: `SystemError` with `EEXIST` when the name is taken.
    public static func link(_ source: String, to target: String) throws(SystemError) {
        try retryingInterrupts("link", target) { Glibc.link(source, target) }
    }
}

extension FileDescriptor {
    /// Sets the time of the last change, leaving the time of the last access (futimens(2)).
    public func setModified(_ time: Timestamp) throws(SystemError) {
        let leave = timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)  // UTIME_OMIT
        let times = [leave, timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.fraction))]
        try retryingInterrupts("futimens", "descriptor \(raw)") { futimens(raw, times) }
    }
}
