internal import ObjectStore
internal import Platform

/// What an answer that is not a success means.
struct S3Failure {
    /// For the caller.
    var error: StoreError
    /// The region that the store names for the bucket.
    var region: String?

    /// - Parameters:
    ///   - key: relative to the store's prefix; empty for the bucket.
    ///   - bucket: for the message.
    ///   - now: this computer's time, to judge its clock.
    init(_ head: HTTPResponseHead, body bytes: [UInt8], key: String, bucket: String, now: Timestamp = .now) {
        let body = S3ErrorBody(bytes)
        let code = body?.code
        region = head["x-amz-bucket-region"] ?? body?.region
        let kind = Self.kind(head, code, isObject: !key.isEmpty)
        error = StoreError(
            kind, key: key, message: Self.message(head, body, kind, bucket: bucket, now: now), providerCode: code,
            status: head.status, retryAfter: Self.retryAfter(head, now: now))
    }

    private static func kind(_ head: HTTPResponseHead, _ code: String?, isObject: Bool) -> StoreError.Kind {
        if let code, let kind = kinds[code] { return kind }
        return switch head.status {
        case 300..<400: .permanent
        case 401: .unauthenticated
        case 403: .forbidden
        case 404: isObject ? .notFound : .noContainer
        case 408: .temporary
        case 412: .precondition
        case 429: .throttled
        case 501: .unsupported
        case 503 where head["retry-after"] != nil: .throttled
        case 500...: .temporary
        default: .permanent
        }
    }

    /// Codes that say more than the status.
    private static let kinds: [String: StoreError.Kind] = [
        "NoSuchKey": .notFound, "NoSuchVersion": .notFound, "NoSuchUpload": .notFound, "NoSuchBucket": .noContainer,
        "SlowDown": .throttled, "RequestLimitExceeded": .throttled, "Throttling": .throttled,
        "ThrottlingException": .throttled, "TooManyRequests": .throttled, "TooManyRequestsException": .throttled,
        "RequestTimeout": .temporary, "InternalError": .temporary, "ServiceUnavailable": .temporary,
        "ConditionalRequestConflict": .temporary, "OperationAborted": .temporary, "IncompleteBody": .temporary,
        "BadDigest": .temporary, "XAmzContentSHA256Mismatch": .temporary,
        "InvalidAccessKeyId": .unauthenticated, "SignatureDoesNotMatch": .unauthenticated,
        "ExpiredToken": .unauthenticated, "InvalidToken": .unauthenticated, "TokenRefreshRequired": .unauthenticated,
        "RequestTimeTooSkewed": .unauthenticated, "AuthorizationHeaderMalformed": .unauthenticated,
        "RequestExpired": .unauthenticated, "AuthFailure": .unauthenticated,
        "MissingSecurityHeader": .unauthenticated,
        "AccessDenied": .forbidden, "AllAccessDisabled": .forbidden, "AccountProblem": .forbidden,
        "PreconditionFailed": .precondition, "NotImplemented": .unsupported, "InvalidRange": .permanent,
    ]

    /// What a code says by itself; nil for unknown ones.
    static func kind(code: String) -> StoreError.Kind? { kinds[code] }

    /// A server that asks to be left alone for longer, in seconds, is asked again all the same.
    private static let longestWait = 86_400.0

    private static func retryAfter(_ head: HTTPResponseHead, now: Timestamp) -> Double? {
        guard let text = head["retry-after"] else { return nil }
        if let seconds = Double(text), seconds >= 0 { return min(seconds, longestWait) }
        return S3Dates.http(text).map { min(max(0, $0.seconds(since: now)), longestWait) }
    }

    private static func message(
        _ head: HTTPResponseHead, _ body: S3ErrorBody?, _ kind: StoreError.Kind, bucket: String, now: Timestamp
    ) -> String {
        let said = body?.message
        if body?.code == "RequestTimeTooSkewed" {
            let server = body?.serverTime.flatMap { S3Dates.iso8601($0) } ?? S3Dates.http(head["date"])
            return "this computer's clock is wrong" + (server.map { ": " + skew(now.seconds(since: $0)) } ?? "")
        }
        if (300..<400).contains(head.status) {
            let target = body?.endpoint ?? head["location"]
            return "the bucket is elsewhere" + (target.map { ", at \($0): set that endpoint or region" } ?? "")
        }
        switch kind {
        case .noContainer: return said ?? "no such bucket: \(bucket)"
        case .notFound: return said ?? "no such object"
        case .precondition: return said ?? "the object is not the version that was meant"
        case .forbidden: return said ?? "access denied"
        case .throttled: return said ?? "the store asks for fewer requests"
        default: return said ?? (body == nil ? "the store answered without saying why" : "the request failed")
        }
    }

    /// `95 s ahead of the store's`.
    static func skew(_ seconds: Double) -> String {
        "it is \(Int(seconds.magnitude.rounded())) s \(seconds < 0 ? "behind" : "ahead of") the store's"
    }
}
