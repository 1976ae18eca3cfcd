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

/// Uploads in parts whose answers get lost.
@Suite(.serialized, .timeLimit(.minutes(3))) struct S3LostAnswerTests {
    @Test func aCompletionWhoseAnswerWasLostHasHappened() async throws {
        let server = try Ministack.shared()
        let proxy = try FaultProxy(target: server.port)
        let bucket = server.freshBucketName()
        try await server.store(bucket: bucket).createContainer()
        let direct = try S3Store(
            configuration: S3Configuration(bucket: bucket, endpoint: proxy.endpoint),
            credentials: StaticCredentials(
                AWSCredentials(accessKeyID: Secret(server.accessKey), secretAccessKey: Secret(server.secretKey)),
                source: "the test"), http: HTTPClient())
        let store = RetryingStore(direct)
        let multipart = try #require(store.multipart)
        let id = try await multipart.begin("k")
        let parts = [try await multipart.put(part: 1, of: id, "k", .bytes([1, 2, 3]))]
        try proxy.inject(.lose, method: "POST", path: "uploadId")
        let info = try await multipart.complete(id, "k", parts: parts, .ifAbsent)
        #expect(info.size == 3)
        #expect(try proxy.statistics().requests.contains { $0.hasPrefix("POST") && $0.contains("uploadId") })
        #expect(try await store.bytes("k").bytes == [1, 2, 3])
        // The same parts under the same condition are still the same object.
        #expect(try await multipart.complete(id, "k", parts: parts, .ifAbsent).etag == info.etag)
    }
}
