internal import Glibc
public import Platform

/// The mount that a daemon leaves when it is killed. It answers `ENOTCONN` until somebody unmounts it.
///
/// Where the daemon was telling the kernel of a change of a directory that a program was changing, too, nothing answers
/// at all: the daemon's thread waits in the kernel for the directory's lock, the program has the lock and waits for the
/// daemon, and the connection stays open as long as that thread exists. Only aborting the connection ends both. The same
/// goes for a page of a file that is being read.
public enum StaleMount {
    /// Seconds that a daemon may take to answer before it counts as dead. It answers for a directory without waiting
    /// for disk or network.
    private static let patience = 5.0

    /// Whether nobody answers for a mount any more. May take ``patience``.
    static func isDead(_ mountpoint: String) -> Bool {
        // Opening asks the daemon; the attributes of the directory alone would come from the kernel's cache, long
        // after its death. The thread may stay until the mount is cleared.
        let answer = Guarded<Bool?>(nil)
        WorkerThread(name: "stale") {
            do throws(SystemError) {
                _ = try FileDescriptor.open(mountpoint)
                answer.withLock { $0 = false }
            } catch { answer.withLock { $0 = error.code == ENOTCONN || error.code == ECONNABORTED } }
        }.detach()
        let began = Timestamp.monotonic
        while Timestamp.monotonic.seconds(since: began) < patience {
            if let isDead = answer.withLock({ $0 }) { return isDead }
            usleep(2000)
        }
        return true
    }

    /// Unmounts what a dead daemon left, also where programs still stand in it or wait for it: they get errors.
    /// - Throws: `SystemError`, where that is not allowed.
    public static func clear(_ mountpoint: String) throws(SystemError) {
        // Forced, it aborts the connection first.
        if umount2(mountpoint, MNT_FORCE_FLAG | MNT_DETACH_FLAG) == 0 { return }
        // Who mounted may abort it, too, where the administrator has mounted the control filesystem.
        if let number = MountTable.entry(at: mountpoint)?.device.split(separator: ":").last,
            let file = try? FileDescriptor.open("/sys/fs/fuse/connections/\(number)/abort", .write)
        {
            try? file.write(Array("1".utf8), at: 0)
        }
        try MountTable.unmount(mountpoint, lazily: true)
    }

    private static let MNT_FORCE_FLAG: Int32 = 1
    private static let MNT_DETACH_FLAG: Int32 = 2
}
