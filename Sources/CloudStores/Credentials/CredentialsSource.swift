internal import JSON
internal import ObjectStore
internal import Platform

/// One place where credentials may be found.
protocol CredentialsSource: Sendable {
    /// Looks there.
    /// - Throws: `StoreError` when the place is configured and does not give what it should: looking elsewhere would hide
    ///   the mistake.
    func load() async throws(StoreError) -> CredentialsLookup
}

/// What a look at one place brought.
enum CredentialsLookup: Sendable {
    /// Credentials, and where they come from in words.
    case found(AWSCredentials, source: String)
    /// Nothing is configured there; what was looked for, in words.
    case absent(String)
}

/// `AWS_ACCESS_KEY_ID` and its companions.
struct EnvironmentCredentials: CredentialsSource {
    let environment: AWSEnvironment

    func load() async throws(StoreError) -> CredentialsLookup {
        let id = environment.value("AWS_ACCESS_KEY_ID")
        let secret = environment.value("AWS_SECRET_ACCESS_KEY")
        switch (id, secret) {
        case (let id?, let secret?):
            let token = environment.value("AWS_SESSION_TOKEN").map { Secret($0) }
            let credentials = AWSCredentials(
                accessKeyID: Secret(id), secretAccessKey: Secret(secret), sessionToken: token)
            return .found(credentials, source: "the environment (AWS_ACCESS_KEY_ID)")
        case (nil, nil):
            return .absent("no AWS_ACCESS_KEY_ID in the environment")
        case (_, nil):
            throw .missingCredentials("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not")
        case (nil, _):
            throw .missingCredentials("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not")
        }
    }
}

/// Roles for service accounts of Kubernetes need the STS service, which is not spoken here: said rather than passed over.
struct WebIdentityNotice: CredentialsSource {
    let environment: AWSEnvironment

    func load() async throws(StoreError) -> CredentialsLookup {
        if environment.value("AWS_WEB_IDENTITY_TOKEN_FILE") != nil {
            throw .missingCredentials(
                "AWS_WEB_IDENTITY_TOKEN_FILE is set, but web identity roles are not supported; use EKS Pod Identity, "
                    + "credential_process or access keys")
        }
        return .absent("no AWS_WEB_IDENTITY_TOKEN_FILE in the environment")
    }
}

extension StoreError {
    static func missingCredentials(_ message: String) -> StoreError { StoreError(.unauthenticated, message: message) }
}

/// The JSON in which metadata services and credential processes hand out credentials.
enum CredentialsDocument {
    /// - Parameters:
    ///   - tokenKey: `Token` from metadata services, `SessionToken` from processes.
    ///   - place: whose answer it is, for the error.
    /// - Throws: `.unauthenticated`, quoting nothing of the answer except a service's `Code` and `Message`.
    static func parse(_ bytes: [UInt8], tokenKey: String, place: String) throws(StoreError) -> AWSCredentials {
        let json: JSONValue
        do throws(JSONError) { json = try JSONValue.parse(bytes) } catch {
            throw .missingCredentials("\(place) did not answer with JSON")
        }
        if let code = json["Code"]?.string, code != "Success" {
            let message = json["Message"]?.string ?? json["message"]?.string
            throw .missingCredentials("\(place) refused: " + [code, message].compactMap { $0 }.joined(separator: ": "))
        }
        guard let id = json["AccessKeyId"]?.string, let secret = json["SecretAccessKey"]?.string, !id.isEmpty,
            !secret.isEmpty
        else { throw .missingCredentials("\(place) answered without AccessKeyId and SecretAccessKey") }
        var expiration: Timestamp?
        if let text = json["Expiration"]?.string {
            expiration = time(text)
            guard expiration != nil else {
                throw .missingCredentials("\(place) answered with an Expiration that is no ISO 8601 time")
            }
        }
        let token = json[tokenKey]?.string.flatMap { $0.isEmpty ? nil : Secret($0) }
        return AWSCredentials(
            accessKeyID: Secret(id), secretAccessKey: Secret(secret), sessionToken: token, expiration: expiration)
    }

    /// ISO 8601 in UTC or with an offset, which some credential processes write.
    private static func time(_ text: String) -> Timestamp? {
        if let time = S3Dates.iso8601(text) { return time }
        guard let sign = text.utf8.lastIndex(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }),
            let local = S3Dates.iso8601(text[..<sign] + "Z")
        else { return nil }
        let digits = text[sign...].dropFirst().filter { $0 != ":" }
        guard digits.utf8.count == 4, let offset = Int64(digits), offset >= 0 else { return nil }
        let seconds = (offset / 100 * 60 + offset % 100) * 60
        let east = text.utf8[sign] == UInt8(ascii: "+")
        return local.later(by: Double(east ? -seconds : seconds))
    }
}
