import Digests
import ObjectStore
import Platform
import TestSupport
import Testing

private let lost = StoreError(.temporary, message: "connection lost")
private let mebibyte = 1 << 20

/// Files in parts: what is sent, what stays after a failure, what is noted.
@Suite(.timeLimit(.minutes(2))) struct UploadTests {
    let memory = MemoryStore(hasMultipart: true)
    let store: FaultyStore
    let directory: TemporaryDirectory
    let notes = Guarded<[MultipartProgress?]>([])

    init() throws {
        store = FaultyStore(memory)
        directory = try TemporaryDirectory()
    }

    private func file(_ bytes: [UInt8]) throws -> FileDescriptor {
        try directory.write("file", bytes)
        return try FileDescriptor.open(directory.path("file"))
    }

    /// Five parts of 8 MiB, all different.
    private func contents() -> [UInt8] {
        (0..<5).flatMap { [UInt8](repeating: UInt8($0), count: 8 * mebibyte) }
    }

    private func upload(
        _ file: FileDescriptor, _ length: Int, _ condition: WriteCondition = .ifAbsent,
        resuming: MultipartProgress? = nil
    ) async throws(StoreError) -> ObjectInfo {
        try await store.upload(
            "k", file, length: UInt64(length), condition, resuming: resuming,
            note: { progress in notes.withLock { $0.append(progress) } }, progress: { _ in })
    }

    private var noted: [MultipartProgress?] { notes.withLock { $0 } }

    @Test func smallFilesGoInOnePiece() async throws {
        let bytes = [UInt8](repeating: 7, count: 16 * mebibyte - 1)
        _ = try await upload(file(bytes), bytes.count)
        #expect(memory.peek("k") == bytes)
        #expect(store.requests.map(\.verb) == [.put])
        #expect(noted.isEmpty)
    }

    @Test func aBrokenUploadGoesOnWhereItWas() async throws {
        let bytes = contents()
        let file = try file(bytes)
        store.inject(.fail(lost), verb: .part, nth: 4, times: .max)
        await #expect(throws: lost) { _ = try await upload(file, bytes.count) }
        let begun = try #require(noted.first ?? nil)
        #expect(noted == [begun])
        let present = try await memory.parts(of: begun.uploadID, "k").count
        #expect(present > 0 && present < 5)
        store.clearFaults()
        store.clearRequests()
        _ = try await upload(file, bytes.count, resuming: begun)
        #expect(memory.peek("k") == bytes)
        #expect(store.count(.part) == 5 - present)
        #expect(noted == [begun, nil])
    }

    @Test func anUploadOfOtherContentsSendsThemAll() async throws {
        let begun = MultipartProgress(
            uploadID: try await memory.begin("k"), key: "k", partSize: UInt64(8 * mebibyte))
        let old = [UInt8](repeating: 9, count: 8 * mebibyte)
        for number in 1...5 { _ = try await memory.put(part: number, of: begun.uploadID, "k", .bytes(old)) }
        let bytes = contents()
        _ = try await upload(file(bytes), bytes.count, resuming: begun)
        #expect(memory.peek("k") == bytes)
        #expect(store.count(.part) == 5)
    }

    /// What somebody knows of a part is sent with it, and taken for that of no other.
    @Test func knownDigestsAreTaken() async throws {
        let bytes = contents()
        let file = try file(bytes)
        let asked = Guarded<[Range<UInt64>]>([])
        let sent = DigestNotes(memory)
        func upload(resuming: MultipartProgress?) async throws {
            _ = try await sent.upload(
                "k", file, length: UInt64(bytes.count), .always,
                parts: { range in
                    asked.withLock { $0.append(range) }
                    // A made-up one tells where it came from.
                    return range.lowerBound == 0 ? ContentDigests(md5: [1, 2, 3]) : ContentDigests(sha256: [4])
                }, resuming: resuming, note: { _ in }, progress: { _ in })
        }
        try await upload(resuming: nil)
        #expect(asked.withLock { $0.map(\.lowerBound).sorted() } == (0..<5).map { UInt64($0 * 8 * mebibyte) })
        #expect(sent.notes[1]?.md5 == [1, 2, 3])
        let second = bytes[8 * mebibyte..<16 * mebibyte]
        #expect(sent.notes[2]?.md5 == Algorithm.md5.hash(second.span.bytes), "one that is not the wanted one")
    }

    @Test(arguments: [StoreError.Kind.permanent, .forbidden, .noContainer])
    func whatFailsForGoodLeavesNothing(_ kind: StoreError.Kind) async throws {
        let bytes = contents()
        let file = try file(bytes)
        store.inject(.fail(StoreError(kind, message: "no")), verb: .part, nth: 3, times: .max)
        do {
            _ = try await upload(file, bytes.count)
            Issue.record("it has succeeded")
        } catch { #expect(error.kind == kind) }
        #expect(try await memory.uploads(prefix: "").isEmpty)
        #expect(memory.keys.isEmpty)
        #expect(noted.count == 2 && noted.last == .some(nil))
    }

    @Test(arguments: [StoreError.Kind.temporary, .throttled, .unreachable, .offline, .unauthenticated])
    func whatMayPassKeepsTheParts(_ kind: StoreError.Kind) async throws {
        let bytes = contents()
        store.inject(.fail(StoreError(kind, message: "not now")), verb: .part, nth: 5, times: .max)
        await #expect(throws: StoreError.self) { _ = try await upload(file(bytes), bytes.count) }
        #expect(try await memory.uploads(prefix: "").count == 1)
        #expect(noted.count == 1)
    }

    @Test func aFailingConditionSendsNoByte() async throws {
        memory.set("k", [1])
        let bytes = contents()
        let file = try file(bytes)
        for condition in [WriteCondition.ifAbsent, .ifMatch("other")] {
            do {
                _ = try await upload(file, bytes.count, condition)
                Issue.record("it has succeeded")
            } catch { #expect(error.kind == .precondition) }
        }
        #expect(store.count(.part) == 0)
        #expect(memory.peek("k") == [1])
    }

    @Test func whatCannotBeNotedIsNotBegun() async throws {
        let bytes = contents()
        let full = StoreError(.local, message: "disk full")
        let file = try file(bytes)
        await #expect(throws: full) {
            _ = try await store.upload(
                "k", file, length: UInt64(bytes.count), .always, resuming: nil,
                note: { (_) throws(StoreError) in throw full }, progress: { _ in })
        }
        #expect(try await memory.uploads(prefix: "").isEmpty)
    }

    @Test func aServerWithoutPartsGetsOnePiece() async throws {
        store.inject(.fail(StoreError(.unsupported, message: "501", status: 501)), verb: .multipart)
        let bytes = contents()
        _ = try await upload(file(bytes), bytes.count)
        #expect(memory.peek("k") == bytes)
        #expect(store.count(.put) == 1)
    }

    @Test func cancellingKeepsWhatIsThere() async throws {
        let bytes = contents()
        let file = try file(bytes)
        store.inject(.hang, verb: .part, nth: 2, times: .max)
        let task = Task { try await upload(file, bytes.count) }
        while store.count(.part) < 5 { try await Task.sleep(for: .milliseconds(2)) }
        task.cancel()
        do {
            _ = try await task.value
            Issue.record("it has succeeded")
        } catch let error as StoreError { #expect(error.kind == .cancelled) }
        #expect(try await memory.uploads(prefix: "").count == 1)
    }

    @Test func plansKeepWithinWhatServersTake() {
        let tebibyte: UInt64 = 1 << 40
        for length in [16 << 20, 1 << 30, 10_000 * 8 << 20, 10_000 * 8 << 20 + 1, 5 * tebibyte] as [UInt64] {
            let plan = MultipartPlan(length: length)
            #expect(plan.count <= 10_000)
            #expect(plan.partSize >= 8 << 20)
            #expect(UInt64(plan.count) * plan.partSize >= length)
        }
    }
}

/// Notes the digests that parts come with.
private final class DigestNotes: ForwardingStore, MultipartStore {
    let store: MemoryStore
    private let noted = Guarded<[Int: ContentDigests]>([:])

    init(_ store: MemoryStore) { self.store = store }

    var notes: [Int: ContentDigests] { noted.withLock { $0 } }
    var multipart: (any MultipartStore)? { self }

    func put(
        part number: Int, of uploadID: String, _ key: String, _ body: ObjectBody
    ) async throws(StoreError) -> MultipartPart {
        noted.withLock { $0[number] = body.digests }
        return try await store.put(part: number, of: uploadID, key, body)
    }

    func begin(_ key: String) async throws(StoreError) -> String { try await store.begin(key) }
    func parts(of uploadID: String, _ key: String) async throws(StoreError) -> [MultipartPart] {
        try await store.parts(of: uploadID, key)
    }
    func complete(
        _ uploadID: String, _ key: String, parts: [MultipartPart], _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await store.complete(uploadID, key, parts: parts, condition)
    }
    func abort(_ uploadID: String, _ key: String) async throws(StoreError) { try await store.abort(uploadID, key) }
    func uploads(prefix: String) async throws(StoreError) -> [MultipartUpload] {
        try await store.uploads(prefix: prefix)
    }
}

/// Copies whose answer was lost.
@Suite(.timeLimit(.minutes(1))) struct LostCopyTests {
    let memory = MemoryStore()
    let faulty: FaultyStore
    let retrying: RetryingStore

    init() {
        faulty = FaultyStore(memory)
        retrying = RetryingStore(faulty, sleep: { _ in })
    }

    @Test func aCopyWhoseAnswerWasLostHasHappened() async throws {
        let source = memory.set("from", [1, 2, 3])
        faulty.inject(.failAfterwards(lost), verb: .copy)
        let info = try await retrying.copy("from", ifSourceMatch: source.etag, to: "to", .ifAbsent)
        #expect(info.key == "to")
        #expect(memory.peek("to") == [1, 2, 3])
        #expect(faulty.count(.copy) == 2)
    }

    @Test func somebodyElsesObjectIsNoCopy() async throws {
        memory.set("from", [1, 2, 3])
        memory.set("to", [1, 2, 4])
        faulty.inject(.fail(lost), verb: .copy)
        do {
            _ = try await retrying.copy("from", to: "to", .ifAbsent)
            Issue.record("it has succeeded")
        } catch { #expect(error.kind == .precondition) }
        #expect(memory.peek("to") == [1, 2, 4])
    }
}
