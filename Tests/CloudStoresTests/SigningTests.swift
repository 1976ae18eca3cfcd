import Foundation
import JSON
import Platform
import Testing

@testable import CloudStores

/// The examples of <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
@Suite("SigV4: AWS's published examples")
struct SigV4ExampleTests {
    static let credentials = AWSCredentials(
        accessKeyID: Secret("AKIAIOSFODNN7EXAMPLE"),
        secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
    static let time = Timestamp.utc(year: 2013, month: 5, day: 24, hour: 0, minute: 0, second: 0)

    private func sign(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
        payloadHash: String = SigV4.emptyPayload
    ) -> [(String, String)] {
        SigV4.sign(
            method: method, host: "examplebucket.s3.amazonaws.com", path: path, query: query, headers: headers,
            payloadHash: payloadHash, credentials: Self.credentials, region: "us-east-1", service: "s3",
            time: Self.time)
    }

    private func authorization(_ signedHeaders: String, _ signature: String) -> String {
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            + "SignedHeaders=\(signedHeaders), Signature=\(signature)"
    }

    @Test("GET of a range")
    func getRange() {
        let added = sign("GET", "/test.txt", headers: [("Range", "bytes=0-9")])
        #expect(
            added.first { $0.0 == "Authorization" }?.1
                == authorization(
                    "host;range;x-amz-content-sha256;x-amz-date",
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"))
        #expect(added.map(\.0) == ["Authorization", "x-amz-content-sha256", "x-amz-date"])
        #expect(added.first { $0.0 == "x-amz-date" }?.1 == "20130524T000000Z")
    }

    @Test("PUT of an object whose key needs encoding")
    func put() {
        let added = sign(
            "PUT", "/" + SigV4.encodePath("test$file.text"),
            headers: [
                ("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ], payloadHash: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")
        #expect(
            added.first?.1
                == authorization(
                    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"))
    }

    @Test("a subresource without a value")
    func lifecycle() {
        let added = sign("GET", "/", query: [("lifecycle", "")])
        #expect(
            added.first?.1
                == authorization(
                    "host;x-amz-content-sha256;x-amz-date",
                    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"))
    }

    @Test("a listing, its query given in either order")
    func list() {
        let expected = authorization(
            "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        #expect(sign("GET", "/", query: [("max-keys", "2"), ("prefix", "J")]).first?.1 == expected)
        #expect(sign("GET", "", query: [("prefix", "J"), ("max-keys", "2")]).first?.1 == expected)
    }

    @Test("canonical request and string to sign of the range example")
    func intermediateTexts() {
        let request = CanonicalRequest(
            method: "GET", path: "/test.txt", query: [],
            headers: [
                ("X-Amz-Date", "20130524T000000Z"), ("Host", "examplebucket.s3.amazonaws.com"),
                ("Range", "bytes=0-9"), ("X-Amz-Content-SHA256", SigV4.emptyPayload),
            ], payloadHash: SigV4.emptyPayload)
        #expect(
            request.text == """
                GET
                /test.txt

                host:examplebucket.s3.amazonaws.com
                range:bytes=0-9
                x-amz-content-sha256:\(SigV4.emptyPayload)
                x-amz-date:20130524T000000Z

                host;range;x-amz-content-sha256;x-amz-date
                \(SigV4.emptyPayload)
                """)
        let scope = SigV4.scope(date: "20130524T000000Z", region: "us-east-1", service: "s3")
        #expect(
            SigV4.stringToSign(request, date: "20130524T000000Z", scope: scope) == """
                AWS4-HMAC-SHA256
                20130524T000000Z
                20130524/us-east-1/s3/aws4_request
                7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972
                """)
    }
}

@Suite("SigV4: the same signatures as botocore")
struct SigV4BotocoreTests {
    struct Document: Decodable {
        struct Case: Decodable, Sendable, CustomTestStringConvertible {
            let name: String, method: String, host: String, key: String, path: String
            let query: [[String]], headers: [[String]]
            let payloadHash: String, region: String, canonicalRequest: String, authorization: String
            let token: String?
            var testDescription: String { name }
        }
        let seconds: Int64
        let accessKeyID: String, secretAccessKey: String
        let cases: [Case]
    }

    static let document: Document = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../Fixtures/sigv4/vectors.json")
        do { return try JSONDecoder().decode(Document.self, from: Data(contentsOf: file)) } catch {
            fatalError("\(file.path): \(error)")
        }
    }()

    @Test("odd keys, queries, headers and tokens", arguments: document.cases)
    func vector(_ vector: Document.Case) throws {
        let document = Self.document
        #expect("/" + SigV4.encodePath(vector.key) == vector.path)
        let query = vector.query.map { ($0[0], $0[1]) }
        let headers = vector.headers.map { ($0[0], $0[1]) }
        let added = SigV4.sign(
            method: vector.method, host: vector.host, path: "/" + SigV4.encodePath(vector.key), query: query,
            headers: headers, payloadHash: vector.payloadHash,
            credentials: AWSCredentials(
                accessKeyID: Secret(document.accessKeyID), secretAccessKey: Secret(document.secretAccessKey),
                sessionToken: vector.token.map { Secret($0) }),
            region: vector.region, service: "s3", time: Timestamp(seconds: document.seconds))
        let request = CanonicalRequest(
            method: vector.method, path: vector.path, query: query,
            headers: headers + [("host", vector.host)] + added.dropFirst(), payloadHash: vector.payloadHash)
        #expect(request.text == vector.canonicalRequest)
        #expect(added.first?.1 == vector.authorization)
        #expect(added.first { $0.0 == "x-amz-security-token" }?.1 == vector.token)
    }

    @Test("there are vectors")
    func present() { #expect(Self.document.cases.count >= 15) }
}

@Suite("Percent encoding for S3")
struct PercentEncodingTests {
    @Test("every byte but unreserved ones and slashes")
    func path() {
        #expect(SigV4.encodePath("a/b-c_d.e~f") == "a/b-c_d.e~f")
        #expect(SigV4.encodePath("//x/../ +%") == "//x/../%20%2B%25")
        #expect(SigV4.encodePath("截é") == "%E6%88%AA%C3%A9")
        // A composed and a decomposed accent are different keys.
        #expect(SigV4.encodePath("e\u{301}") == "e%CC%81")
        #expect(SigV4.encodePath("") == "")
    }

    @Test("queries are encoded, then ordered")
    func query() {
        #expect(SigV4.encodeQuery([]) == "")
        #expect(SigV4.encodeQuery([("uploads", "")]) == "uploads=")
        #expect(SigV4.encodeQuery([("b", "1"), ("a", "x/y z"), ("a", "+")]) == "a=%2B&a=x%2Fy%20z&b=1")
    }

    @Test("repeated headers are one, values lose outer and repeated spaces")
    func headers() {
        let request = CanonicalRequest(
            method: "GET", path: "", query: [], headers: [("X-B", " 2  3 "), ("x-a", "1"), ("x-b", "4")],
            payloadHash: "h")
        #expect(request.text == "GET\n/\n\nx-a:1\nx-b:2 3,4\n\nx-a;x-b\nh")
    }
}
