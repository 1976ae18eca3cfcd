import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// Bodies in parts whose daemon dies on the way: parts that arrived are not sent again, and nothing stays behind.
@Suite(.timeLimit(.minutes(5))) struct ResumedUploadTests {
    /// Five parts of 8 MiB.
    private static let size = 36 << 20
    private static let parts = 5

    private func withMount(_ kind: StoreKind, _ body: (MountWorld, FaultProxy) throws -> Void) throws {
        try MountWorld.with(kind, proxied: true, seconds: 240) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try world.mount()
            // What the server honours is known before, so that it does not count.
            try world.save(TestSession.fileName(0), TestSession.bytes(0))
            try world.drain()
            try body(world, try #require(world.bucket.proxy))
        }
    }

    /// Numbers of the parts that were sent, in the order in which they were.
    private func sentParts(_ proxy: FaultProxy) throws -> [Int] {
        try proxy.statistics().requests.compactMap { request in
            guard request.hasPrefix("PUT "), let place = request.range(of: "partNumber=") else { return nil }
            return Int(request[place.upperBound...].prefix { $0.isNumber })
        }
    }

    @Test(arguments: StoreKind.remote) func partsAreNotSentAgain(_ kind: StoreKind) throws {
        try withMount(kind) { world, proxy in
            let name = TestSession.fileName(1)
            let body = TestSession.bytes(1, size: Self.size)
            // Three parts arrive.
            try proxy.inject(.status(503), times: 1_000_000, skip: 3, method: "PUT", path: "partNumber")
            try world.save(name, body)
            try world.eventually("three parts are there") { try world.bucket.uploads().first?.parts.count == 3 }
            let upload = try #require(world.bucket.uploads().first)
            #expect(upload.key == "sessions/" + name)
            try world.killDaemon()
            try proxy.clearFaults()
            try proxy.resetStatistics()
            try world.mount()
            #expect(world.holds(name, body))
            try world.drain()
            let sent = try sentParts(proxy)
            #expect(Set(sent) == Set(1...Self.parts).subtracting(upload.parts), "\(sent) after \(upload.parts)")
            let requests = try proxy.statistics().requests
            #expect(!requests.contains { $0.hasPrefix("POST ") && $0.contains("uploads=") }, "\(requests)")
            #expect(try world.bucket.uploads().isEmpty)
            #expect(try world.bucket.names() == [TestSession.fileName(0), name])
            #expect(try Noise.same(world.bucket.object("sessions/" + name) ?? [], body))
            try world.bucket.expectClean()
            #expect(try world.conflicts(all: true).isEmpty)
        }
    }

    /// Somebody tidies up the bucket while an upload is under way: it begins anew.
    @Test func anUploadThatWasAbortedByOthersBeginsAnew() throws {
        try withMount(.ministack) { world, proxy in
            let name = TestSession.fileName(1)
            let body = TestSession.bytes(1, size: Self.size)
            try proxy.inject(.status(503), times: 1_000_000, skip: 2, method: "PUT", path: "partNumber")
            try world.save(name, body)
            try world.eventually("two parts are there") { try world.bucket.uploads().first?.parts.count == 2 }
            try world.bucket.abortUploads()
            try proxy.clearFaults()
            try world.drain()
            #expect(try Noise.same(world.bucket.object("sessions/" + name) ?? [], body))
            #expect(try world.bucket.uploads().isEmpty)
            try world.bucket.expectClean()
        }
    }

    /// The daemon dies between the server's answer to the beginning and the note of it. The upload, of which only the
    /// server knows, is found and removed; those of other machines are left alone.
    @Test(arguments: StoreKind.remote) func aBeginningThatNobodyHeardOfIsRemoved(_ kind: StoreKind) throws {
        try withMount(kind) { world, _ in
            let name = TestSession.fileName(1)
            let body = TestSession.bytes(1, size: 17 << 20)
            try world.unmount()
            try world.mount(learnt: false, environment: ["SESSIONFS_KILL_AT": "upload.begun:1"])
            let daemon = try world.daemon()
            try world.save(name, body)
            try world.eventuallyGone(daemon)
            #expect(try world.bucket.uploads().map(\.parts) == [[]])
            let theirs = [
                try world.bucket.beginUpload("sessions/" + name, part: TestSession.bytes(2, size: 5 << 20)),
                try world.bucket.beginUpload("sessions/" + TestSession.fileName(9)),
            ]
            try world.mount(environment: ["SESSIONFS_STRAY_AGE": "0"])
            try world.drain()
            try world.eventually("the upload is gone") {
                try Set(world.bucket.uploads().map(\.id)) == Set(theirs)
            }
            #expect(try world.bucket.names() == [TestSession.fileName(0), name])
            #expect(try Noise.same(world.bucket.object("sessions/" + name) ?? [], body))
            try world.bucket.expectClean()
        }
    }

    /// The connection ends before the answer: the request is made again, and the first upload is found, too.
    @Test func aBeginningWhoseAnswerWasCutOffIsRemoved() throws {
        try MountWorld.with(.ministack, proxied: true) { world in
            let proxy = try #require(world.bucket.proxy)
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try world.mount(environment: ["SESSIONFS_STRAY_AGE": "0"])
            let name = TestSession.fileName(1)
            let body = TestSession.bytes(1, size: 17 << 20)
            try proxy.inject(.lose, times: 2, method: "POST", path: "uploads")
            try world.save(name, body)
            try world.drain()
            try world.eventually("the uploads are gone") { try world.bucket.uploads().isEmpty }
            let begun = try proxy.statistics().requests.filter { $0.hasPrefix("POST ") && $0.contains("uploads") }
            #expect(begun.count >= 3, "\(begun)")
            #expect(try Noise.same(world.bucket.object("sessions/" + name) ?? [], body))
            try world.bucket.expectClean()
        }
    }
}
