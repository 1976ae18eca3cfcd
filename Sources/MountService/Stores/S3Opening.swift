internal import CloudStores
internal import ObjectStore
internal import Platform

/// Makes the S3 client of a configured store.
enum S3Opening {
    static func open(_ settings: StoreSettings) throws(MountFailure) -> any ObjectStore {
        guard case .s3(let bucket, let prefix) = settings.location else {
            throw MountFailure("\(settings.location.url) is no S3 store", .usage)
        }
        var options = HTTPOptions()
        options.proxy = settings.proxy
        options.caFile = settings.caFile
        options.verifiesTLS = settings.verifiesTLS
        options.userAgent = "sessionfs/\(Version.current)"
        let http = HTTPClient(options)
        var configuration = S3Configuration(
            bucket: bucket, prefix: prefix, endpoint: settings.endpoint, region: settings.region)
        configuration.addressing =
            switch settings.addressing {
            case .auto: .automatic
            case .path: .path
            case .virtual: .virtualHost
            }
        let provider: any CredentialsProvider
        if settings.anonymous { provider = CloudStores.StaticCredentials.anonymous }
        else { provider = CloudStores.StaticCredentials(AWSCredentials(accessKeyID: Secret(Environment.value("AWS_ACCESS_KEY_ID") ?? ""), secretAccessKey: Secret(Environment.value("AWS_SECRET_ACCESS_KEY") ?? "")), source: "environment") }
        do throws(StoreError) {
            return try S3Store(configuration: configuration.filled(from: Environment.value), credentials: provider, http: http)
        } catch {
            throw MountFailure(error.description, .usage)
        }
    }
}
