internal import CSystem

/// The allocator of a long-lived process that should stay small.
public enum Memory {
    /// Call it before the first thread starts: few arenas, so that each thread does not keep one of its own, and
    /// large blocks go back to the system when they are freed.
    public static func preferSmallFootprint() { sfs_small_footprint() }

    /// Gives free pages back to the system (malloc_trim(3)), after work that used much for a short while.
    public static func trim() { malloc_trim(0) }

    /// Resident memory of this process in bytes, from `/proc/self/statm`.
    public static var residentBytes: UInt64 {
        guard let bytes = try? Files.read("/proc/self/statm", limit: 4096) else { return 0 }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (UInt64(fields[1]) ?? 0) * 4096 : 0
    }
}
