import CloudStores
import Digests
import ObjectStore
import Platform
import SessionCache
import TestSupport
import Testing

@testable import Sync

/// Bodies that are sent in parts.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PublishUploadTests {
    /// Five parts.
    private static let size = 40 << 20
    private static let parts = 5

    private func contents(_ seed: UInt8) -> [UInt8] {
        var bytes = [UInt8](repeating: seed, count: Self.size)
        for at in stride(from: 0, to: Self.size, by: 4096) { bytes[at] = UInt8(truncatingIfNeeded: at >> 12) ^ seed }
        return bytes
    }

    private func ministack() async throws -> S3Store {
        let server = try Ministack.shared()
        let store = try S3Store(
            configuration: S3Configuration(bucket: server.freshBucketName(), endpoint: server.endpoint),
            credentials: StaticCredentials(
                AWSCredentials(accessKeyID: Secret(server.accessKey), secretAccessKey: Secret(server.secretKey)),
                source: "the test"), http: HTTPClient())
        try await store.createContainer()
        return store
    }

    /// Begins to send a file, and ends like a process that dies once the server has so many parts of it.
    /// - Returns: the numbers of those parts.
    private func interrupted(
        _ store: any ObjectStore, _ directory: TemporaryDirectory, after arrived: Int
    ) async throws -> [Int] {
        let rig = try PublishRig(server: store, directory: directory) { $0.foreign = .basic }
        rig.store.inject(.hang, verb: .part, nth: arrived + 1, times: 1000)
        try await rig.save(fileName(1), contents(1))
        let running = Task { await rig.publisher.run() }
        let multipart = try #require(store.multipart)
        var numbers: [Int] = []
        while numbers.count < arrived {
            if let upload = try await multipart.uploads(prefix: "sessions/").first {
                numbers = try await multipart.parts(of: upload.uploadID, upload.key).map(\.number)
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        running.cancel()
        await running.value
        rig.staging.close()
        return numbers
    }

    @Test func aNewProcessSendsOnlyThePartsThatAreMissing() async throws {
        let store = try await ministack()
        let directory = try TemporaryDirectory()
        let there = try await interrupted(store, directory, after: 3)
        #expect(there.count == 3)
        let upload = try #require(try await store.multipart?.uploads(prefix: "sessions/").first)
        let rig = try PublishRig(server: store, directory: directory) { $0.foreign = .basic }
        #expect(rig.staging.changes().first?.multipart?.uploadID == upload.uploadID)
        // A busy server may keep a question waiting for too long; a part is sent once all the same.
        var left = await rig.flush()
        for _ in 0..<40 where !left.isEmpty {
            try await Task.sleep(for: .milliseconds(250))
            left = await rig.flush()
        }
        #expect(left == [], "\(left)")
        #expect(rig.store.count(.part) == Self.parts - there.count)
        #expect(try await store.bytes(bodyKey(1), limit: 64 << 20).bytes == contents(1))
        #expect(try await store.multipart?.uploads(prefix: "") == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
        #expect(try rig.bytes(fileName(1)) == contents(1))
    }

    /// A line that drops again and again.
    @Test func partsThatFailAreSentAgainAndNoOthers() async throws {
        let store = try await ministack()
        let rig = try PublishRig(server: store) { $0.foreign = .basic }
        // Arrived, though nobody heard of it.
        rig.store.inject(.failAfterwards(.lost), verb: .part, nth: 2, times: 2)
        try await rig.save(fileName(1), contents(1))
        #expect(await rig.flush() == [])
        #expect(rig.store.count(.part) == Self.parts + 2, "the store repeats what was not answered")
        #expect(try await store.bytes(bodyKey(1), limit: 64 << 20).bytes == contents(1))
        #expect(try await store.multipart?.uploads(prefix: "") == [])
    }

    /// Its tag is none of the contents; so their MD5 is known all the same when all is done.
    @Test func theCatalogKnowsTheMD5OfContentsThatWentInParts() async throws {
        let rig = try PublishRig(bucket: MemoryStore(hasMultipart: true)) { $0.foreign = .basic }
        try await rig.save(fileName(1), contents(1))
        #expect(await rig.flush() == [])
        let entry = try #require(try rig.catalog.entry(fileName: fileName(1)))
        #expect(entry.contentMD5 == MD5.hex(contents(1)))
        #expect(entry.sha256 == SHA256.hex(contents(1)))
        #expect(rig.disorder == [])
    }

    enum Found: CaseIterable { case same, sameWithoutMD5, anotherOfTheSameLength, shorter }

    /// Somebody has put an object under the name of a new file, in one piece.
    @Test(arguments: Found.allCases) func theSameInOnePieceIsNoConflict(found: Found) async throws {
        let rig = try PublishRig(bucket: MemoryStore(hasMultipart: true), tellsMD5: found != .sameWithoutMD5) {
            $0.foreign = .basic
        }
        let theirs =
            switch found {
            case .same, .sameWithoutMD5: contents(1)
            case .anotherOfTheSameLength: contents(2)
            case .shorter: Array(contents(1).dropLast())
            }
        rig.bucket.set(bodyKey(1), theirs)
        try await rig.save(fileName(1), contents(1))
        _ = await rig.flush()
        let conflicts = try rig.staging.conflicts(includingDecided: true)
        if found == .same || found == .sameWithoutMD5 {
            #expect(conflicts == [])
            #expect(rig.staging.changes() == [])
            #expect(try rig.catalog.entry(fileName: fileName(1))?.contentMD5 == MD5.hex(contents(1)))
        } else {
            #expect(conflicts.map(\.kind) == [.created])
        }
        #expect(rig.bucket.peek(bodyKey(1)) == theirs)
        #expect(try await rig.bucket.uploads(prefix: "").isEmpty)
    }

    /// After that the tag is another, and nothing but the MD5 tells that the session is the one that is edited.
    @Test func anObjectThatSomebodyHasPutAnewIsTheOneThatWasSent() async throws {
        let rig = try PublishRig(bucket: MemoryStore(hasMultipart: true)) { $0.foreign = .basic }
        try await rig.save(fileName(1), contents(1))
        #expect(await rig.flush() == [])
        #expect(rig.staging.abandonedUploads().isEmpty)
        rig.bucket.set(bodyKey(1), contents(1))
        try await rig.save(fileName(1), contents(2))
        #expect(await rig.flush() == [])
        #expect(try rig.staging.conflicts(includingDecided: true) == [])
        #expect(rig.bucket.peek(bodyKey(1)) == contents(2))
    }

    /// Its parts are sent while it is gone through, and never become an object.
    @Test(arguments: [false, true]) func whatIsNoSessionIsTakenBack(hangs: Bool) async throws {
        let store = MemoryStore(hasMultipart: true)
        let rig = try PublishRig(bucket: store)
        // A line so slow that the upload would take forever.
        if hangs { rig.store.inject(.hang, verb: .part, times: 1000) }
        try await rig.save(fileName(1), contents(1))
        let left = await rig.flush()
        #expect(left.first?.reason.hasPrefix("not a FastShot session") == true, "\(left)")
        #expect(rig.staging.changes().map(\.state) == [.refused])
        #expect(rig.staging.changes().first?.multipart == nil)
        #expect(try await store.uploads(prefix: "").isEmpty)
        #expect(rig.staging.abandonedUploads().isEmpty)
        #expect(store.keys.isEmpty)
    }

    enum Course: CaseIterable { case changed, removed, renamedAway, givenUp }

    @Test(arguments: Course.allCases) func partsOfContentsThatAreNotSentGo(course: Course) async throws {
        let store = MemoryStore(hasMultipart: true)
        let directory = try TemporaryDirectory()
        _ = try await interrupted(store, directory, after: 2)
        let rig = try PublishRig(bucket: store, directory: directory) { $0.foreign = .basic }
        switch course {
        case .changed: try await rig.save(fileName(1), contents(2))
        case .removed: _ = try rig.staging.remove(fileName(1))
        case .renamedAway: _ = try rig.staging.rename(fileName(1), to: "away.part", replacing: false)
        case .givenUp: _ = try rig.staging.discard(id: try #require(rig.staging.changes().first).id)
        }
        let running = Task { await rig.publisher.run() }
        while try await store.uploads(prefix: "") != [] || rig.staging.counts.pending > 0 {
            try await Task.sleep(for: .milliseconds(5))
        }
        try await eventually { rig.staging.abandonedUploads().isEmpty }
        running.cancel()
        await running.value
        #expect(store.peek(bodyKey(1)) == (course == .changed ? contents(2) : nil))
    }

    @Test func whatCannotBeTakenOffIsTriedAgainByTheNextProcess() async throws {
        let store = MemoryStore(hasMultipart: true)
        let directory = try TemporaryDirectory()
        _ = try await interrupted(store, directory, after: 1)
        do {
            let rig = try PublishRig(bucket: store, directory: directory) { $0.foreign = .basic }
            rig.store.inject(.fail(.denied), verb: .multipart, times: 100)
            _ = try rig.staging.remove(fileName(1))
            let running = Task { await rig.publisher.run() }
            try await eventually { rig.store.count(.multipart) > 0 && rig.staging.counts.pending == 0 }
            running.cancel()
            await running.value
            #expect(rig.store.count(.multipart) == 1, "and not again and again")
            rig.staging.close()
        }
        #expect(try await store.uploads(prefix: "").count == 1)
        let rig = try PublishRig(bucket: store, directory: directory)
        let running = Task { await rig.publisher.run() }
        while try await store.uploads(prefix: "") != [] { try await Task.sleep(for: .milliseconds(5)) }
        running.cancel()
        await running.value
    }
}
