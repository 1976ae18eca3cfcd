internal import Platform

/// A few MiB that are given back when the disk is full, a slice at a time, so that removals can still be recorded.
enum Reserve {
    private static let size: UInt64 = 4 << 20
    /// Enough for a commit of the journal; others who wait for room get no more than that at once.
    private static let slice: UInt64 = 256 << 10
    /// It is filled up again when so much is free.
    private static let comfortable: UInt64 = 16 << 20

    private static func path(in directory: String) -> String { directory + "/reserve" }

    private static func current(in directory: String) -> UInt64 {
        (try? Files.status(path(in: directory)))?.size ?? 0
    }

    /// Makes or fills the reserve when there is room.
    static func keep(in directory: String) {
        guard current(in: directory) < size, Files.availableBytes(directory) > comfortable else { return }
        do throws(SystemError) {
            try FileDescriptor.open(path(in: directory), [.readWrite, .create]).reserve(size)
        } catch { try? Files.remove(path(in: directory)) }
    }

    /// Gives a slice of the reserve back.
    /// - Returns: false when there was none.
    static func release(in directory: String) -> Bool {
        let left = current(in: directory)
        guard left > 0 else { return false }
        if left == size { Staging.log.warning("the disk is full: the reserve is in use", ["directory": directory]) }
        do throws(SystemError) {
            try FileDescriptor.open(path(in: directory), .readWrite).truncate(to: left > slice ? left - slice : 0)
            return true
        } catch { return false }
    }
}
