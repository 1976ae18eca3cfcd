public import Control
public import Platform

/// How a bucket's name stands in a request to S3.
public enum Addressing: String, Sendable, CaseIterable {
    /// `https://server/bucket/key`.
    case path
    /// `https://bucket.server/key`.
    case virtual
    /// Virtual for the provider's own servers and names that allow it, path else.
    case auto
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
