import CloudStores
import ObjectStore
import Platform
import TestSupport
import Testing

extension S3Server {
    /// A store in this server.
    func store(
        bucket: String, prefix: String = "", secretKey: String? = nil, http: HTTPClient = HTTPClient()
    ) throws -> S3Store {
        try S3Store(
            configuration: S3Configuration(bucket: bucket, prefix: prefix, endpoint: endpoint),
            credentials: user(secretKey),
            http: http)
    }

    private func user(_ secretKey: String?) -> StaticCredentials {
        StaticCredentials(
            AWSCredentials(accessKeyID: Secret(accessKey), secretAccessKey: Secret(secretKey ?? self.secretKey)),
            source: "the test")
    }
}

/// What real servers answer, beyond the contract of all stores.
@Suite(.serialized, .timeLimit(.minutes(3))) struct S3ServerTests {
    @Test func objectsOfTheTopLevelCanBeReadWithoutAPrefix() async throws {
        let server = try Ministack.shared()
        let bucket = server.freshBucketName()
        let store = try server.store(bucket: bucket)
        try await store.createContainer()
        _ = try await store.put("sessions/a.fastshot", .bytes([1]), .always)
        let inside = try server.store(bucket: bucket, prefix: "/sessions/")
        #expect(try await inside.list(ListRequest(prefix: "")).objects.map(\.key) == ["a.fastshot"])
        #expect(try await inside.bytes("a.fastshot").bytes == [1])
        #expect(store.location == "s3://\(bucket)")
        #expect(inside.location == "s3://\(bucket)/sessions")
    }

    @Test func anObjectsTagIsItsMD5WhereItIsOne() async throws {
        for server in [try Ministack.shared(), try CephRGW.shared()] as [any S3Server] {
            let store = try server.store(bucket: server.freshBucketName())
            try await store.createContainer()
            let written = try await store.put("a", .bytes(Array("hello".utf8)), .always)
            #expect(written.contentMD5 == "5d41402abc4b2a76b9719d911017c592")
            #expect(try await store.head("a").contentMD5 == "5d41402abc4b2a76b9719d911017c592")
        }
    }

    @Test func whatIsWrongWithTheCredentialsIsTold() async throws {
        for server in [try Ministack.shared(), try CephRGW.shared()] as [any S3Server] {
            let bucket = server.freshBucketName()
            try await server.store(bucket: bucket).createContainer()
            let store = try server.store(bucket: bucket, secretKey: "wrong")
            let listing = await failure { () throws(StoreError) in _ = try await store.list(ListRequest(prefix: "")) }
            #expect(listing?.kind == .unauthenticated)
            // The answer to a HEAD has no body; the reason is found out all the same.
            let head = await failure { () throws(StoreError) in _ = try await store.head("a") }
            #expect(head?.kind == .unauthenticated)
        }
    }

    @Test func aMissingBucketIsNoMissingObject() async throws {
        for server in [try Ministack.shared(), try CephRGW.shared()] as [any S3Server] {
            let store = try server.store(bucket: server.freshBucketName())
            for error in [
                await failure(of: { () throws(StoreError) in _ = try await store.list(ListRequest(prefix: "")) }),
                await failure(of: { () throws(StoreError) in _ = try await store.bytes("a") }),
                await failure(of: { () throws(StoreError) in _ = try await store.put("a", .bytes([1]), .always) }),
            ] { #expect(error?.kind == .noContainer) }
        }
    }
}
