import CloudStores
import ObjectStore
import Platform
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3))) struct S3DiagnosisTests {
    private func prepared(_ server: any S3Server) async throws -> S3Store {
        let store = try server.store(bucket: server.freshBucketName(), prefix: "p")
        try await store.createContainer()
        _ = try await store.put("overall_meta.json", .bytes([1, 2, 3]), .always)
        return store
    }

    private func levels(_ findings: [StoreFinding]) -> [String: StoreFinding.Level] {
        Dictionary(findings.map { ($0.name, $0.level) }) { _, last in last }
    }

    @Test func aGoodServerIsAllRight() async throws {
        let store = try await prepared(Ministack.shared())
        let findings = await store.diagnose(write: true)
        let levels = levels(findings)
        #expect(
            levels.filter { $0.key != "endpoint" } == [
                "credentials": .ok, "region": .ok, "clock": .ok, "bucket": .ok, "reading": .ok,
                "conditional reads": .ok, "writing": .ok, "conditional writes": .ok, "conditional deletes": .ok,
                "deleting": .ok,
            ], "\(findings)")
        // It is reached without TLS.
        #expect(levels["endpoint"] == .warning)
        #expect(try await store.list(ListRequest(prefix: "")).objects.map(\.key) == ["overall_meta.json"])
    }

    @Test func whatCephDoesNotHonourIsFound() async throws {
        let store = try await prepared(CephRGW.shared())
        let findings = await store.diagnose(write: true)
        let levels = levels(findings)
        #expect(levels["conditional reads"] == .ok, "\(findings)")
        #expect(levels["conditional writes"] == .ok, "\(findings)")
        #expect(levels["conditional deletes"] == .warning, "\(findings)")
        #expect(!levels.values.contains(.error), "\(findings)")
        #expect(try await store.list(ListRequest(prefix: "")).objects.map(\.key) == ["overall_meta.json"])
    }

    @Test func withoutWritingNothingIsWritten() async throws {
        let server = try Ministack.shared()
        let proxy = try FaultProxy(target: server.port)
        let bucket = server.freshBucketName()
        try await server.store(bucket: bucket).createContainer()
        let store = try S3Store(
            configuration: S3Configuration(bucket: bucket, endpoint: proxy.endpoint),
            credentials: StaticCredentials(
                AWSCredentials(accessKeyID: Secret(server.accessKey), secretAccessKey: Secret(server.secretKey)),
                source: "the test"), http: HTTPClient())
        let findings = await store.diagnose(write: false)
        #expect(!findings.contains { $0.level == .error }, "\(findings)")
        let requests = try proxy.statistics().requests
        #expect(!requests.isEmpty)
        #expect(requests.allSatisfy { $0.hasPrefix("GET ") }, "\(requests)")
    }

    @Test func whatIsMissingIsNamedWithAdvice() async throws {
        let server = try Ministack.shared()
        let findings = await (try server.store(bucket: server.freshBucketName())).diagnose(write: true)
        #expect(findings.last?.name == "bucket")
        #expect(findings.last?.level == .error)
        #expect(findings.last?.advice != nil)
    }

    @Test func aWrongKeyIsNamedAndNeverShown() async throws {
        for server in [try Ministack.shared(), try CephRGW.shared()] as [any S3Server] {
            let bucket = server.freshBucketName()
            try await server.store(bucket: bucket).createContainer()
            let findings = await (try server.store(bucket: bucket, secretKey: "hidden-word")).diagnose(write: false)
            #expect(findings.last?.level == .error)
            #expect(findings.last?.advice?.contains("AWS_SECRET_ACCESS_KEY") == true, "\(findings)")
            #expect(!"\(findings)".contains("hidden-word"))
        }
    }

    @Test func aServerThatIsAwayEndsTheDiagnosis() async throws {
        let store = try S3Store(
            configuration: S3Configuration(bucket: "b", endpoint: "http://127.0.0.1:\(try freePort())"),
            credentials: StaticCredentials.anonymous, http: HTTPClient())
        let findings = await store.diagnose(write: true)
        #expect(findings.map(\.name) == ["credentials", "endpoint"])
        #expect(findings.map(\.level) == [.warning, .error])
        #expect(findings.last?.advice != nil)
    }

    @Test func aWrongClockIsFound() async throws {
        let listing = Array("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".utf8)
        let server = try RawServer([
            .request, .answer("200 OK", ["Date: Wed, 21 Oct 2015 07:28:00 GMT"], body: listing), .again,
        ])
        let store = try S3Store(
            configuration: S3Configuration(bucket: "b", endpoint: server.url),
            credentials: StaticCredentials.anonymous, http: HTTPClient())
        let clock = await store.diagnose(write: false).first { $0.name == "clock" }
        #expect(clock?.level == .error)
        #expect(clock?.message.contains("ahead") == true)
    }

    @Test func aBucketElsewhereIsFollowedAndTold() async throws {
        let listing = Array("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".utf8)
        let server = try RawServer([
            .request, .answer("400 Bad Request", ["x-amz-bucket-region: eu-west-3"]),
            .request, .answer("200 OK", body: listing), .request, .answer("200 OK", body: listing),
            .request, .answer("200 OK", body: listing), .request, .answer("404 Not Found"),
        ])
        let store = try S3Store(
            configuration: S3Configuration(bucket: "b", endpoint: server.url),
            credentials: StaticCredentials(
                AWSCredentials(accessKeyID: Secret("AKID"), secretAccessKey: Secret("secret")), source: "the test"),
            http: HTTPClient())
        let findings = await store.diagnose(write: false)
        let region = findings.first { $0.name == "region" }
        #expect(region?.level == .warning)
        #expect(region?.message.contains("eu-west-3") == true)
        #expect(server.requests[0].header("authorization")?.contains("/us-east-1/s3/") == true)
        #expect(server.requests[1].header("authorization")?.contains("/eu-west-3/s3/") == true)
    }

    private func store(_ server: RawServer) throws -> S3Store {
        try S3Store(
            configuration: S3Configuration(bucket: "b", endpoint: server.url),
            credentials: StaticCredentials.anonymous, http: HTTPClient())
    }

    @Test func readingIsTriedThoughListingIsRefused() async throws {
        let denied = Array("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>".utf8)
        let server = try RawServer([
            .request, .answer("403 Forbidden", body: denied),
            .request, .answer("206 Partial Content", ["Content-Range: bytes 0-0/9"], body: [1]),
        ])
        let levels = levels(await (try store(server)).diagnose(write: false))
        #expect(levels["bucket"] == .error)
        #expect(levels["reading"] == .ok)
    }

    @Test func aServerWithoutConditionsIsAWarningAndIsCleanedUp() async throws {
        let listing = Array("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".utf8)
        let unknown = Array("<Error><Code>NotImplemented</Code><Message>no conditions</Message></Error>".utf8)
        let server = try RawServer([
            .request, .answer("200 OK", body: listing), .request, .answer("200 OK", body: listing),
            .request, .answer("404 Not Found"),
            .request, .answer("200 OK", ["ETag: \"a\""]), .request, .answer("501 Not Implemented", body: unknown),
            .request, .answer("204 No Content"),
        ])
        let levels = levels(await (try store(server)).diagnose(write: true))
        #expect(levels["writing"] == .ok)
        #expect(levels["conditional writes"] == .warning)
        #expect(levels["deleting"] == .ok)
        let lines = server.requests.map(\.line)
        #expect(lines.last == lines[3].replacing("PUT", with: "DELETE"))
    }
}
