import CloudStores
import ObjectStore
import Platform
import TestSupport
import Testing

/// Bandwidth limits: what waits, what does not, and what a change does.
@Suite(.timeLimit(.minutes(2))) struct HTTPLimitTests {
    /// So slow that nothing large gets through in a test's time.
    private let crawl: UInt64 = 1024
    private let large = 4 << 20

    private func client(_ limits: BandwidthLimits) -> HTTPClient {
        var options = HTTPOptions()
        options.limits = limits
        options.proxy = Secret("")
        return HTTPClient(options)
    }

    @Test func largeDownloadsWaitAndSmallOnesDoNot() async throws {
        let limits = BandwidthLimits(download: crawl)
        let client = client(limits)
        let bytes = pattern(large)
        let server = try RawServer([.request, .answer("200 OK", body: bytes)])
        let small = try RawServer([.request, .answer("200 OK", body: Array(bytes.prefix(1000))), .again])
        let finished = Guarded(false)
        let first = RecordingBody()
        let download = Task {
            _ = try await client.send(HTTPRequest(.get, server.url + "/large"), into: first)
            finished.withLock { $0 = true }
        }
        while first.heads.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
        for _ in 0..<20 {
            let response = try await client.send(HTTPRequest(.get, small.url + "/small"))
            #expect(response.body.count == 1000)
        }
        #expect(!finished.withLock { $0 })
        #expect(first.bytes.count < large)
        limits.download = nil
        try await download.value
        #expect(first.bytes == bytes)
    }

    @Test func largeUploadsWaitAndSmallOnesDoNot() async throws {
        let limits = BandwidthLimits(upload: crawl)
        let client = client(limits)
        let bytes = pattern(large)
        let server = try RawServer([.request, .answer("200 OK")])
        let small = try RawServer([.request, .answer("200 OK"), .again])
        let finished = Guarded(false)
        let upload = Task {
            _ = try await client.send(HTTPRequest(.put, server.url + "/large", body: .bytes(bytes)))
            finished.withLock { $0 = true }
        }
        while server.connections == 0 { try await Task.sleep(for: .milliseconds(2)) }
        for _ in 0..<20 {
            _ = try await client.send(HTTPRequest(.put, small.url + "/small", body: .bytes([1, 2, 3])))
        }
        #expect(!finished.withLock { $0 })
        limits.upload = nil
        try await upload.value
        #expect(server.requests.first?.body == bytes)
    }

    @Test func manyTransfersUnderALimitAllArrive() async throws {
        let limits = BandwidthLimits(upload: 2 << 20, download: 2 << 20)
        let client = client(limits)
        let bytes = pattern(300_000)
        let server = try RawServer([.request, .answer("200 OK", body: bytes), .again])
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let request = HTTPRequest(.put, server.url + "/x", body: .bytes(bytes))
                    let response = try await client.send(request)
                    #expect(response.body == bytes)
                }
            }
            try await group.waitForAll()
        }
        #expect(server.requests.allSatisfy { $0.body == bytes })
    }

    @Test func aTransferThatWaitsCanBeCancelled() async throws {
        let client = client(BandwidthLimits(download: 1))
        let server = try RawServer([.request, .answer("200 OK", body: pattern(large)), .stall])
        let sink = RecordingBody()
        let download = Task { try await client.send(HTTPRequest(.get, server.url + "/x"), into: sink) }
        while sink.heads.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
        download.cancel()
        do {
            _ = try await download.value
            Issue.record("it has ended by itself")
        } catch let error as StoreError { #expect(error.kind == .cancelled) }
        #expect(client.statistics.inFlight == 0)
    }
}
