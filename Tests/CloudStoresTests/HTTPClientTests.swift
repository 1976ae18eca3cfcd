import CloudStores
import Foundation
import ObjectStore
import Platform
import Testing

@Suite(.timeLimit(.minutes(1))) struct HTTPClientTests {
    @Test func aBodyGoesToTheSinkBehindItsHead() async throws {
        let body = pattern(3_000_000)
        let server = try RawServer([.request, .answer("200 OK", ["X-Fact: one"], body: body), .again])
        let sink = RecordingBody()
        let response = try await HTTPClient().send(HTTPRequest(.get, server.url + "/a"), into: sink)
        #expect(response.head.status == 200)
        #expect(response.head["x-FACT"] == "one")
        #expect(response.head.contentLength == 3_000_000)
        #expect(response.body.isEmpty)
        #expect(sink.heads == [200])
        #expect(sink.bytes == body)
    }

    @Test func withoutASinkTheBodyIsInTheResponse() async throws {
        let server = try RawServer([.request, .answer("200 OK", body: pattern(1000))])
        #expect(try await HTTPClient().send(HTTPRequest(.get, server.url)).body == pattern(1000))
    }

    @Test func moreThanTheLimitIsNotCollected() async throws {
        let server = try RawServer([.request, .answer("200 OK", body: pattern(1001))])
        var request = HTTPRequest(.get, server.url)
        request.collectLimit = 1000
        let error = await failure { () throws(StoreError) in _ = try await HTTPClient().send(request) }
        #expect(error?.kind == .permanent)
    }

    @Test func pathAndHeadersGoOutAsTheyAre() async throws {
        let server = try RawServer([.request, .answer("204 No Content")])
        let path = "/b/../c//%2E%2e/%e4%bc%9a?x=%2B&y="
        let headers = [(name: "If-Match", value: "\"tag\""), (name: "X-Empty", value: "")]
        _ = try await HTTPClient().send(HTTPRequest(.get, server.url + path, headers: headers))
        let request = try #require(server.requests.first)
        #expect(request.line == "GET \(path) HTTP/1.1")
        #expect(request.header("if-match") == "\"tag\"")
        #expect(request.header("x-empty") == "")
        #expect(request.header("accept-encoding") == nil)
        #expect(request.header("host") == "127.0.0.1:\(server.port)")
    }

    @Test func aLineBreakCannotSmuggleAHeader() async throws {
        let server = try RawServer([.request, .answer("200 OK")])
        let request = HTTPRequest(.get, server.url, headers: [(name: "X-Tag", value: "a\r\nX-Other: b")])
        let error = await failure { () throws(StoreError) in _ = try await HTTPClient().send(request) }
        #expect(error?.kind == .permanent)
        #expect(server.requests.isEmpty)
    }

    @Test func bytesAreSent() async throws {
        let server = try RawServer([.request, .answer("200 OK"), .again])
        let client = HTTPClient()
        for body in [[], pattern(1), pattern(2_500_000)] {
            _ = try await client.send(HTTPRequest(.put, server.url, body: .bytes(body)))
        }
        #expect(server.requests.map(\.body) == [[], pattern(1), pattern(2_500_000)])
        #expect(server.requests.allSatisfy { $0.header("expect") == nil && $0.header("transfer-encoding") == nil })
        #expect(server.requests[0].header("content-length") == "0")
    }

    @Test func aPartOfAFileIsSent() async throws {
        let server = try RawServer([.request, .answer("200 OK")])
        let path = NSTemporaryDirectory() + "sessionfs-\(UUID())"
        try Data(pattern(500_000)).write(to: URL(filePath: path))
        defer { unlink(path) }
        let body = HTTPRequest.Body.file(try FileDescriptor.open(path), offset: 1000, length: 400_000)
        _ = try await HTTPClient().send(HTTPRequest(.put, server.url, body: body))
        #expect(server.requests.first?.body == Array(pattern(500_000)[1000..<401_000]))
    }

    @Test func aFileThatIsTooShortIsALocalError() async throws {
        let server = try RawServer([.request, .answer("200 OK")])
        let path = NSTemporaryDirectory() + "sessionfs-\(UUID())"
        try Data(pattern(10)).write(to: URL(filePath: path))
        defer { unlink(path) }
        let body = HTTPRequest.Body.file(try FileDescriptor.open(path), offset: 0, length: 20)
        let error = await failure { () throws(StoreError) in
            _ = try await HTTPClient().send(HTTPRequest(.put, server.url, body: body))
        }
        #expect(error?.kind == .local)
    }

    @Test(arguments: [HTTPRequest.Method.head, .get, .put, .post, .delete])
    func methodsAreSentAsTheyAre(_ method: HTTPRequest.Method) async throws {
        let server = try RawServer([.request, .head("200 OK", ["Content-Length: 0"])])
        _ = try await HTTPClient().send(HTTPRequest(method, server.url + "/k"))
        #expect(server.requests.first?.line == "\(method.rawValue) /k HTTP/1.1")
    }

    @Test func theLengthOfAHeadAnswerIsNotItsBody() async throws {
        let server = try RawServer([.request, .head("200 OK", ["Content-Length: 12345"]), .again])
        let response = try await HTTPClient().send(HTTPRequest(.head, server.url))
        #expect(response.head.contentLength == 12345)
    }

    @Test func redirectsAndEncodingsAreLeftAlone() async throws {
        let server = try RawServer([
            .request, .answer("301 Moved", ["Location: http://127.0.0.1:1/"], body: [1]),
            .request, .answer("200 OK", ["Content-Encoding: gzip"], body: [2, 3]),
        ])
        let client = HTTPClient()
        #expect(try await client.send(HTTPRequest(.get, server.url)).head["location"] == "http://127.0.0.1:1/")
        #expect(try await client.send(HTTPRequest(.get, server.url)).body == [2, 3])
    }

    @Test func interimResponsesAreForgotten() async throws {
        let server = try RawServer([
            .request, .head("100 Continue", ["X-Old: yes"]), .answer("200 OK", ["X-New: yes"], body: [5]),
        ])
        let sink = RecordingBody()
        let response = try await HTTPClient().send(HTTPRequest(.get, server.url), into: sink)
        #expect(sink.heads == [200])
        #expect(response.head["x-old"] == nil)
        #expect(response.head["x-new"] == "yes")
    }

    @Test func chunksAreJoined() async throws {
        let chunks = Array("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".utf8)
        let server = try RawServer([.request, .head("200 OK", ["Transfer-Encoding: chunked"], chunks)])
        #expect(try await HTTPClient().send(HTTPRequest(.get, server.url)).body == Array("abcde".utf8))
    }

    @Test func aTrailerIsNoSecondHead() async throws {
        let chunks = Array("3\r\nabc\r\n0\r\nX-Late: yes\r\n\r\n".utf8)
        let server = try RawServer([.request, .head("200 OK", ["Transfer-Encoding: chunked"], chunks)])
        let sink = RecordingBody()
        let response = try await HTTPClient().send(HTTPRequest(.get, server.url), into: sink)
        #expect(sink.heads == [200])
        #expect(sink.bytes == Array("abc".utf8))
        #expect(response.head["x-late"] == nil)
    }

    @Test func aConnectionIsUsedAgain() async throws {
        let server = try RawServer([.request, .answer("200 OK", body: pattern(100)), .again])
        let client = HTTPClient()
        for _ in 0..<20 { _ = try await client.send(HTTPRequest(.get, server.url)) }
        #expect(server.connections == 1)
        let statistics = client.statistics
        #expect(statistics.requests == 20)
        #expect(statistics.connections == 1)
        #expect(statistics.bytesReceived == 2000)
        #expect(statistics.inFlight == 0)
    }

    @Test func aConnectionIsUsedAgainAfterAnError() async throws {
        let server = try RawServer([.request, .answer("404 Not Found", body: pattern(500)), .again])
        let client = HTTPClient()
        for _ in 0..<5 { _ = try await client.send(HTTPRequest(.get, server.url), into: RecordingBody()) }
        #expect(server.connections == 1)
    }

    @Test func aKeptConnectionThatTheServerClosedIsNoError() async throws {
        let server = try RawServer([.request, .answer("200 OK", body: [1])])
        let client = HTTPClient()
        for _ in 0..<10 { #expect(try await client.send(HTTPRequest(.get, server.url)).body == [1]) }
        #expect(server.connections == 10)
    }

    @Test func sixtyFourRequestsAreUnderWayAtOnce() async throws {
        // No answer before all have asked: fewer connections would never end.
        let server = try RawServer([.request, .await(requests: 64), .answer("200 OK", body: [1])])
        let client = HTTPClient()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<64 { group.addTask { _ = try await client.send(HTTPRequest(.get, server.url)) } }
            try await group.waitForAll()
        }
        #expect(server.requests.count == 64)
    }

    @Test func moreRequestsThanConnectionsWaitForOne() async throws {
        let server = try RawServer([.request, .answer("200 OK", body: pattern(2000)), .again])
        var options = HTTPOptions()
        options.connectionsPerHost = 4
        let client = HTTPClient(options)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 { group.addTask { _ = try await client.send(HTTPRequest(.get, server.url)) } }
            try await group.waitForAll()
        }
        #expect(server.requests.count == 200)
        #expect(server.mostOpen <= 4)
    }

    @Test func aClientThatIsDroppedLetsItsRequestsEnd() async throws {
        let server = try RawServer([.request, .await(requests: 1), .answer("200 OK", body: [7])])
        var client: HTTPClient? = HTTPClient()
        let request = Task { [client] in try await client?.send(HTTPRequest(.get, server.url)).body }
        client = nil
        #expect(try await request.value == [7])
    }
}
