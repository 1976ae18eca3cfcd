import CloudStores
import ObjectStore
import Platform
import Testing

@Suite(.timeLimit(.minutes(1))) struct HTTPFaultTests {
    /// What a GET of the script's answer fails with, and what the sink got before.
    private func fault(
        _ script: [RawServer.Step], options: HTTPOptions = HTTPOptions(), location: SourceLocation = #_sourceLocation
    ) async throws -> (error: StoreError?, sink: RecordingBody) {
        let server = try RawServer(script)
        let sink = RecordingBody()
        let error = await failure(location) { () throws(StoreError) in
            _ = try await HTTPClient(options).send(HTTPRequest(.get, server.url), into: sink)
        }
        return (error, sink)
    }

    @Test func aBodyCutShortIsTemporary() async throws {
        let head = RawServer.Step.head("200 OK", ["Content-Length: 1000"], pattern(400))
        let (error, sink) = try await fault([.request, head])
        #expect(error?.kind == .temporary)
        #expect(sink.bytes == pattern(400))
    }

    @Test func aResetInTheBodyIsTemporary() async throws {
        let head = RawServer.Step.head("200 OK", ["Content-Length: 1000"], pattern(400))
        #expect(try await fault([.request, head, .reset]).error?.kind == .temporary)
    }

    @Test func chunksCutShortAreTemporary() async throws {
        let head = RawServer.Step.head("200 OK", ["Transfer-Encoding: chunked"], Array("5\r\nab".utf8))
        #expect(try await fault([.request, head]).error?.kind == .temporary)
    }

    @Test func noAnswerAtAllIsTemporary() async throws {
        #expect(try await fault([.request]).error?.kind == .temporary)
        #expect(try await fault([.request, .reset]).error?.kind == .temporary)
    }

    @Test func aHeadCutShortFails() async throws {
        let half = RawServer.Step.send(Array("HTTP/1.1 200 OK\r\nContent-Le".utf8))
        let (error, sink) = try await fault([.request, half])
        #expect(error?.kind == .temporary)
        #expect(sink.heads == [])
    }

    @Test func whatIsNoHTTPIsPermanent() async throws {
        let (error, sink) = try await fault([.request, .send(Array("SSH-2.0-OpenSSH_9.2\r\n".utf8))])
        #expect(error?.kind == .permanent)
        #expect(sink.heads == [])
    }

    @Test func silenceIsTemporary() async throws {
        var options = HTTPOptions()
        options.stallTimeout = 1
        #expect(try await fault([.request, .stall], options: options).error?.kind == .temporary)
        let head = RawServer.Step.head("200 OK", ["Content-Length: 1000"], pattern(400))
        #expect(try await fault([.request, head, .stall], options: options).error?.kind == .temporary)
    }

    @Test func whatCannotBeReachedIsUnreachable() async throws {
        // A port that was free a moment ago.
        let port = try { try RawServer([]).port }()
        for url in ["http://127.0.0.1:\(port)", "http://no-such-host.invalid"] {
            let error = await failure { () throws(StoreError) in
                _ = try await HTTPClient().send(HTTPRequest(.get, url))
            }
            #expect(error?.kind == .unreachable)
        }
    }

    @Test(arguments: ["", "no url", "ftp://127.0.0.1/x", "file:///etc/hostname", "http://"])
    func whatIsNoURLIsPermanent(_ url: String) async throws {
        let error = await failure { () throws(StoreError) in _ = try await HTTPClient().send(HTTPRequest(.get, url)) }
        #expect(error?.kind == .permanent)
    }

    @Test func anErrorsBodyNeverReachesTheSink() async throws {
        let server = try RawServer([.request, .answer("503 Slow Down", ["Retry-After: 3"], body: pattern(200_000))])
        let sink = RecordingBody()
        let response = try await HTTPClient().send(HTTPRequest(.get, server.url), into: sink)
        #expect(response.head.status == 503)
        #expect(response.head["retry-after"] == "3")
        #expect(response.body == Array(pattern(200_000)[..<(64 << 10)]))
        #expect(sink.heads == [])
        #expect(sink.bytes == [])
    }

    @Test(arguments: [true, false])
    func whatTheSinkThrowsIsThrownOn(_ atHead: Bool) async throws {
        let server = try RawServer([.request, .answer("200 OK", body: pattern(500_000)), .again])
        let client = HTTPClient()
        let refusal = StoreError(.local, message: "disk full")
        let sink = RecordingBody(refusing: refusal, atHead: atHead)
        let error = await failure { () throws(StoreError) in
            _ = try await client.send(HTTPRequest(.get, server.url), into: sink)
        }
        #expect(error == refusal)
        #expect(sink.bytes == [])
        #expect(try await client.send(HTTPRequest(.get, server.url)).body == pattern(500_000))
    }

    @Test func cancellingEndsARequest() async throws {
        let server = try RawServer([.request, .stall], [.request, .answer("200 OK", body: [1])])
        let client = HTTPClient()
        let request = Task { try await client.send(HTTPRequest(.get, server.url)) }
        await server.wait(requests: 1)
        request.cancel()
        await #expect(throws: StoreError(.cancelled, message: "cancelled")) { try await request.value }
        #expect(try await client.send(HTTPRequest(.get, server.url)).body == [1])
        #expect(client.statistics.inFlight == 0)
    }

    @Test func aCancelledTaskSendsNothing() async throws {
        let server = try RawServer([.request, .answer("200 OK")])
        let request = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await HTTPClient().send(HTTPRequest(.get, server.url))
        }
        request.cancel()
        await #expect(throws: StoreError(.cancelled, message: "cancelled")) { try await request.value }
        #expect(server.requests.isEmpty)
    }

    @Test func manyCancelledRequestsLeaveTheClientWhole() async throws {
        let server = try RawServer([.request, .answer("200 OK", body: pattern(50_000)), .again])
        let client = HTTPClient()
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<400 {
                group.addTask {
                    let request = Task { try await client.send(HTTPRequest(.get, server.url)).body }
                    if index % 2 == 0 {
                        for _ in 0..<(index % 7) { await Task.yield() }
                        request.cancel()
                    }
                    switch await request.result {
                    case .success(let body): #expect(body.count == 50_000)
                    case .failure(let error): #expect((error as? StoreError)?.kind == .cancelled && index % 2 == 0)
                    }
                }
            }
        }
        #expect(client.statistics.inFlight == 0)
        #expect(try await client.send(HTTPRequest(.get, server.url)).body == pattern(50_000))
    }
}
