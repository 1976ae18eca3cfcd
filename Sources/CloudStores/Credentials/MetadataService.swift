internal import ObjectStore
internal import Platform

/// Asks a service of the local link: directly, never through a proxy, and with little patience.
struct MetadataService: Sendable {
    let http: HTTPClient
    /// For connecting and for each whole exchange, in milliseconds.
    var timeout = 1000

    /// The answer with its status and body. Redirects are not followed.
    func send(
        _ method: HTTPRequest.Method, _ url: String, headers: [(name: String, value: String)] = []
    ) async throws(StoreError) -> (status: Int, body: [UInt8]) {
        var request = HTTPRequest(method, url, headers: headers)
        request.usesProxy = false
        request.connectTimeoutMilliseconds = timeout
        request.totalTimeoutMilliseconds = timeout
        request.collectLimit = 64 << 10
        let response = try await http.send(request)
        return (response.head.status, response.body)
    }

    /// The error for an answer that is neither success nor absence.
    static func failure(_ place: String, _ status: Int) -> StoreError {
        let temporary = status == 429 || status >= 500
        return StoreError(
            temporary ? .temporary : .unauthenticated, message: "\(place) gave no credentials", status: status)
    }
}

/// Credentials of the task's or pod's role: ECS, EKS Pod Identity, Greengrass
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
struct ContainerCredentials: CredentialsSource {
    let environment: AWSEnvironment
    let service: MetadataService

    private static let relative = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
    private static let full = "AWS_CONTAINER_CREDENTIALS_FULL_URI"

    func load() async throws(StoreError) -> CredentialsLookup {
        let url: String
        if let path = environment.value(Self.relative) {
            url = "http://169.254.170.2" + (path.hasPrefix("/") ? path : "/" + path)
        } else if let given = environment.value(Self.full) {
            guard Self.isTrusted(given) else {
                throw .missingCredentials(
                    "\(Self.full) is neither https nor on the loopback or container address: credentials are not "
                        + "fetched from there")
            }
            url = given
        } else {
            return .absent("no \(Self.relative) or \(Self.full) in the environment")
        }
        let place = "container metadata at \(Self.withoutQuery(url))"
        var headers = [(name: "Accept", value: "application/json")]
        if let token = try token() { headers.append((name: "Authorization", value: token.reveal())) }
        let (status, body) = try await service.send(.get, url, headers: headers)
        guard status == 200 else { throw MetadataService.failure(place, status) }
        return .found(try CredentialsDocument.parse(body, tokenKey: "Token", place: place), source: place)
    }

    /// Read anew each time, for the file's contents are rotated.
    private func token() throws(StoreError) -> Secret? {
        let name: String
        let text: String
        if let path = environment.value("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            name = path
            do throws(SystemError) {
                text = String(decoding: try Files.read(path, limit: 64 << 10), as: UTF8.self)
            } catch {
                throw StoreError(error)
            }
        } else if let value = environment.value("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            (name, text) = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", value)
        } else {
            return nil
        }
        let lines = text.split { $0.isNewline }
        guard lines.count == 1, let token = lines.first else {
            throw .missingCredentials("\(name) does not hold a token of one line")
        }
        return Secret(String(token))
    }

    /// Whether a token may be sent there: over TLS, or to this machine, or to the addresses that ECS and EKS serve on.
    static func isTrusted(_ url: String) -> Bool {
        let url = url.lowercased()
        if url.hasPrefix("https://") { return true }
        guard url.hasPrefix("http://") else { return false }
        let authority = url.dropFirst("http://".utf8.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if authority.contains("@") || authority.contains("\\") { return false }
        if authority.hasPrefix("[") {
            let address = authority.dropFirst().prefix { $0 != "]" }
            return address == "::1" || address == "fd00:ec2::23"
        }
        let host = authority.prefix { $0 != ":" }
        if ["localhost", "169.254.170.2", "169.254.170.23"].contains(host) { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func withoutQuery(_ url: String) -> String { String(url.prefix { $0 != "?" && $0 != "#" }) }
}

/// Credentials of the instance's role from the instance metadata service, version 2 only: version 1 hands them to
/// whoever can make the machine fetch a URL
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>).
struct InstanceCredentials: CredentialsSource {
    let environment: AWSEnvironment
    let service: MetadataService

    private var endpoint: String {
        if let given = environment.value("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            return given.hasSuffix("/") ? String(given.dropLast()) : given
        }
        let mode = environment.value("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")?.lowercased()
        return mode == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254"
    }

    func load() async throws(StoreError) -> CredentialsLookup {
        if environment.isTrue("AWS_EC2_METADATA_DISABLED") {
            return .absent("instance metadata is switched off by AWS_EC2_METADATA_DISABLED")
        }
        let place = "instance metadata at \(endpoint)"
        let session: String
        do throws(StoreError) {
            let (status, body) = try await service.send(
                .put, endpoint + "/latest/api/token",
                headers: [(name: "X-aws-ec2-metadata-token-ttl-seconds", value: "21600")])
            if [400, 403, 404, 405, 501].contains(status) {
                return .absent("\(place) offers no IMDSv2 session (HTTP \(status))")
            }
            guard status == 200 else { throw MetadataService.failure(place, status) }
            session = String(decoding: body, as: UTF8.self)
        } catch  where error.kind == .unreachable || (error.kind == .temporary && error.status == nil) {
            return .absent("no \(place)")
        }
        guard !session.isEmpty, session.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return .absent("\(place) answers with something else than a session token")
        }
        let headers = [(name: "X-aws-ec2-metadata-token", value: session)]
        let path = endpoint + "/latest/meta-data/iam/security-credentials/"
        let (status, body) = try await service.send(.get, path, headers: headers)
        if status == 404 { return .absent("\(place): the instance has no role") }
        guard status == 200 else { throw MetadataService.failure(place, status) }
        guard let role = String(decoding: body, as: UTF8.self).split(whereSeparator: \.isNewline).first else {
            return .absent("\(place): the instance has no role")
        }
        let answer = try await service.send(.get, path + SigV4.encodePath(String(role)), headers: headers)
        guard answer.status == 200 else { throw MetadataService.failure(place, answer.status) }
        return .found(
            try CredentialsDocument.parse(answer.body, tokenKey: "Token", place: place),
            source: "role \(role) from \(place)")
    }
}
