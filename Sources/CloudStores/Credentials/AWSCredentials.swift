public import ObjectStore
public import Platform

/// What signs requests to AWS and to stores that speak S3.
public struct AWSCredentials: Sendable, Equatable {
    /// The public half, `AKIA…`. Not printed either: it tells whose they are.
    public let accessKeyID: Secret
    /// The secret half.
    public let secretAccessKey: Secret
    /// What temporary credentials carry besides.
    public let sessionToken: Secret?
    /// When they stop being accepted; nil = never.
    public let expiration: Timestamp?

    /// Makes the value from its parts.
    public init(
        accessKeyID: Secret, secretAccessKey: Secret, sessionToken: Secret? = nil, expiration: Timestamp? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
    }
}

extension AWSCredentials {
    /// Whether a store cannot tell them apart, whenever they are said to expire.
    func areSame(as other: AWSCredentials) -> Bool {
        accessKeyID == other.accessKeyID && secretAccessKey == other.secretAccessKey
            && sessionToken == other.sessionToken
    }
}

/// Gives the credentials to sign a request with. Asked before every request: answers from memory while it can.
public protocol CredentialsProvider: Sendable {
    /// Credentials that hold now; nil = send the request without a signature.
    /// - Throws: `StoreError`, `.unauthenticated` when there are none, saying where they were looked for.
    func credentials() async throws(StoreError) -> AWSCredentials?

    /// Where the credentials come from, in words, after the first success. Never a secret.
    var source: String { get }

    /// A store has refused credentials as expired or unknown: looks for others at once, whatever time they claimed to
    /// have left.
    /// - Returns: others than the refused ones; nil when there are none.
    func renewed(afterRefusalOf refused: AWSCredentials) async -> AWSCredentials?
}

extension CredentialsProvider {
    /// None, unless there is a place to look at again.
    public func renewed(afterRefusalOf refused: AWSCredentials) async -> AWSCredentials? { nil }
}

/// Credentials that are given and do not change; nil ones leave requests unsigned.
public struct StaticCredentials: CredentialsProvider {
    private let value: AWSCredentials?
    /// Where they come from, in words.
    public let source: String

    /// - Parameters:
    ///   - credentials: nil for anonymous access.
    ///   - source: where they come from, in words.
    public init(_ credentials: AWSCredentials?, source: String) {
        value = credentials
        self.source = source
    }

    /// Requests without a signature.
    public static var anonymous: StaticCredentials { StaticCredentials(nil, source: "anonymous access") }

    /// The credentials that were given.
    public func credentials() async throws(StoreError) -> AWSCredentials? { value }
}
