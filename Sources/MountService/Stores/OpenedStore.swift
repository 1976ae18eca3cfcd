internal import CloudStores
public import ObjectStore
internal import Platform

/// A configured store, ready for use: metered next to the provider, retried above that.
public struct OpenedStore: Sendable {
    /// What everything else uses.
    public let store: any ObjectStore
    /// The provider's own client, for `sessionfs check`.
    let provider: any ObjectStore
    /// The most bytes per second that pass.
    public let limits: BandwidthLimits
    /// When bytes last moved to or from the store.
    public let activity = LineActivity()
    private let metered: MeteredStore
    /// The same without retries.
    public var unretried: any ObjectStore { metered }

    /// Makes the client; no request is made.
    public init(_ settings: StoreSettings) throws(MountFailure) {
        limits = BandwidthLimits(upload: settings.uploadLimit, download: settings.downloadLimit)
        switch settings.location {
        case .directory(let path): provider = LocalDirectoryStore(directory: path, limits: limits)
        case .s3: provider = try S3Opening.open(settings, limits, activity)
        case .azure, .gcs:
            do throws(ConfigurationError) { try settings.location.requireSupport() } catch {
                throw MountFailure(error.description, .usage)
            }
            throw MountFailure("\(settings.location.url): cannot be opened", .usage)
        }
        metered = MeteredStore(provider)
        store = RetryingStore(metered)
    }

    /// Requests made so far, retries included.
    public var requests: UInt64 { metered.statistics.requests }
}
