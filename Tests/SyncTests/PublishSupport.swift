import Catalog
import Digests
import JSON
import ObjectStore
import Operations
import Platform
import SessionCache
import SessionFormat
import TestSupport

@testable import Sync

/// Runs actions between the requests of another store, and may forget conditions as some servers do.
final class MeddledStore: ObjectStore {
    private struct Hook: Sendable {
        let verb: StoreVerb
        let key: String
        let comesBefore: Bool
        let action: @Sendable () async -> Void
    }

    private let store: MemoryStore
    private let honours: Bool
    private let isContentMD5: Bool
    private let hooks = Guarded<[Hook]>([])
    private let refusal = Guarded<StoreError?>(nil)

    /// - Parameters:
    ///   - honours: whether conditions count.
    ///   - tellsMD5: whether it says the contents' MD5, as S3 does.
    init(_ store: MemoryStore, honours: Bool = true, tellsMD5: Bool = false) {
        self.store = store
        self.honours = honours
        isContentMD5 = tellsMD5
    }

    /// Does something once, right before or after the next request of this kind.
    func once(
        _ verb: StoreVerb, _ key: String, before: Bool = true, _ action: @escaping @Sendable () async -> Void
    ) {
        hooks.withLock { $0.append(Hook(verb: verb, key: key, comesBefore: before, action: action)) }
    }

    /// From now on, writes and removals under a condition fail.
    func refuseConditions(with error: StoreError) { refusal.withLock { $0 = error } }

    private func refuse(_ isConditional: Bool) throws(StoreError) {
        if isConditional, let error = refusal.withLock({ $0 }) { throw error }
    }

    private func run(_ verb: StoreVerb, _ key: String, before: Bool) async {
        let hook = hooks.withLock { hooks -> Hook? in
            guard let at = hooks.firstIndex(where: { $0.verb == verb && $0.key == key && $0.comesBefore == before })
            else { return nil }
            return hooks.remove(at: at)
        }
        await hook?.action()
    }

    private func amid<Value: Sendable>(
        _ verb: StoreVerb, _ key: String, _ request: () async throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        await run(verb, key, before: true)
        let answer: Result<Value, StoreError>
        do throws(StoreError) { answer = .success(try await request()) } catch { answer = .failure(error) }
        await run(verb, key, before: false)
        return try answer.get()
    }

    private func told(_ info: ObjectInfo) -> ObjectInfo {
        guard isContentMD5 else { return info }
        var info = info
        info.contentMD5 = store.peek(info.key).map { MD5.hex($0) }
        return info
    }

    var location: String { store.location }
    var capabilities: StoreCapabilities { store.capabilities }
    var multipart: (any MultipartStore)? { store.multipart }

    func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        try await amid(.head, key) { () throws(StoreError) in told(try await store.head(key)) }
    }

    func get(_ key: String, _ options: ReadOptions, into sink: any ObjectSink) async throws(StoreError) -> ReadOutcome {
        try await amid(.get, key) { () throws(StoreError) in try await store.get(key, options, into: sink) }
    }

    func put(_ key: String, _ body: ObjectBody, _ condition: WriteCondition) async throws(StoreError) -> ObjectInfo {
        try await amid(.put, key) { () throws(StoreError) in
            try refuse(condition != .always)
            return told(try await store.put(key, body, honours ? condition : .always))
        }
    }

    func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try await amid(.delete, key) { () throws(StoreError) in
            try refuse(ifMatch != nil)
            try await store.delete(key, ifMatch: honours ? ifMatch : nil)
        }
    }

    func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await amid(.copy, source) { () throws(StoreError) in
            told(
                try await store.copy(
                    source, ifSourceMatch: honours ? ifSourceMatch : nil, to: target, honours ? condition : .always))
        }
    }

    func list(_ request: ListRequest) async throws(StoreError) -> ListPage { try await store.list(request) }
    func createContainer() async throws(StoreError) { try await store.createContainer() }
}

