@testable import CloudStores
import ObjectStore
import Platform
import TestSupport
import Testing

/// A store's requests and what it makes of scripted answers, right and wrong ones.
@Suite(.timeLimit(.minutes(1))) struct S3StoreTests {
    private func store(_ server: RawServer, prefix: String = "", anonymous: Bool = false) throws(StoreError) -> S3Store
    {
        let credentials = AWSCredentials(
            accessKeyID: Secret("KEYID"), secretAccessKey: Secret("TOPSECRET"), sessionToken: Secret("TOKEN"))
        return try S3Store(
            configuration: S3Configuration(bucket: "b", prefix: prefix, endpoint: server.url),
            credentials: anonymous ? .anonymous : StaticCredentials(credentials, source: "test"), http: HTTPClient())
    }

    /// Serves one answer after the other on any connections.
    private func server(_ answers: RawServer.Step...) throws -> RawServer {
        try RawServer(answers.flatMap { [.request, $0] })
    }

    private func error(_ code: String) -> [UInt8] { Array("<Error><Code>\(code)</Code></Error>".utf8) }

    private let tag = "5d41402abc4b2a76b9719d911017c592"

    // MARK: Requests

    @Test func requestsNameTheKeyByItsBytesAndAreSigned() async throws {
        let server = try server(.answer("200 OK", body: [1]))
        _ = try await store(server, prefix: "p q").bytes("会 +.fastshot")
        let request = try #require(server.requests.first)
        #expect(request.line == "GET /b/p%20q/%E4%BC%9A%20%2B.fastshot HTTP/1.1")
        #expect(request.header("Host") == "127.0.0.1:\(server.port)")
        #expect(request.header("x-amz-security-token") == "TOKEN")
        let authorization = try #require(request.header("Authorization"))
        #expect(authorization.hasPrefix("AWS4-HMAC-SHA256 Credential=KEYID/"))
        #expect(authorization.contains("/us-east-1/s3/aws4_request"))
        #expect(authorization.contains("host;x-amz-content-sha256;x-amz-date;x-amz-security-token"))
        #expect(!request.head.contains("TOPSECRET"))
        #expect(request.header("Accept-Encoding") == nil)
    }

    @Test func anonymousRequestsAreNotSigned() async throws {
        let server = try server(.answer("200 OK", body: [1]))
        _ = try await store(server, anonymous: true).bytes("k")
        #expect(server.requests.first?.header("Authorization") == nil)
        #expect(server.requests.first?.header("x-amz-date") == nil)
    }

    @Test func bodiesOfWritesCarryTheirHash() async throws {
        let server = try server(.answer("200 OK", ["ETag: \"\(tag)\""]))
        let info = try await store(server).put("k", .bytes(Array("hello".utf8)), .ifAbsent)
        #expect(info == ObjectInfo(key: "k", size: 5, etag: tag, contentMD5: tag))
        let request = try #require(server.requests.first)
        #expect(request.body == Array("hello".utf8))
        #expect(request.header("If-None-Match") == "*")
        #expect(request.header("Expect") == nil)
        #expect(
            request.header("x-amz-content-sha256")
                == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
    }

    // MARK: Regions

    @Test func theRegionIsCorrectedOnceAndRemembered() async throws {
        let server = try server(
            .answer("400 Bad Request", ["x-amz-bucket-region: eu-west-1"], body: error("AuthorizationHeaderMalformed")),
            .answer("200 OK", body: [1]), .answer("200 OK", body: [2]))
        let store = try store(server)
        #expect(try await store.bytes("k").bytes == [1])
        #expect(try await store.bytes("k").bytes == [2])
        #expect(store.region == "eu-west-1")
        let scopes = server.requests.map { $0.header("Authorization")?.contains("/eu-west-1/s3/") }
        #expect(scopes == [false, true, true])
    }

    @Test func aRedirectNamesTheRegionToHeads() async throws {
        let server = try server(
            .head("301 Moved Permanently", ["x-amz-bucket-region: ap-south-1"]),
            .head("200 OK", ["Content-Length: 9", "ETag: \"\(tag)\""]))
        let store = try store(server)
        #expect(try await store.head("k").size == 9)
        #expect(store.region == "ap-south-1")
    }

    @Test func aStoreThatCannotDecideOnARegionIsNotAskedForever() async throws {
        let server = try server(
            .answer("400 Bad Request", ["x-amz-bucket-region: r1"], body: error("AuthorizationHeaderMalformed")),
            .answer("400 Bad Request", ["x-amz-bucket-region: r2"], body: error("AuthorizationHeaderMalformed")))
        let found = await failure { () throws(StoreError) in _ = try await store(server).bytes("k") }
        #expect(found?.kind == .unauthenticated)
        #expect(server.requests.count == 2)
    }

    @Test func aRegionThatWouldChangeTheHostIsNotFollowed() async throws {
        let server = try server(
            .answer("400 Bad Request", ["x-amz-bucket-region: evil.example/"], body: error("Malformed")))
        let found = await failure { () throws(StoreError) in _ = try await store(server).bytes("k") }
        #expect(found?.kind == .permanent)
        #expect(server.requests.count == 1)
    }

    @Test func redirectsElsewhereAreReported() async throws {
        let server = try server(.answer("307 Temporary Redirect", ["Location: http://127.0.0.1:1/b/k"]))
        let found = await failure { () throws(StoreError) in _ = try await store(server).bytes("k") }
        #expect(found?.kind == .permanent)
        #expect(found?.message.contains("http://127.0.0.1:1") == true)
    }

    // MARK: Reads

    @Test func aRangeThatTheServerIgnoresComesWithItsPlace() async throws {
        let server = try server(.answer("200 OK", ["ETag: \"\(tag)\""], body: [0, 1, 2, 3]))
        let sink = RecordingSink()
        _ = try await store(server).get("k", ReadOptions(range: 2..<3), into: sink)
        #expect(server.requests.first?.header("Range") == "bytes=2-2")
        #expect(sink.begins == [0])
        #expect(sink.bytes == [0, 1, 2, 3])
    }

    @Test func aRangeIsCutAtTheObjectsEnd() async throws {
        let server = try server(
            .answer("206 Partial Content", ["Content-Range: bytes 2-3/4", "ETag: \"\(tag)\""], body: [2, 3]))
        let sink = RecordingSink()
        let outcome = try await store(server).get("k", ReadOptions(range: 2..<100), into: sink)
        #expect(outcome == .object(ObjectInfo(key: "k", size: 4, etag: tag, contentMD5: tag)))
        #expect(sink.begins == [2])
    }

    @Test(arguments: ["bytes 0-1/4", "bytes 2-2/4", "bytes 2-3/*", "bytes 2-4/5", "garbage", nil])
    func bytesOfAnotherRangeAreRefused(_ range: String?) async throws {
        let server = try server(
            .answer("206 Partial Content", range.map { ["Content-Range: \($0)"] } ?? [], body: [8, 9]))
        let sink = RecordingSink()
        let found = await failure { () throws(StoreError) in
            _ = try await store(server).get("k", ReadOptions(range: 2..<4), into: sink)
        }
        #expect(found?.kind == .temporary)
        #expect(sink.begins == [])
    }

    @Test func aBodyCutShortIsTemporary() async throws {
        let server = try RawServer([.request, .head("200 OK", ["Content-Length: 10"], [1, 2, 3])])
        let sink = RecordingSink()
        let found = await failure { () throws(StoreError) in
            _ = try await store(server).get("k", ReadOptions(), into: sink)
        }
        #expect(found?.kind == .temporary)
        #expect(found?.key == "k")
    }

    @Test func anAnswerWithoutALengthIsNotTaken() async throws {
        let server = try RawServer([.request, .head("200 OK", ["Connection: close"], [1, 2, 3])])
        let sink = RecordingSink()
        let found = await failure { () throws(StoreError) in
            _ = try await store(server).get("k", ReadOptions(), into: sink)
        }
        #expect(found?.kind == .permanent)
        #expect(sink.begins == [])
    }

    @Test func anotherVersionIsRefusedWhateverTheServerDoes() async throws {
        let server = try server(.answer("200 OK", ["ETag: \"other\""], body: [1]))
        let sink = RecordingSink()
        let found = await failure { () throws(StoreError) in
            _ = try await store(server).get("k", ReadOptions(ifMatch: tag), into: sink)
        }
        #expect(server.requests.first?.header("If-Match") == "\"\(tag)\"")
        #expect(found?.kind == .precondition)
        #expect(sink.begins == [])
    }

    @Test func aKnownVersionIsUnchangedWhateverTheServerDoes() async throws {
        let answers: [RawServer.Step] = [
            .answer("200 OK", ["ETag: \"\(tag)\""], body: [1]), .head("304 Not Modified", ["ETag: \"\(tag)\""]),
        ]
        for answer in answers {
            let server = try server(answer)
            let sink = RecordingSink()
            let outcome = try await store(server).get("k", ReadOptions(ifNoneMatch: tag), into: sink)
            #expect(outcome == .notModified)
            #expect(sink.begins == [])
            #expect(server.requests.first?.header("If-None-Match") == "\"\(tag)\"")
        }
    }

    @Test func errorBodiesNeverReachTheSink() async throws {
        let server = try server(.answer("503 Slow Down", ["Retry-After: 3"], body: error("SlowDown")))
        let sink = RecordingSink()
        let found = await failure { () throws(StoreError) in
            _ = try await store(server).get("k", ReadOptions(), into: sink)
        }
        #expect(found?.kind == .throttled)
        #expect(found?.retryAfter == 3)
        #expect(sink.begins == [] && sink.bytes == [])
    }

    @Test func theReasonOfARefusedHeadIsAskedFor() async throws {
        let server = try server(
            .head("403 Forbidden", ["Content-Length: 0"]), .answer("403 Forbidden", body: error("InvalidAccessKeyId")))
        let found = await failure { () throws(StoreError) in _ = try await store(server).head("k") }
        #expect(found?.kind == .unauthenticated)
        #expect(found?.description.contains("TOPSECRET") == false)
    }

    @Test func anEmptyRangeIsRefusedWithoutARequest() async throws {
        let server = try server(.answer("200 OK"))
        let found = await failure { () throws(StoreError) in
            _ = try await store(server).get("k", ReadOptions(range: 5..<5), into: RecordingSink())
        }
        #expect(found?.kind == .permanent)
        #expect(server.requests.isEmpty)
    }

    // MARK: Conditional writes

    @Test func theSpellingOfATagIsLearntByTrying() async throws {
        let server = try server(
            .answer("412 Precondition Failed", body: error("PreconditionFailed")),
            .head("200 OK", ["Content-Length: 5", "ETag: \"\(tag)\""]),
            .answer("200 OK", ["ETag: \"second\""]), .answer("200 OK", ["ETag: \"third\""]))
        let store = try store(server)
        #expect(try await store.put("k", .bytes([1]), .ifMatch(tag)).etag == "second")
        #expect(try await store.put("k", .bytes([2]), .ifMatch("second")).etag == "third")
        #expect(server.requests.map { $0.header("If-Match") } == ["\"\(tag)\"", nil, tag, "second"])
    }

    @Test func aConditionThatTrulyFailsIsNotTriedAgain() async throws {
        let server = try server(
            .answer("412 Precondition Failed", body: error("PreconditionFailed")),
            .head("200 OK", ["Content-Length: 5", "ETag: \"other\""]))
        let found = await failure { () throws(StoreError) in
            _ = try await store(server).put("k", .bytes([1]), .ifMatch(tag))
        }
        #expect(found?.kind == .precondition)
        #expect(server.requests.count == 2)
    }

    @Test func aLostRaceOnCephIsAFailedCondition() async throws {
        let failed = RawServer.Step.answer("500 Internal Server Error", body: error("UnknownError"))
        let other = try server(failed, .head("200 OK", ["Content-Length: 5", "ETag: \"other\""]))
        let lost = await failure { () throws(StoreError) in
            _ = try await store(other).put("k", .bytes([1]), .ifMatch(tag))
        }
        #expect(lost?.kind == .precondition)
        // Nobody else wrote: then it is a failure of the server, and may have happened before or after the write.
        let same = try server(failed, .head("200 OK", ["Content-Length: 5", "ETag: \"\(tag)\""]))
        let broken = await failure { () throws(StoreError) in
            _ = try await store(same).put("k", .bytes([1]), .ifMatch(tag))
        }
        #expect(broken?.kind == .temporary)
    }

    @Test func aStoreWithoutConditionsSaysSo() async throws {
        let server = try server(.answer("501 Not Implemented", body: error("NotImplemented")))
        let found = await failure { () throws(StoreError) in
            _ = try await store(server).put("k", .bytes([1]), .ifAbsent)
        }
        #expect(found?.kind == .unsupported)
    }

    @Test func aDeleteOfAVersionLooksFirst() async throws {
        let server = try server(.head("200 OK", ["Content-Length: 5", "ETag: \"other\""]))
        let found = await failure { () throws(StoreError) in try await store(server).delete("k", ifMatch: tag) }
        #expect(found?.kind == .precondition)
        #expect(server.requests.map(\.line) == ["HEAD /b/k HTTP/1.1"])
    }

    @Test func deletingWhatIsNotThereIsFine() async throws {
        let server = try server(.answer("404 Not Found", body: error("NoSuchKey")))
        try await store(server).delete("k", ifMatch: nil)
    }

    // MARK: Copies and buckets

    @Test func aCopyThatFailsInItsBodyFails() async throws {
        let server = try server(.answer("200 OK", body: error("InternalError")))
        let found = await failure { () throws(StoreError) in
            _ = try await store(server, prefix: "p").copy("a b", to: "c", .always)
        }
        #expect(found?.kind == .temporary)
        #expect(server.requests.first?.header("x-amz-copy-source") == "b/p/a%20b")
    }

    @Test func aBucketOfOnesOwnIsFine() async throws {
        let server = try server(.answer("409 Conflict", body: error("BucketAlreadyOwnedByYou")))
        try await store(server).createContainer()
        let taken = try RawServer([
            .request, .answer("409 Conflict", body: error("BucketAlreadyExists")), .request,
            .answer("403 Forbidden", body: error("AccessDenied")),
        ])
        let found = await failure { () throws(StoreError) in try await store(taken).createContainer() }
        #expect(found?.kind == .forbidden)
    }

    // MARK: Listings

    @Test func listingsAskForTheStoresPart() async throws {
        let page =
            "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>p q/a</Key><Size>1</Size>"
            + "</Contents></ListBucketResult>"
        let last = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        let server = try server(
            .answer("200 OK", body: Array(page.utf8)), .answer("200 OK", body: Array(last.utf8)))
        let store = try store(server, prefix: "p q")
        var keys: [String] = []
        try await store.listAll(prefix: "s/", startAfter: "s/会") { page in keys += page.objects.map(\.key) }
        #expect(keys == ["a"])
        #expect(
            server.requests.map(\.line) == [
                "GET /b?encoding-type=url&list-type=2&max-keys=1000&prefix=p%20q%2Fs%2F"
                    + "&start-after=p%20q%2Fs%2F%E4%BC%9A HTTP/1.1",
                "GET /b?encoding-type=url&list-type=2&max-keys=1000&prefix=p%20q%2Fs%2F&start-after=p%20q%2Fa HTTP/1.1",
            ])
    }
}
