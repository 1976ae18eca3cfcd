import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

@testable import CloudStores

@Suite("Credentials: metadata services", .timeLimit(.minutes(2)))
struct CredentialsMetadataTests {
    let server = MetadataServer.shared
    let http = HTTPClient()

    private func instance(_ mode: String, timeout: Int = 10_000) -> InstanceCredentials {
        InstanceCredentials(
            environment: AWSEnvironment(
                ["AWS_EC2_METADATA_SERVICE_ENDPOINT": "\(server.url)/\(mode)"], home: "/nonexistent"),
            service: MetadataService(http: http, timeout: timeout))
    }

    private func container(_ variables: [String: String]) -> ContainerCredentials {
        ContainerCredentials(
            environment: AWSEnvironment(variables, home: "/nonexistent"),
            service: MetadataService(http: http, timeout: 10_000))
    }

    private func absence(_ source: some CredentialsSource) async throws -> String {
        switch try await source.load() {
        case .absent(let what): return what
        case .found: return "found"
        }
    }

    private func error(_ source: some CredentialsSource) async throws -> StoreError {
        let error = try await #require(throws: StoreError.self) { _ = try await source.load() }
        #expect(!"\(error)".contains("s3cr3t"))
        return error
    }

    @Test("an instance's role by IMDSv2: session, role, credentials")
    func instanceRole() async throws {
        guard case .found(let credentials, let source) = try await instance("ok-3601").load() else {
            Issue.record("nothing found")
            return
        }
        #expect(credentials.parts == ["AKID1", "s3cr3t1", "t0k3n1"])
        #expect(credentials.expiration != nil)
        #expect(source == "role role one from instance metadata at \(server.url)/ok-3601")
        let path = "/latest/meta-data/iam/security-credentials/"
        #expect(
            try await server.requests("ok-3601")
                == ["PUT /latest/api/token", "GET \(path)", "GET \(path)role%20one"])
    }

    @Test("without IMDSv2 version 1 is not tried")
    func noVersion2() async throws {
        #expect(try await absence(instance("nov2")).contains("no IMDSv2 session (HTTP 403)"))
        #expect(try await server.requests("nov2") == ["PUT /latest/api/token"])
    }

    @Test("no role, no service, a service that hangs, one that is switched off: absent")
    func absences() async throws {
        #expect(try await absence(instance("norole")).contains("the instance has no role"))
        #expect(try await absence(instance("norolename")).contains("the instance has no role"))
        #expect(try await absence(instance("slow", timeout: 100)).hasPrefix("no instance metadata at"))
        let closed = AWSEnvironment(["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1/"], home: "/")
        let service = MetadataService(http: http)
        #expect(
            try await absence(InstanceCredentials(environment: closed, service: service))
                == "no instance metadata at http://127.0.0.1:1")
        let off = AWSEnvironment(
            [
                "AWS_EC2_METADATA_DISABLED": "True",
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": "\(server.url)/switched-off",
            ], home: "/")
        #expect(
            try await absence(InstanceCredentials(environment: off, service: service))
                == "instance metadata is switched off by AWS_EC2_METADATA_DISABLED")
        #expect(try await server.requests("switched-off") == [])
    }

    @Test("a service that answers wrongly: an error with its reason, without its body")
    func wrongAnswers() async throws {
        let denied = try await error(instance("denied"))
        #expect(denied.kind == .unauthenticated)
        #expect(denied.message.hasSuffix("refused: AssumeRoleUnauthorizedAccess: EC2 cannot assume the role"))
        let broken = try await error(instance("broken"))
        #expect(broken.kind == .temporary && broken.status == 500)
        #expect(try await error(instance("garbage")).message.hasSuffix("did not answer with JSON"))
    }

    @Test("container credentials with a token from the environment or, before it, from a file")
    func containerRole() async throws {
        let full = ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "\(server.url)/ok-900/container"]
        let token = ["AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token"]
        guard case .found(let credentials, let source) = try await container(full.merging(token) { $1 }).load() else {
            Issue.record("nothing found")
            return
        }
        #expect(credentials.parts[0]?.hasPrefix("AKID") == true && credentials.expiration != nil)
        #expect(source == "container metadata at \(server.url)/ok-900/container")
        let directory = try TemporaryDirectory()
        let path = directory.path + "/token"
        try Files.replace(path, with: Array("container-token\n".utf8))
        var variables = full
        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = path
        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "s3cr3t-wrong"
        guard case .found = try await container(variables).load() else {
            Issue.record("nothing found")
            return
        }
        try Files.replace(path, with: Array("a\r\nX-Other: b".utf8))
        #expect(try await error(container(variables)).message == "\(path) does not hold a token of one line")
        try Files.remove(path)
        #expect(try await error(container(variables)).kind == .local)
        variables = full
        variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "s3cr3t-wrong"
        let refused = try await error(container(variables))
        #expect(refused.kind == .unauthenticated && refused.status == 401)
    }

    @Test("container metadata: absent, or configured and not there")
    func containerAbsent() async throws {
        #expect(try await absence(container([:])).contains("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        let closed = ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/x"]
        #expect(try await error(container(closed)).isRetryable)
    }

    @Test("tokens go over TLS, to this machine or to the container addresses only")
    func trust() async throws {
        for url in [
            "https://example.com/x", "http://127.0.0.1/x", "http://127.1.2.3:80", "http://localhost:9/x",
            "http://[::1]:80/x", "http://169.254.170.2/x", "http://169.254.170.23/v1", "http://[fd00:ec2::23]/v1",
            "HTTP://LOCALHOST/x",
        ] {
            #expect(ContainerCredentials.isTrusted(url), "\(url)")
        }
        for url in [
            "http://example.com/x", "http://127.evil.com/x", "http://127.0.0.1.evil.com/", "http://127.0.0.256/",
            "http://127.0.0.1@evil.com/", "http://localhost.evil.com", "http://10.0.0.1/", "http://169.254.169.254/",
            "http://evil.com#127.0.0.1", "http://evil.com?localhost", "ftp://localhost/", "file:///etc/x", "localhost",
            "http://[::2]/", "http://localhost\\@evil.com/", "",
        ] {
            #expect(!ContainerCredentials.isTrusted(url), "\(url)")
        }
        let refused = ["AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://s3cr3t.example.com/x"]
        #expect(try await error(container(refused)).kind == .unauthenticated)
    }

    @Test("the standard chain reaches instance metadata last, and renews there")
    func standardChain() async throws {
        let home = try AWSHome()
        let environment = home.environment([
            "AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "\(server.url)/ok-3602",
        ])
        let provider = CredentialsChain.standard(http: http, environment: environment)
        #expect(try await provider.credentials()?.accessKeyID.reveal() == "AKID1")
        #expect(try await provider.credentials()?.accessKeyID.reveal() == "AKID1")
        #expect(provider.source.hasPrefix("role role one from instance metadata at "))
        #expect(try await server.requests("ok-3602").count == 3)
    }

    @Test("a service that fails at renewal leaves the old ones in use until they expire")
    func failingRenewal() async throws {
        let offset = Guarded<Int64>(0)
        let chain = CredentialsChain([instance("flaky-3600")]) {
            Timestamp(seconds: Timestamp.now.seconds + offset.withLock { $0 })
        }
        #expect(try await chain.credentials()?.accessKeyID.reveal() == "AKID1")
        offset.withLock { $0 = 3400 }
        #expect(try await chain.credentials()?.accessKeyID.reveal() == "AKID1")
        #expect(try await server.requests("flaky-3600").count == 6)
        offset.withLock { $0 = 3700 }
        let error = try await chain.failure()
        #expect(error.kind == .temporary && error.status == 500)
    }
}
