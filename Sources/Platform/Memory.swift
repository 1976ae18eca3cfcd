internal import CSystem

/// The memory of a long-lived process that should stay small.
public enum Memory {
    /// Call it before the first thread starts: few arenas, so that each thread does not keep one of its own, and
    /// large blocks go back to the system when they are freed.
    public static func preferSmallFootprint() { sfs_small_footprint() }

    /// Gives free pages of the heap back to the system (malloc_trim(3)), after work that used much for a short while.
    public static func trimHeap() { malloc_trim(0) }

    /// Lets go of program text that only start-up needed: of a daemon that waits, most of its resident memory is code
    /// of libraries that ran once. What is needed again is mapped again from the page cache, at the price of a minor
    /// fault. Only executable mappings are touched: they are never written, so nothing can be lost.
    public static func releaseText() {
        guard let bytes = try? Files.read("/proc/self/maps", limit: 4 << 20) else { return }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            // `start-end perms offset device inode path`
            let fields = line.split(separator: " ", maxSplits: 5)
            guard fields.count == 6, fields[1] == "r-xp", fields[5].contains("/") else { continue }
            let range = fields[0].split(separator: "-")
            guard range.count == 2, let start = UInt(range[0], radix: 16), let end = UInt(range[1], radix: 16),
                let address = UnsafeMutableRawPointer(bitPattern: start)
            else { continue }
            madvise(address, Int(end - start), sfs_madv_dontneed())
        }
    }

    /// Resident memory of this process in bytes, from `/proc/self/statm`.
    public static var residentBytes: UInt64 {
        guard let bytes = try? Files.read("/proc/self/statm", limit: 4096) else { return 0 }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (UInt64(fields[1]) ?? 0) * 4096 : 0
    }
}
