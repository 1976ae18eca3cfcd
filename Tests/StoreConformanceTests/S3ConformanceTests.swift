import CloudStores
import ObjectStore
import Platform
import TestSupport
import Testing

/// The S3 store on servers that know different halves of the protocol; one bucket per point.
@Suite(.serialized) struct S3ConformanceTests {
    private static func store(
        _ server: some S3Server, prefix: String = "", http: HTTPClient = HTTPClient()
    ) async throws -> S3Store {
        var configuration = S3Configuration(bucket: server.freshBucketName())
        configuration.prefix = prefix
        configuration.endpoint = server.endpoint
        configuration.region = "us-east-1"
        configuration.addressing = .path
        let credentials = AWSCredentials(
            accessKeyID: Secret(server.accessKey), secretAccessKey: Secret(server.secretKey))
        let store = try S3Store(
            configuration: configuration, credentials: StaticCredentials(credentials, source: "test"),
            http: http)
        try await store.createContainer()
        return store
    }

    @Test(.timeLimit(.minutes(3)), arguments: StoreConformance.points)
    func ministackKeeps(_ point: StoreConformance.Point) async throws {
        try await point.run(try await Self.store(Ministack.shared(), prefix: "a prefix/of 会"))
    }

    @Test(.timeLimit(.minutes(3)), arguments: StoreConformance.points)
    func cephKeeps(_ point: StoreConformance.Point) async throws {
        // RGW 16.2 ignores If-Match on deletes.
        try await point.run(try await Self.store(CephRGW.shared()), exempt: [.ifMatchDeletes])
    }

    @Test(.timeLimit(.minutes(4)), arguments: StoreConformance.points)
    func openStackSwiftKeeps(_ point: StoreConformance.Point) async throws {
        // It answers 501 to conditions on writes.
        let store = try await Self.store(OpenStackSwift.shared())
        // Under load it answers 503 here and there.
        try await point.run(RetryingStore(store), exempt: [.ifAbsentWrites, .ifMatchWrites])
    }

    @Test(.timeLimit(.minutes(4))) func whatServersHonourIsFoundOut() async throws {
        #expect(try await Self.probed(Ministack.shared()) == .all)
        #expect(
            try await Self.probed(CephRGW.shared())
                == ConditionSupport(ifAbsent: true, ifMatch: true, deleteIfMatch: false))
        // It knows conditions on removals alone.
        #expect(
            try await Self.probed(OpenStackSwift.shared())
                == ConditionSupport(ifAbsent: false, ifMatch: false, deleteIfMatch: true))
    }

    private static func probed(_ server: some S3Server) async throws -> ConditionSupport {
        let http = HTTPClient()
        let store = try await store(server, http: http)
        let before = http.statistics.requests
        let support = try await store.probeConditions()
        #expect(http.statistics.requests - before == 7)
        #expect(try await store.list(ListRequest(prefix: "")).objects == [])
        return support
    }

    @Test(.timeLimit(.minutes(4))) func missingBucketIsNoContainer() async throws {
        for server in [try Ministack.shared(), try CephRGW.shared(), try OpenStackSwift.shared()] as [any S3Server] {
            var configuration = S3Configuration(bucket: server.freshBucketName())
            configuration.endpoint = server.endpoint
            configuration.addressing = .path
            let credentials = AWSCredentials(
                accessKeyID: Secret(server.accessKey), secretAccessKey: Secret(server.secretKey))
            let store = try S3Store(
                configuration: configuration, credentials: StaticCredentials(credentials, source: "test"),
                http: HTTPClient())
            do {
                _ = try await store.list(ListRequest(prefix: ""))
                Issue.record("a bucket that does not exist has a listing")
            } catch {
                #expect(error.kind == .noContainer)
            }
        }
    }
}