/// A publisher with all that it stands on, over a bucket in memory.
final class PublishRig: Sendable {
    let bucket: MemoryStore
    let meddled: MeddledStore
    let store: FaultyStore
    let directory: TemporaryDirectory
    let catalog: Catalog
    let cache: SessionCache
    let staging: Staging
    let connectivity = Connectivity()
    let operations = OperationRegistry()
    let publisher: Publisher

    /// - Parameters:
    ///   - server: a real one in place of the bucket in memory.
    ///   - conditions: what is remembered of the server; nil: nothing.
    init(
        bucket: MemoryStore = MemoryStore(), server: (any ObjectStore)? = nil, honours: Bool = true,
        tellsMD5: Bool = false,
        conditions: ConditionSupport? = .all, directory: TemporaryDirectory? = nil,
        _ change: (inout PublisherOptions) -> Void = { _ in }
    ) throws {
        self.bucket = bucket
        meddled = MeddledStore(bucket, honours: honours, tellsMD5: tellsMD5)
        store = FaultyStore(server ?? meddled)
        self.directory = try directory ?? TemporaryDirectory()
        catalog = try Catalog.open(directory: self.directory.path("meta_cache"))
        if let conditions {
            try catalog.setValue(PublishConditions.valueKey, PublishConditions.encode(conditions, now: .now))
        }
        let reached = RetryingStore(GatedStore(store, connectivity), sleep: { _ in })
        cache = try SessionCache(
            directory: self.directory.path("sessions"), catalog: catalog, store: reached, operations: operations,
            onFactsChanged: { _ in })
        guard
            let staging = try Staging.open(
                directory: self.directory.path("state"), catalog: catalog, cache: cache, onChange: { _ in })
        else { throw StagingError(.readOnly, "the journal is held") }
        self.staging = staging
        var options = PublisherOptions()
        options.gathering = 0.05
        change(&options)
        publisher = Publisher(
            store: reached, staging: staging, catalog: catalog, connectivity: connectivity, operations: operations,
            stateDirectory: self.directory.path("state"), options: options, cache: cache)
    }

    deinit { staging.close() }

    // MARK: What a program does

    /// Writes a whole file, new or in place of another.
    @discardableResult
    func save(_ fileName: String, _ bytes: [UInt8]) async throws -> Int64 {
        let file: StagedFile
        if let entry = try staging.entry(fileName: fileName) {
            file = try await withCheckedContinuation { done in
                staging.openForWriting(id: entry.id, truncating: true) { done.resume(returning: $0) }
            }.get()
        } else {
            file = try staging.create(fileName)
        }
        try file.write(bytes.span.bytes, at: 0)
        try file.flush()
        file.close()
        return file.id
    }

    @discardableResult
    func flush(timeout: Double? = nil) async -> [Unsent] { await publisher.flush(timeout: timeout) { _, _ in } }

    /// Sessions that this machine has put there.
    func published(_ numbers: Range<Int>) async throws {
        for number in numbers { try await save(fileName(number), session(number)) }
        let left = await flush()
        guard left.isEmpty else { throw StagingError(.io, "\(left)") }
        store.clearRequests()
    }

    // MARK: What the bucket shows

    var rows: [OverallRow] {
        guard let bytes = bucket.peek("overall_meta.json"), let document = try? JSONValue.parse(bytes) else {
            return []
        }
        return (document["sessions"]?.array ?? []).compactMap { OverallRow(json: $0) }
    }

    func row(_ number: Int) -> OverallRow? { row(fileName(number)) }
    func row(_ name: String) -> OverallRow? { rows.first { $0.fileName == name } }

    func index(_ number: Int) -> MetadataIndex? {
        bucket.peek(indexKey(number)).flatMap { try? MetadataIndex.decode($0) }
    }

