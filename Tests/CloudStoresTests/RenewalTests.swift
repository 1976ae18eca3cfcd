import ObjectStore
import Platform
import TestSupport
import Testing

@testable import CloudStores

/// Credentials that a store refuses before their time.
@Suite(.timeLimit(.minutes(1))) struct RenewalTests {
    private static func keys(_ id: String) -> AWSCredentials {
        AWSCredentials(
            accessKeyID: Secret(id), secretAccessKey: Secret("s3cr3t"), sessionToken: Secret("token"),
            expiration: Timestamp(nanoseconds: Timestamp.now.nanoseconds + 3_600_000_000_000))
    }

    /// Gives the next of some credentials whenever it is looked at.
    private final class Rotation: CredentialsSource {
        let looks = Guarded(0)
        let ids: [String]
        init(_ ids: [String]) { self.ids = ids }
        func load() async throws(StoreError) -> CredentialsLookup {
            let index = looks.withLock { looks in
                defer { looks += 1 }
                return looks
            }
            return .found(keys(ids[min(index, ids.count - 1)]), source: "the test")
        }
    }

    private func store(_ server: RawServer, _ rotation: Rotation) throws(StoreError) -> S3Store {
        try S3Store(
            configuration: S3Configuration(bucket: "b", endpoint: server.url),
            credentials: CredentialsChain([rotation]), http: HTTPClient())
    }

    private func refusal(_ code: String) -> RawServer.Step {
        .answer("403 Forbidden", body: Array("<Error><Code>\(code)</Code></Error>".utf8))
    }

    @Test(arguments: ["ExpiredToken", "InvalidAccessKeyId", "TokenRefreshRequired"])
    func othersAreTriedAtOnce(_ code: String) async throws {
        let server = try RawServer([
            .request, refusal(code), .request, .answer("200 OK", ["ETag: \"x\""]),
        ])
        let rotation = Rotation(["OLD", "NEW"])
        _ = try await store(server, rotation).put("k", .bytes([1, 2]), .always)
        let authorizations = server.requests.map { $0.header("Authorization") ?? "" }
        #expect(authorizations.count == 2)
        #expect(authorizations.first?.contains("Credential=OLD/") == true)
        #expect(authorizations.last?.contains("Credential=NEW/") == true)
        #expect(server.requests.allSatisfy { $0.body == [1, 2] })
    }

    @Test func theSameOnesAreNotTriedAgain() async throws {
        let server = try RawServer([.request, refusal("ExpiredToken"), .again])
        let rotation = Rotation(["OLD"])
        let store = try store(server, rotation)
        for _ in 0..<3 {
            let found = await failure { () throws(StoreError) in try await store.delete("k", ifMatch: nil) }
            #expect(found?.kind == .unauthenticated)
            #expect(found?.providerCode == "ExpiredToken")
        }
        #expect(server.requests.count == 3)
        // Once at the beginning, once for the first refusal: not for each.
        #expect(rotation.looks.withLock { $0 } == 2)
    }

    @Test func aSignatureThatIsWrongIsNoReason() async throws {
        let server = try RawServer([.request, refusal("SignatureDoesNotMatch"), .again])
        let rotation = Rotation(["OLD", "NEW"])
        let found = await failure { () throws(StoreError) in
            try await store(server, rotation).delete("k", ifMatch: nil)
        }
        #expect(found?.providerCode == "SignatureDoesNotMatch")
        #expect(rotation.looks.withLock { $0 } == 1)
    }

    @Test func refusalsOfManyRequestsLeadToOneLook() async throws {
        let rotation = Rotation(["OLD", "NEW"])
        let chain = CredentialsChain([rotation])
        let old = try #require(try await chain.credentials())
        let found = await withTaskGroup(of: String?.self) { group in
            for _ in 0..<20 {
                group.addTask { await chain.renewed(afterRefusalOf: old)?.accessKeyID.reveal() }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(found == [String?](repeating: "NEW", count: 20))
        #expect(rotation.looks.withLock { $0 } == 2)
        #expect(try await chain.credentials()?.accessKeyID.reveal() == "NEW")
    }
}
