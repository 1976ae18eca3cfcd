/// How the cache of bodies behaves. The defaults suit a desktop.
public struct CacheOptions: Sendable {
    /// The most bytes of bodies that stay on the disk; the least recently used go first. Nil is no limit.
    /// Bodies that are open or pinned do not go. Default 10 GiB.
    public var maxBytes: UInt64? = 10 << 30
    /// Whether opening a file starts its download. False waits for the first read, so that programs which only look
    /// whether a file can be opened cost nothing. Default true.
    public var startOnOpen = true
    /// When the last reader closes a file that is still arriving.
    public var whenClosed = WhenClosed.finish(upTo: 64 << 20, orFrom: 0.25)
    /// Ranges of one large object that are fetched at the same time when one connection is not fast enough. Default 8.
    public var connections = 8
    /// Seconds without a byte after which a download fails with `.offline` or `.io`. Until then errors that may pass
    /// are repeated. Default 30.
    public var stallLimit: Double = 30

    /// Whether opening a body that is not cached waits while the store is known to be away, until it is back; false
    /// fails at once with `.offline`. The same goes for downloads under way. Default false.
    public var waitsWhenOffline = false

    /// What becomes of a download that nobody reads any more.
    public enum WhenClosed: Sendable, Equatable {
        /// It ends and leaves nothing.
        case stop
        /// It is finished when the object is no larger than `upTo` bytes or when at least the part `orFrom`, 0 to 1,
        /// of it has arrived; else it stops.
        case finish(upTo: UInt64, orFrom: Double)

        func finishes(arrived: UInt64, of size: UInt64) -> Bool {
            switch self {
            case .stop: false
            case .finish(let upTo, let part): size <= upTo || Double(arrived) >= part * Double(size)
            }
        }
    }

    /// The defaults.
    public init() {}

    /// The numbers of the plan; tests shorten its times.
    var policy: DownloadPlan.Policy {
        get {
            var policy = basePolicy
            policy.connections = max(1, connections)
            policy.stallLimit = stallLimit
            policy.waitsWhenOffline = waitsWhenOffline
            return policy
        }
        set { basePolicy = newValue }
    }
    private var basePolicy = DownloadPlan.Policy()
}
