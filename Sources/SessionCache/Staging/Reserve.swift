internal import Platform

/// A few MiB that are given back when the disk is full, so that removals can still be recorded.
enum Reserve {
    private static let size: UInt64 = 4 << 20
    /// It is made again when so much is free.
    private static let comfortable: UInt64 = 64 << 20

    private static func path(in directory: String) -> String { directory + "/reserve" }

    /// Makes the reserve when it is missing and there is room.
    static func keep(in directory: String) {
        let path = path(in: directory)
        guard !Files.exists(path), Files.availableBytes(directory) > comfortable else { return }
        do throws(SystemError) {
            try FileDescriptor.open(path, [.readWrite, .create]).reserve(size)
        } catch { try? Files.remove(path) }
    }

    /// Gives the reserve back.
    /// - Returns: false when there was none.
    static func release(in directory: String) -> Bool {
        let path = path(in: directory)
        guard Files.exists(path) else { return false }
        do throws(SystemError) { try Files.remove(path) } catch { return false }
        Staging.log.warning("the disk is full: the reserve is in use", ["path": path])
        return true
    }
}
