internal import Platform

/// The most bytes per second that pass, for all transfers together. Can be changed at any time.
public final class BandwidthLimits: Sendable {
    private let held: Guarded<(upload: UInt64?, download: UInt64?)>

    /// Limits in bytes per second; nil is none.
    public init(upload: UInt64?, download: UInt64?) { held = Guarded((upload, download)) }

    /// Sent, in bytes per second; nil is no limit.
    public var upload: UInt64? { held.withLock { $0.upload } }

    /// Fetched, in bytes per second; nil is no limit.
    public var download: UInt64? { held.withLock { $0.download } }

    /// Sets both.
    public func set(upload: UInt64?, download: UInt64?) { held.withLock { $0 = (upload, download) } }
}
