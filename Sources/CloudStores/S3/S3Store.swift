internal import Digests
public import ObjectStore
internal import Platform

/// A bucket of Amazon S3 or of a server that speaks its protocol
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html>). See ``ObjectStore`` for the contract.
public final class S3Store: ObjectStore {
    /// How a server wants the tag of `If-Match` on a write. RFC 9110 asks for quotes; Ceph takes none.
    enum TagSpelling: Sendable {
        case quoted
        case bare

        func spell(_ tag: String) -> String { self == .quoted ? "\"\(tag)\"" : tag }
        var other: TagSpelling { self == .quoted ? .bare : .quoted }
    }

    private struct Learnt {
        var region: String
        var spelling = TagSpelling.quoted
    }

    let configuration: S3Configuration
    let provider: any CredentialsProvider
    let http: HTTPClient
    let endpoint: S3Endpoint
    private let learnt: Guarded<Learnt>
    /// Of every key: the configured prefix with its slash, or empty.
    let prefix: String

    /// Makes a client of a bucket; makes no request.
    /// - Throws: `.permanent` when endpoint, bucket or region cannot be part of a URL.
    public init(
        configuration: S3Configuration, credentials: any CredentialsProvider, http: HTTPClient
    ) throws(StoreError) {
        self.configuration = configuration
        self.http = http
        provider = credentials
        endpoint = try S3Endpoint(configuration)
        prefix = configuration.prefix.isEmpty ? "" : configuration.prefix + "/"
        learnt = Guarded(Learnt(region: configuration.region ?? "us-east-1"))
    }

    /// See ``ObjectStore/location``.
    public var location: String { configuration.location }

    /// See ``ObjectStore/capabilities``.
    public var capabilities: StoreCapabilities {
        StoreCapabilities(etagIsContentMD5: isContentHash, isRemote: true, wantsSHA256: !endpoint.isEncrypted)
    }

    /// The region in use: configured, or what the store named for the bucket.
    public var region: String { learnt.withLock { $0.region } }

    /// Tags of S3 Express buckets look like an MD5 and are none.
    var isContentHash: Bool { !configuration.bucket.hasSuffix("--x-s3") }

    /// How tags of conditional writes are spelt for now.
    var spelling: TagSpelling { learnt.withLock { $0.spelling } }
    func learn(_ spelling: TagSpelling) { learnt.withLock { $0.spelling = spelling } }

    // MARK: Requests

    /// A request to the bucket, not yet signed.
    struct Call: Sendable {
        var method: HTTPRequest.Method
        /// Relative to the store's prefix; nil for the bucket.
        var key: String?
        var query: [(String, String)] = []
        var headers: [(String, String)] = []
        var body = HTTPRequest.Body.none
        var payloadHash = SigV4.emptyPayload
        var expectedLength: UInt64?
        /// Seconds that the server may be silent, instead of the client's own.
        var patience: Int?
    }

    /// Makes a request; once more when the store names another region for the bucket, and once more with new credentials
    /// when it refuses those that were used as expired.
    /// - Returns: an answer with a 2xx status, or 304.
    func perform(_ call: Call, into sink: (any HTTPBodySink)? = nil) async throws(StoreError) -> HTTPResponse {
        var (hasMoved, hasRenewed) = (false, false)
        while true {
            let region = self.region
            let used = try await credentials(call)
            let response = try await attempt(call, region, sink, used)
            if response.head.isSuccess || response.head.status == 304 { return response }
            let failure = failure(response, call)
            if !hasMoved, let named = failure.region, named != region, S3Configuration.isName(named) {
                Log("s3").info("the bucket is in another region", ["bucket": configuration.bucket, "region": named])
                learnt.withLock { $0.region = named }
                hasMoved = true
                continue
            }
            guard !hasRenewed, Self.asksForOthers(failure.error), let used,
                await provider.renewed(afterRefusalOf: used) != nil
            else { throw failure.error }
            hasRenewed = true
        }
    }

    /// Whether other credentials may help.
    private static func asksForOthers(_ error: StoreError) -> Bool {
        switch error.providerCode {
        case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId",
            "RequestExpired":
            true
        default: false
        }
    }

    private func credentials(_ call: Call) async throws(StoreError) -> AWSCredentials? {
        do throws(StoreError) { return try await provider.credentials() } catch { throw Self.about(call, error) }
    }

    func failure(_ response: HTTPResponse, _ call: Call) -> S3Failure {
        S3Failure(response.head, body: response.body, key: call.key ?? "", bucket: configuration.bucket)
    }

    /// Signs with the provider's credentials and sends, whatever comes back.
    func attempt(_ call: Call, _ region: String) async throws(StoreError) -> HTTPResponse {
        try await attempt(call, region, nil, try await credentials(call))
    }

    private func attempt(
        _ call: Call, _ region: String, _ sink: (any HTTPBodySink)?, _ credentials: AWSCredentials?
    ) async throws(StoreError) -> HTTPResponse {
        let address = endpoint.address(call.key.map { prefix + $0 }, region: region)
        let query = SigV4.encodeQuery(call.query)
        var headers = call.headers
        do throws(StoreError) {
            if let credentials {
                headers += SigV4.sign(
                    method: call.method.rawValue, host: address.host, path: address.path, query: call.query,
                    headers: call.headers, payloadHash: call.payloadHash, credentials: credentials, region: region,
                    service: "s3", time: .now)
            }
            let url = "\(address.scheme)://\(address.host)\(address.path)" + (query.isEmpty ? "" : "?" + query)
            var request = HTTPRequest(
                call.method, url, headers: headers.map { (name: $0.0, value: $0.1) }, body: call.body,
                expectedLength: call.expectedLength)
            request.stallTimeoutSeconds = call.patience
            return try await http.send(request, into: sink)
        } catch {
            throw Self.about(call, error)
        }
    }

    private static func about(_ call: Call, _ error: StoreError) -> StoreError {
        var error = error
        if error.key.isEmpty { error.key = call.key ?? "" }
        return error
    }
}
