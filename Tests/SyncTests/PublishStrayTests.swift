import ObjectStore
import Platform
import SessionCache
import TestSupport
import Testing

@testable import Sync

/// Uploads in parts whose beginning was never answered.
@Suite(.serialized, .timeLimit(.minutes(2))) struct PublishStrayTests {
    /// Three parts.
    private let contents = [UInt8](repeating: 7, count: 20 << 20)

    /// Sends what is staged until the server has no upload but these.
    private func run(_ rig: PublishRig, until left: Set<String>) async throws {
        let running = Task { await rig.publisher.run() }
        try await eventually { rig.staging.counts.pending == 0 && !rig.publisher.sweep.isRunning }
        while Set(try await rig.bucket.uploads(prefix: "").map(\.uploadID)) != left {
            try await Task.sleep(for: .milliseconds(5))
        }
        running.cancel()
        await running.value
        rig.staging.close()
    }

    /// The answer is lost, the request repeated: the first upload is found, also by a later process.
    @Test(arguments: [false, true]) func aLostBeginningIsRemoved(byALaterProcess: Bool) async throws {
        let bucket = MemoryStore(hasMultipart: true)
        let directory = try TemporaryDirectory()
        let rig = try PublishRig(bucket: bucket, directory: directory) { options in
            options.foreign = .basic
            options.strayAge = byALaterProcess ? 3600 : 0
        }
        rig.store.inject(.failAfterwards(.lost), verb: .multipart, nth: 1)
        try await rig.save(fileName(1), contents)
        if byALaterProcess {
            #expect(await rig.flush() == [])
            let strays = try await bucket.uploads(prefix: "")
            // Nobody is sure yet that it is not somebody else's who has just begun.
            #expect(strays.map(\.key) == [bodyKey(1)])
            #expect(try await bucket.parts(of: strays[0].uploadID, strays[0].key) == [])
            rig.staging.close()
            let next = try PublishRig(bucket: bucket, directory: directory) { $0.strayAge = 0 }
            try await run(next, until: [])
        } else {
            try await run(rig, until: [])
        }
        #expect(bucket.peek(bodyKey(1)) == contents)
    }

    /// What is, or may be, of others is left alone.
    @Test func othersUploadsStay() async throws {
        let bucket = MemoryStore(hasMultipart: true)
        let withParts = try await bucket.begin(bodyKey(1))
        _ = try await bucket.put(part: 1, of: withParts, bodyKey(1), .bytes([1, 2, 3]))
        let ofAnother = try await bucket.begin(bodyKey(2))
        let elsewhere = try await bucket.begin("other/" + bodyKey(1))
        let rig = try PublishRig(bucket: bucket) { options in
            options.foreign = .basic
            options.strayAge = 0
        }
        rig.store.inject(.failAfterwards(.lost), verb: .multipart, nth: 1)
        try await rig.save(fileName(1), contents)
        try await run(rig, until: [withParts, ofAnother, elsewhere])
        #expect(bucket.peek(bodyKey(1)) == contents)
    }

    /// Begun long before, or without a time: not ours.
    @Test func onlyWhatWasBegunAtTheTimeIsTaken() throws {
        let directory = try TemporaryDirectory()
        let begun = BegunUploads(path: directory.path("begun.json"), age: 60)
        begun.begin("sessions/a.fastshot")
        #expect(begun.wait(.now) == nil, "under way")
        begun.end("sessions/a.fastshot")
        #expect(try #require(begun.wait(.now)) > 50)
        let later = Timestamp.now.later(by: 61)
        let item = try #require(begun.due(later).first)
        func takes(_ key: String, _ age: Double?) -> Bool {
            begun.mayBeLost(
                MultipartUpload(key: key, uploadID: "u", begun: age.map { item.last.later(by: -$0) }), item, later)
        }
        #expect(takes("sessions/a.fastshot", 0))
        #expect(!takes("sessions/b.fastshot", 0))
        #expect(!takes("sessions/a.fastshot", nil))
        #expect(!takes("sessions/a.fastshot", 2000))
        #expect(!takes("sessions/a.fastshot", -30), "too young")
        // Kept over restarts, until it was looked for.
        let again = BegunUploads(path: directory.path("begun.json"), age: 60)
        #expect(again.due(later) == [item])
        again.settle([item])
        #expect(BegunUploads(path: directory.path("begun.json"), age: 60).wait(later) == nil)
    }

    /// A server that does not list uploads, or does not let one go, is not asked for ever.
    @Test func aRefusalEndsTheSearch() async throws {
        let bucket = MemoryStore(hasMultipart: true)
        let rig = try PublishRig(bucket: bucket) { options in
            options.foreign = .basic
            options.strayAge = 0
        }
        try await rig.save(fileName(1), contents)
        // After the beginning and the end.
        rig.store.inject(.fail(.denied), verb: .multipart, nth: 3, times: 100)
        let running = Task { await rig.publisher.run() }
        try await eventually { rig.store.count(.multipart) >= 3 && !rig.publisher.sweep.isRunning }
        running.cancel()
        await running.value
        #expect(rig.store.count(.multipart) == 3)
        #expect(bucket.peek(bodyKey(1)) == contents)
    }
}