    /// What the bucket lacks or has too much: every body has its index and its row, and they tell of it.
    var disorder: [String] {
        var problems: [String] = []
        let rows = rows
        if Set(rows.map(\.fileName)).count != rows.count { problems.append("a row comes twice") }
        var names: Set<String> = []
        for key in bucket.keys where key.hasPrefix("sessions/") {
            guard let name = SessionName(fileName: String(key.dropFirst(9))), let body = bucket.peek(key) else {
                continue
            }
            names.insert(name.fileName)
            guard let row = rows.first(where: { $0.fileName == name.fileName }) else {
                problems.append("\(key) has no row")
                continue
            }
            if row.fileSize != UInt64(body.count) { problems.append("\(key): the row has another size") }
            if case .sha256(let hex) = row.checksum, hex != SHA256.hex(body) {
                problems.append("\(key): the row has another checksum")
            }
            guard let index = bucket.peek(name.indexKey).flatMap({ try? MetadataIndex.decode($0) }) else {
                problems.append("\(key) has no index")
                continue
            }
            if index.metadata.fileSize != UInt64(body.count) { problems.append("\(key): the index has another size") }
            if index.checksum != .valid { problems.append("\(key): the index's checksum") }
            if row.metadata != index.metadata { problems.append("\(key): row and index differ") }
        }
        for row in rows where !names.contains(row.fileName) { problems.append("a row without a body: \(row.fileName)") }
        for key in bucket.keys where key.hasPrefix("meta_indexes/") {
            let stem = key.dropFirst("meta_indexes/".count).dropLast(".meta.json".count)
            if !names.contains("\(stem).fastshot") { problems.append("an index without a body: \(key)") }
        }
        return problems
    }

    /// Requests since they were cleared, without those for the overall file.
    var requests: [String] {
        store.requests.filter { $0.key != "overall_meta.json" }.map { "\($0.verb) \($0.key)" }
    }

    func bytes(_ fileName: String) throws -> [UInt8]? {
        guard let entry = try staging.entry(fileName: fileName) else { return nil }
        if let file = try staging.openContents(id: entry.id) {
            return try file.descriptor.read(at: 0, count: Int(file.size))
        }
        return try cache.cachedBody(id: entry.id).map { try $0.read(at: 0, count: Int(entry.size)) }
    }

    var kept: [String] { (try? Files.names(in: directory.path("state/kept"))) ?? [] }
}

/// A session as FastShot's "save to file" writes it.
func session(_ number: Int, _ note: String = "first") -> [UInt8] {
    let document: JSONValue = [
        "session": ["version": "1.0", "timestamp": "2025-02-03T04:05:06", "windows": .array([])],
        "metadata": [
            "name": .string("session \(number)"), "desc": .string(note), "tags": .array([.string("t")]),
            "color": "red", "class": "c", "created_at": "2025-02-03T04:05:06", "image_count": .integer(0),
        ],
    ]
    return document.serialized()
}

/// What somebody else's client puts under a name, complete with index and row.
extension PublishRig {
    func somebodySaves(_ number: Int, _ note: String) {
        let bytes = session(number, note)
        bucket.set(bodyKey(number), bytes)
        let metadata = SessionMetadata(
            name: "session \(number)", desc: note, tags: ["t"], color: "red", sessionClass: "c",
            createdAt: "2025-02-03T04:05:06", fileSize: UInt64(bytes.count))
        let index = MetadataIndex(
            fileName: fileName(number), metadata: metadata, createdAt: metadata.createdAt,
            lastUpdated: metadata.createdAt)
        bucket.set(indexKey(number), index.encode())
        let row = OverallRow(
            fileName: fileName(number), createdAt: "2026-01-01T00:00:00+00:00", fileSize: UInt64(bytes.count),
            checksum: .sha256(SHA256.hex(bytes)), metadata: metadata)
        let others = rows.filter { $0.fileName != fileName(number) }
        bucket.set("overall_meta.json", OverallFile.encode(others + [row], lastUpdated: "2026-01-01T00:00:00"))
    }

    func somebodyRemoves(_ number: Int) {
        bucket.unset(bodyKey(number))
        bucket.unset(indexKey(number))
        let others = rows.filter { $0.fileName != fileName(number) }
        bucket.set("overall_meta.json", OverallFile.encode(others, lastUpdated: "2026-01-01T00:00:00"))
    }
}

extension StoreError {
    /// With a status: failures without one soon count as a lost line.
    static let lost = StoreError(.temporary, message: "the answer was lost", status: 503)
    static let denied = StoreError(.forbidden, message: "not allowed", status: 403)
    static let broken = StoreError(.permanent, message: "the request is bad", status: 400)
}
