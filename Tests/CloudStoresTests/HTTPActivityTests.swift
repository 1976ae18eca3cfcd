import CloudStores
import ObjectStore
import Platform
import TestSupport
import Testing

/// Bytes that move are heard of before there is an answer.
@Suite(.timeLimit(.minutes(2))) struct HTTPActivityTests {
    private func client(_ activity: LineActivity, _ limits: BandwidthLimits? = nil) -> HTTPClient {
        var options = HTTPOptions()
        options.activity = activity
        options.limits = limits
        options.proxy = Secret("")
        return HTTPClient(options)
    }

    /// A large upload whose answer has not come, again and again.
    @Test func anUploadUnderWayIsHeard() async throws {
        let activity = LineActivity()
        let client = client(activity, BandwidthLimits(upload: 256 << 10))
        let server = try RawServer([.request, .answer("200 OK")])
        let upload = Task {
            try await client.send(HTTPRequest(.put, server.url + "/x", body: .bytes(pattern(8 << 20))))
        }
        for _ in 0..<3 {
            let before = activity.movedAt
            while activity.movedAt == before { try await Task.sleep(for: .milliseconds(5)) }
        }
        #expect(server.requests.isEmpty)
        upload.cancel()
        _ = try? await upload.value
    }

    /// Connections that are used again, and an answer that comes in pieces.
    @Test func anAnswerIsHeard() async throws {
        let activity = LineActivity()
        let client = client(activity)
        let server = try RawServer([.request, .answer("200 OK", body: pattern(1000)), .again])
        for _ in 0..<3 {
            let before = activity.movedAt
            while activity.movedAt == before { _ = try await client.send(HTTPRequest(.get, server.url + "/x")) }
        }
        #expect(server.connections == 1)
    }

    /// What a server takes and never answers is no sign of life: small requests that find nobody behind the connection.
    @Test func smallRequestsWithoutAnAnswerAreNot() async throws {
        let activity = LineActivity()
        let client = client(activity)
        let server = try RawServer([.request, .stall])
        let requests = (0..<8).map { number in
            Task { try await client.send(HTTPRequest(.get, server.url + "/\(number)")) }
        }
        await server.wait(requests: 8)
        // Another connection's answer comes after looks at all of them.
        let other = try RawServer([.request, .answer("200 OK")])
        try await Task.sleep(for: .milliseconds(600))
        #expect(activity.movedAt == Timestamp(nanoseconds: 0))
        while activity.movedAt == Timestamp(nanoseconds: 0) {
            _ = try await client.send(HTTPRequest(.get, other.url + "/x"))
        }
        for request in requests { request.cancel() }
        for request in requests { _ = try? await request.value }
    }
}
