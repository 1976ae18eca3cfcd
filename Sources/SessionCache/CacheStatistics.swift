/// Where the bytes of a session are.
public enum BodyState: Sendable, Equatable {
    /// Only in the store.
    case remote
    /// Whole and verified in the cache.
    case cached
    /// Arriving: bytes that are here, and the whole size.
    case downloading(done: UInt64, total: UInt64)
}

/// What the cache holds and has done since it was made.
public struct CacheStatistics: Sendable, Equatable {
    /// A download under way.
    public struct InFlight: Sendable, Equatable {
        /// The session.
        public var id: Int64
        /// Its file name.
        public var fileName: String
        /// Bytes that have arrived.
        public var done: UInt64
        /// The body's size in bytes.
        public var total: UInt64
        /// How many open files read it.
        public var readers: Int
    }
    /// Opens that found the body whole in the cache.
    public var hits: UInt64 = 0
    /// Opens that had to start or join a download.
    public var misses: UInt64 = 0
    /// Downloads that ended with a verified body.
    public var downloads: UInt64 = 0
    /// Downloads that failed; those that were cancelled do not count.
    public var failures: UInt64 = 0
    /// Bytes of bodies received from the store, repeated ones included.
    public var bytesDownloaded: UInt64 = 0
    /// Bodies removed to keep within the limit or to make room on the disk.
    public var evictions: UInt64 = 0
    /// Bodies on the disk.
    public var cachedBodies = 0
    /// Their bytes.
    public var cachedBytes: UInt64 = 0
    /// Downloads under way, in the order of ids.
    public var inFlight: [InFlight] = []
}
