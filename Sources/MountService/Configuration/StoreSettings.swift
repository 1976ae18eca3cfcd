public import Control
public import Platform
public import SessionCache
public import Sync

/// How a bucket's name stands in a request to S3.
public enum Addressing: String, Sendable, CaseIterable {
    /// `https://server/bucket/key`.
    case path
    /// `https://bucket.server/key`.
    case virtual
    /// Virtual for the provider's own servers and names that allow it, path else.
    case auto
}

/// When close(2) of a written file returns.
public enum ClosePolicy: String, Sendable, CaseIterable {
    /// When the bytes are durable on this machine. The default.
    case local
    /// When they are in the bucket.
    case cloud
}

/// What opening a session that is not cached does while the store is away.
public enum OfflineReads: String, Sendable, CaseIterable {
    /// It fails at once. The default.
    case fail
    /// It waits for the store.
    case wait
}

/// Everything that is configured about one store and its mount, resolved.
public struct StoreSettings: Sendable, Equatable {
    /// The section that it came from; nil when a URL was given.
    public var name: String?
    /// Where the store is.
    public var location: StoreLocation
    /// The server; nil is the provider's own.
    public var endpoint: String?
    /// Nil leaves it to the provider's chain.
    public var region: String?
    /// Nil leaves it to the provider's chain.
    public var profile: String?
    /// Credentials of the configuration; nil leaves them to the provider's chain.
    public var credentials: ConfiguredCredentials?
    /// No signatures. Default false.
    public var anonymous: Bool
    /// Default ``Addressing/auto``.
    public var addressing: Addressing
    /// A PEM file; nil is the system's.
    public var caFile: String?
    /// An HTTP proxy's URL, which may hold a password; nil leaves it to the environment's `https_proxy` and so on.
    public var proxy: Secret?
    /// Default true.
    public var verifiesTLS: Bool
    /// The FastShot key; nil for a bucket without one.
    public var encryptionKey: Secret?
    /// The store's name in cache and state directories, see ``StoreIdentity``.
    public var storeID: String
    /// Absolute.
    public var cacheDirectory: String
    /// Absolute.
    public var stateDirectory: String
    /// In bytes; nil is no limit.
    public var cacheLimit: UInt64?
    /// Default ``UnmountPolicy/clean``.
    public var unmountPolicy: UnmountPolicy
    /// In seconds, default 10; 0 never polls.
    public var pollInterval: Double
    /// Default false.
    public var readOnly: Bool
    /// How conflicts are decided. Default ``ConflictStrategy/manual``.
    public var conflicts: ConflictStrategy
    /// The same for single kinds.
    public var conflictKinds: [ConflictKind: ConflictStrategy]
    /// What is done with files that are no FastShot sessions. Default ``ForeignContents/refuse``.
    public var foreign: ForeignContents
    /// When close(2) of a written file returns. Default ``ClosePolicy/local``.
    public var close: ClosePolicy
    /// Seconds that the daemon sends on after a plain umount or a signal. Default 60.
    public var flushTimeout: Double
    /// Default ``OfflineReads/fail``.
    public var offlineReads: OfflineReads
    /// The most bytes per second that are sent; nil is no limit.
    public var uploadLimit: UInt64?
    /// The most bytes per second that are fetched; nil is no limit.
    public var downloadLimit: UInt64?
    /// Default false.
    public var allowOther: Bool
    /// Further options for the kernel and libfuse.
    public var kernelOptions: [String]
    /// Default `.warning`.
    public var logLevel: Log.Level
}

/// Credentials that the configuration itself holds.
public struct ConfiguredCredentials: Sendable, Equatable {
    /// S3: the access key's id.
    public var accessKeyID: Secret
    /// S3: the key that signs.
    public var secretAccessKey: Secret
    /// S3: of temporary credentials.
    public var sessionToken: Secret?
}
