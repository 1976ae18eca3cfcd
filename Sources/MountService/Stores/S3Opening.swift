internal import CloudStores
internal import ObjectStore
internal import Platform

/// Makes the S3 client of a configured store: what the configuration leaves open comes from where AWS's own tools
/// look.
enum S3Opening {
    static func open(
        _ settings: StoreSettings, _ limits: BandwidthLimits, _ activity: LineActivity
    ) throws(MountFailure) -> S3Store {
        guard case .s3(let bucket, let prefix) = settings.location else {
            throw MountFailure("\(settings.location.url) is no S3 store", .usage)
        }
        do throws(StoreError) {
            let http = HTTPClient(options(settings, limits, activity))
            var configuration = S3Configuration(bucket: bucket, prefix: prefix)
            configuration.endpoint = settings.endpoint
            configuration.region = settings.region
            if configuration.endpoint == nil {
                configuration.endpoint = try AWSEndpoint.resolve(profile: settings.profile)
            }
            if configuration.region == nil { configuration.region = try AWSRegion.resolve(profile: settings.profile) }
            configuration.addressing =
                switch settings.addressing {
                case .auto: .automatic
                case .path: .path
                case .virtual: .virtualHost
                }
            let chain = CredentialsChain.standard(
                profile: settings.profile, explicit: settings.credentials.map(AWSCredentials.init),
                anonymous: settings.anonymous, http: http)
            return try S3Store(configuration: configuration, credentials: chain, http: http)
        } catch {
            throw MountFailure(error.description, .usage)
        }
    }

    private static func options(
        _ settings: StoreSettings, _ limits: BandwidthLimits, _ activity: LineActivity
    ) -> HTTPOptions {
        var options = HTTPOptions()
        options.limits = limits
        options.activity = activity
        options.proxy = settings.proxy
        options.caFile = settings.caFile
        options.verifiesTLS = settings.verifiesTLS
        options.userAgent = "sessionfs/\(Version.current)"
        return options
    }
}

extension AWSCredentials {
    fileprivate init(_ configured: ConfiguredCredentials) {
        self.init(
            accessKeyID: configured.accessKeyID, secretAccessKey: configured.secretAccessKey,
            sessionToken: configured.sessionToken)
    }
}
