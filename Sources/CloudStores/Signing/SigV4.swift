internal import Digests
internal import Platform

/// AWS Signature Version 4 in the `Authorization` header, with the payload in one piece
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>). Pure functions: the time is given.
enum SigV4 {
    /// The payload hash that says "not signed", for bodies that are sent over TLS without being read twice.
    static let unsignedPayload = "UNSIGNED-PAYLOAD"
    /// The SHA-256 of an empty body.
    static let emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// The headers that a request needs besides its own to be accepted.
    /// - Parameters:
    ///   - method: in capitals.
    ///   - host: as the `Host` header will say, with the port when it is not the scheme's own.
    ///   - path: already encoded, as it goes on the wire, see ``encodePath(_:)``.
    ///   - query: names and values not encoded; order does not matter.
    ///   - headers: what shall be signed besides `host` and the headers made here; their spelling does not matter.
    ///   - payloadHash: lower-case hex SHA-256 of the body, or ``unsignedPayload``.
    /// - Returns: `Authorization`, `x-amz-date`, `x-amz-content-sha256` and, with a session token,
    ///   `x-amz-security-token`. They contain credentials and are not for logs.
    static func sign(
        method: String, host: String, path: String, query: [(String, String)], headers: [(String, String)],
        payloadHash: String, credentials: AWSCredentials, region: String, service: String, time: Timestamp
    ) -> [(String, String)] {
        let date = time.iso8601Basic
        var added = [("x-amz-content-sha256", payloadHash), ("x-amz-date", date)]
        if let token = credentials.sessionToken { added.append(("x-amz-security-token", token.reveal())) }
        let canonical = CanonicalRequest(
            method: method, path: path, query: query, headers: headers + [("host", host)] + added,
            payloadHash: payloadHash)
        let scope = scope(date: date, region: region, service: service)
        let signature = signature(
            of: stringToSign(canonical, date: date, scope: scope), secret: credentials.secretAccessKey, date: date,
            region: region, service: service)
        let credential = "\(credentials.accessKeyID.reveal())/\(scope)"
        let authorization =
            "\(algorithm) Credential=\(credential), SignedHeaders=\(canonical.signedHeaders), Signature=\(signature)"
        return [("Authorization", authorization)] + added
    }

    private static let algorithm = "AWS4-HMAC-SHA256"

    /// `20130524/us-east-1/s3/aws4_request`: what a derived key is good for.
    /// - Parameter date: as ``Timestamp/iso8601Basic``.
    static func scope(date: String, region: String, service: String) -> String {
        "\(date.prefix(8))/\(region)/\(service)/aws4_request"
    }

    /// The text that is signed: a canonical request's digest with its time and scope.
    static func stringToSign(_ request: CanonicalRequest, date: String, scope: String) -> String {
        "\(algorithm)\n\(date)\n\(scope)\n\(SHA256.hex(Array(request.text.utf8)))"
    }

    private static func signature(
        of text: String, secret: Secret, date: String, region: String, service: String
    ) -> String {
        var key = Array("AWS4\(secret.reveal())".utf8)
        for part in [String(date.prefix(8)), region, service, "aws4_request"] {
            key = HMACSHA256.authenticate(key: key, message: Array(part.utf8))
        }
        return Hex.encode(HMACSHA256.authenticate(key: key, message: Array(text.utf8)))
    }
}

/// A request in the one spelling that client and server agree on.
struct CanonicalRequest {
    /// The whole text.
    let text: String
    /// Names of the headers in it, `;` between them.
    let signedHeaders: String

    /// - Parameters: as for `SigV4.sign`, `headers` with all of them.
    init(method: String, path: String, query: [(String, String)], headers: [(String, String)], payloadHash: String) {
        let headers = CanonicalRequest.canonical(headers)
        signedHeaders = headers.map(\.name).joined(separator: ";")
        var text = "\(method)\n\(path.isEmpty ? "/" : path)\n\(SigV4.encodeQuery(query))\n"
        for (name, value) in headers { text += "\(name):\(value)\n" }
        self.text = text + "\n\(signedHeaders)\n\(payloadHash)"
    }

    /// Names in lower case and in order, values trimmed, values of a repeated name joined in the order they were given.
    private static func canonical(_ headers: [(String, String)]) -> [(name: String, value: String)] {
        var merged: [String: String] = [:]
        for (name, value) in headers {
            let name = name.lowercased()
            let value = collapsingSpaces(value)
            merged[name] = merged[name].map { "\($0),\(value)" } ?? value
        }
        return merged.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map {
            (name: $0.key, value: $0.value)
        }
    }

    private static func collapsingSpaces(_ value: String) -> String {
        value.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
    }
}
