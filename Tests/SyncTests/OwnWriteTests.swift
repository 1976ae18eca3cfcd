import Catalog
import ObjectStore
import Platform
import SessionFormat
import Sync
import TestSupport
import Testing

/// What this machine writes to the bucket while a refresh has its answer and has not read it yet.
@Suite(.timeLimit(.minutes(2))) struct OwnWriteTests {
    /// Lets something happen once, between an answer and its reading.
    private final class Between: ForwardingStore {
        let store: MemoryStore
        private let wish = Guarded<(verb: StoreVerb, key: String, body: @Sendable () throws -> Void)?>(nil)
        let problem = Guarded<String?>(nil)

        init(_ store: MemoryStore) { self.store = store }

        func after(_ verb: StoreVerb, _ key: String, _ body: @escaping @Sendable () throws -> Void) {
            wish.withLock { $0 = (verb, key, body) }
        }

        /// Whether what was to happen has happened.
        var hasHappened: Bool { wish.withLock { $0 == nil } }

        private func answered(_ verb: StoreVerb, _ key: String) {
            let body = wish.withLock { wish -> (@Sendable () throws -> Void)? in
                guard let due = wish, due.verb == verb, due.key == key else { return nil }
                wish = nil
                return due.body
            }
            do { try body?() } catch { problem.withLock { $0 = "\(error)" } }
        }

        func get(
            _ key: String, _ options: ReadOptions, into sink: any ObjectSink
        ) async throws(StoreError) -> ReadOutcome {
            let collected = CollectingSink(limit: 16 << 20)
            let outcome = try await store.get(key, options, into: collected)
            answered(.get, key)
            if case .object(let info) = outcome {
                try sink.begin(info, at: options.range?.lowerBound ?? 0)
                let bytes = collected.bytes
                if !bytes.isEmpty { try sink.receive(bytes.span.bytes) }
            }
            return outcome
        }

        func list(_ request: ListRequest) async throws(StoreError) -> ListPage {
            let page = try await store.list(request)
            answered(.list, request.prefix)
            return page
        }
    }

    private let between: Between
    private let rig: Rig

    init() throws {
        let bucket = MemoryStore()
        between = Between(bucket)
        rig = try Rig(bucket, over: between)
    }

    private var edited: SessionMetadata {
        var edited = metadata(3)
        edited.name = "edited"
        return edited
    }

    /// Puts a session into the bucket as the publisher does, and tells the catalog.
    private static func publish(_ rig: Rig, id: Int64, _ number: Int, _ bytes: [UInt8], _ data: SessionMetadata) throws
    {
        let info = rig.bucket.set(bodyKey(number), bytes)
        let index = MetadataIndex(
            fileName: fileName(number), metadata: data, createdAt: data.createdAt, lastUpdated: data.createdAt)
        let indexInfo = rig.bucket.set(indexKey(number), index.encode())
        _ = try rig.catalog.published([
            PublishedSession(
                id: id, fileName: fileName(number),
                facts: ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified), metadata: data,
                indexETag: indexInfo.etag)
        ])
    }

    private static func remove(_ rig: Rig, _ number: Int) throws {
        rig.bucket.unset(bodyKey(number))
        rig.bucket.unset(indexKey(number))
        guard let id = try rig.entry(number)?.id else { return }
        _ = try rig.catalog.unpublished([id])
    }

    private static let answers = [
        (StoreVerb.list, "sessions/"), (.list, "meta_indexes/"), (.get, "overall_meta.json"),
    ]

    @Test(arguments: answers)
    func aRefreshFromBeforeDoesNotUndoIt(_ verb: StoreVerb, _ key: String) async throws {
        rig.bucket.addSessions(0..<20)
        rig.bucket.writeOverall(0..<20, metadata: true)
        let early = try rig.catalog.reserveID()
        _ = try await rig.refresher.refresh(.full)
        let known = try #require(try rig.entry(3)?.id)
        // The next look reads all of it again.
        rig.bucket.writeOverall(0..<19, metadata: true)
        let (rig, edited) = (rig, edited)
        between.after(verb, key) {
            try Self.publish(rig, id: early, 30, body(30), metadata(30))
            try Self.publish(rig, id: known, 3, Array("another body, longer than before".utf8), edited)
            try Self.remove(rig, 7)
        }
        _ = try await rig.refresher.refresh(.full)
        #expect(between.hasHappened)
        #expect(between.problem.withLock { $0 } == nil)
        try check(early: early, known: known)
        // The next one, which begins after it, sees the same.
        _ = try await rig.refresher.refresh(.full)
        try check(early: early, known: known)
        let validated = try rig.catalog.validate()
        #expect(validated.isSound)
    }

    private func check(early: Int64, known: Int64) throws {
        #expect(try rig.entry(30)?.id == early)
        #expect(try rig.entry(30)?.indexState == .known)
        #expect(try rig.entry(3)?.id == known)
        #expect(try rig.entry(3)?.size == 32)
        #expect(try rig.catalog.metadata(id: known) == edited)
        #expect(try rig.entry(7) == nil)
        #expect(try rig.names().count == 20)
    }

    @Test func anIndexReadBeforeAnEditDoesNotCount() async throws {
        rig.bucket.addSessions(0..<5)
        let (rig, edited) = (rig, edited)
        between.after(.get, indexKey(3)) {
            guard let id = try rig.entry(3)?.id else { return }
            try Self.publish(rig, id: id, 3, Array("another body, longer than before".utf8), edited)
        }
        _ = try await rig.refresher.refresh(.full)
        #expect(between.hasHappened)
        let id = try #require(try rig.entry(3)?.id)
        #expect(try rig.catalog.metadata(id: id) == edited)
        #expect(try rig.catalog.counts.indexed == 5)
    }

    @Test func anOverallFileThatGoesMeanwhileTakesNothing() async throws {
        rig.bucket.addSessions(0..<5)
        rig.bucket.writeOverall(0..<5, metadata: true)
        _ = try await rig.refresher.refresh(.full)
        rig.bucket.unset("overall_meta.json")
        let id = try rig.catalog.reserveID()
        let rig = rig
        between.after(.list, "sessions/") { try Self.publish(rig, id: id, 9, body(9), metadata(9)) }
        _ = try await rig.refresher.refresh(.poll)
        #expect(between.hasHappened)
        #expect(try rig.entry(9)?.id == id)
        #expect(try rig.names().count == 6)
    }
}
