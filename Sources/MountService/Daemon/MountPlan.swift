public import Control
public import ObjectStore
public import Platform
public import Sync

/// Everything that a mount needs, resolved: what the configuration, the environment and the command line came to.
public struct MountPlan: Sendable {
    /// The bucket, with retries and metrics around it.
    public var store: any ObjectStore
    /// The bucket without the retries, for downloads, which have their own.
    public var bodies: any ObjectStore
    /// The most bytes per second that pass.
    public var limits: BandwidthLimits
    /// When bytes last moved to or from the store.
    public var activity: LineActivity
    /// Requests made to the store so far.
    public var requests: @Sendable () -> UInt64
    /// The directory of a directory store; nil for others.
    public var storeDirectory: String?
    /// Absolute, links resolved.
    public var mountpoint: String
    /// `<cache>/<store-id>`, made when it is missing.
    public var cacheDirectory: String
    /// `<state>/<store-id>`, made when it is missing.
    public var stateDirectory: String
    /// The most bytes of bodies in the cache; nil is no limit.
    public var cacheLimit: UInt64?
    /// Seconds between two looks at the bucket.
    public var pollInterval: Double
    /// The mount refuses changes.
    public var readOnly: Bool
    /// How changes are sent.
    public var publishing: PublisherOptions
    /// When close(2) of a written file returns.
    public var close: ClosePolicy
    /// Seconds that the daemon sends on after a plain umount or a signal.
    public var flushTimeout: Double
    /// What opening a session that is not cached does while the store is away.
    public var offlineReads: OfflineReads
    /// FastShot's key; nil for a bucket without one.
    public var key: Secret?
    /// What happens to the cache when the mount ends.
    public var unmountPolicy: UnmountPolicy
    /// Other users may enter.
    public var allowOther: Bool
    /// Handed on to the kernel or fusermount3.
    public var kernelOptions: [String]
    /// Kernel passthrough where it is possible.
    public var passthrough: Bool

    /// A plan from what is configured.
    /// - Parameter passthrough: false reads cached bodies through the daemon always.
    public init(_ settings: StoreSettings, mountpoint: String, passthrough: Bool) throws(MountFailure) {
        let opened = try OpenedStore(settings)
        store = opened.store
        bodies = opened.unretried
        requests = { opened.requests }
        limits = opened.limits
        activity = opened.activity
        if case .directory(let path) = settings.location { storeDirectory = path }
        self.mountpoint = mountpoint
        cacheDirectory = settings.cacheDirectory
        stateDirectory = settings.stateDirectory
        cacheLimit = settings.cacheLimit
        pollInterval = settings.pollInterval
        readOnly = settings.readOnly
        publishing = PublisherOptions()
        publishing.key = settings.encryptionKey
        publishing.foreign = settings.foreign
        publishing.strategy = settings.conflicts
        publishing.strategies = settings.conflictKinds
        close = settings.close
        flushTimeout = settings.flushTimeout
        offlineReads = settings.offlineReads
        key = settings.encryptionKey
        unmountPolicy = settings.unmountPolicy
        allowOther = settings.allowOther
        kernelOptions = settings.kernelOptions
        self.passthrough = passthrough
    }
}

/// Why a mount did not come about, or ended badly: words for the user and the command's exit code.
public struct MountFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What failed, on what, and what to do.
    public let description: String
    /// What the command ends with.
    public let exitCode: ExitCode

    /// A failure by its words.
    public init(_ description: String, _ exitCode: ExitCode = .failed) {
        self.description = description
        self.exitCode = exitCode
    }
}

/// The exit codes of every command; `docs/command-line.md` lists them.
public enum ExitCode: Int32, Sendable {
    case done = 0
    case failed = 1
    case usage = 2
    /// Something was not sent, or is in conflict.
    case unsent = 3
    /// The store cannot be reached.
    case unreachable = 4
    /// Denied: by the store, or by this machine.
    case denied = 5

    /// The code for a store's refusal.
    public init(_ error: StoreError) {
        switch error.kind {
        case .unreachable, .offline, .temporary, .throttled: self = .unreachable
        case .unauthenticated, .forbidden: self = .denied
        default: self = .failed
        }
    }
}
