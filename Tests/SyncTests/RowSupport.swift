import JSON
import ObjectStore
import Platform
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// A bucket that honours no conditions, as some servers, and lets somebody else act at chosen moments.
final class CarelessStore: ObjectStore {
    private let store: any ObjectStore
    private let ignores: Bool
    private let moments = Guarded<(before: [@Sendable () -> Void], after: [@Sendable () -> Void])>(([], []))

    /// - Parameter ignores: whether conditions count for nothing.
    init(_ store: any ObjectStore, ignores: Bool = true) {
        self.store = store
        self.ignores = ignores
    }

    /// What happens before the next writes, one for each.
    func beforePut(_ moment: @escaping @Sendable () -> Void) { moments.withLock { $0.before.append(moment) } }
    /// What happens after the next writes, one for each.
    func afterPut(_ moment: @escaping @Sendable () -> Void) { moments.withLock { $0.after.append(moment) } }

    var location: String { store.location }
    var capabilities: StoreCapabilities { store.capabilities }

    func head(_ key: String) async throws(StoreError) -> ObjectInfo { try await store.head(key) }

    func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome { try await store.get(key, options, into: sink) }

    func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        let before = moments.withLock { $0.before.isEmpty ? nil : $0.before.removeFirst() }
        before?()
        let info = try await store.put(key, body, ignores ? .always : condition)
        let after = moments.withLock { $0.after.isEmpty ? nil : $0.after.removeFirst() }
        after?()
        return info
    }

    func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try await store.delete(key, ifMatch: ignores ? nil : ifMatch)
    }

    func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await store.copy(
            source, ifSourceMatch: ignores ? nil : ifSourceMatch, to: target, ignores ? .always : condition)
    }

    func list(_ request: ListRequest) async throws(StoreError) -> ListPage { try await store.list(request) }
    func createContainer() async throws(StoreError) { try await store.createContainer() }
}

/// A row of a session that nobody else has.
func row(_ number: Int, of writer: Int = 0, version: Int = 0) -> OverallRow {
    OverallRow(
        fileName: "2025010\(writer)\(String(format: "%06d", number))_é row.fastshot",
        createdAt: "2026-11-21T02:05:32+00:00", fileSize: UInt64(number), checksum: .etag("\(number)v\(version)"),
        metadata: SessionMetadata(name: "row \(number)", tags: ["t"], fileSize: UInt64(number)))
}

/// The rows of an overall file, after a look at whether it is as FastShot writes it.
func checkedRows(_ bytes: [UInt8], location: SourceLocation = #_sourceLocation) throws -> [OverallRow] {
    let document = try JSONValue.parse(bytes)
    #expect(document.serialized(.pretty) == bytes, sourceLocation: location)
    let sessions = try #require(document["sessions"], sourceLocation: location)
    #expect(document["checksum"]?.string == MetadataIndex.checksum(of: sessions), sourceLocation: location)
    #expect(document["total_sessions"] == JSONValue(sessions.array?.count ?? -1), sourceLocation: location)
    return (sessions.array ?? []).compactMap { OverallRow(json: $0) }
}

extension RowWriter {
    /// A writer with a clock that stands still.
    convenience init(
        _ store: any ObjectStore, _ directory: TemporaryDirectory, _ support: ConditionSupport = .all,
        known: [OverallRow] = []
    ) {
        self.init(
            store: store, scratch: directory.path("scratch"), support: { support },
            lastUpdated: { "2026-11-30T10:00:00.000001" },
            known: { deliver in for row in known { try deliver(row) } })
    }
}
