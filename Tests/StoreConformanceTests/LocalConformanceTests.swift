import ObjectStore
import Platform
import TestSupport
import Testing

@Suite struct MemoryConformanceTests {
    @Test(.timeLimit(.minutes(3)), arguments: StoreConformance.points)
    func keeps(_ point: StoreConformance.Point) async throws {
        try await point.run(MemoryStore(hasMark: true, hasMultipart: true))
    }

    @Test(.timeLimit(.minutes(3)), arguments: StoreConformance.points)
    func keepsBehindWrappers(_ point: StoreConformance.Point) async throws {
        try await point.run(RetryingStore(MeteredStore(FaultyStore(MemoryStore(pageLimit: 100, hasMultipart: true)))))
    }
}

@Suite struct DirectoryConformanceTests {
    @Test(.timeLimit(.minutes(3)), arguments: StoreConformance.points)
    func keeps(_ point: StoreConformance.Point) async throws {
        let directory = try TemporaryDirectory()
        try await point.run(LocalDirectoryStore(directory: directory.path))
    }
}

@Suite struct ConditionSupportTests {
    @Test(.timeLimit(.minutes(1))) func directoriesAndMemoryHonourAll() async throws {
        let directory = try TemporaryDirectory()
        #expect(try await LocalDirectoryStore(directory: directory.path).probeConditions() == .all)
        #expect(try Files.names(in: directory.path).isEmpty)
        #expect(try await RetryingStore(MeteredStore(MemoryStore())).probeConditions() == .all)
        #expect(try await UnconditionalStore(MemoryStore()).probeConditions() == .none)
    }
}

/// The suite itself must be able to fail: stores that break one promise each.
@Suite struct SuiteTests {
    @Test(.timeLimit(.minutes(3)))
    func findsCorruption() async {
        let store = FaultyStore(MemoryStore())
        store.inject(.corrupt(at: 7), verb: .get, times: .max)
        await #expect(throws: StoreConformance.Violation.self) { try await StoreConformance.run(store) }
    }

    @Test(.timeLimit(.minutes(3)))
    func findsShortBodies() async {
        let store = FaultyStore(MemoryStore())
        store.inject(.shorten(to: 50_000), verb: .get, times: .max)
        await #expect(throws: StoreConformance.Violation.self) { try await StoreConformance.run(store) }
    }

    @Test(.timeLimit(.minutes(3)))
    func findsIgnoredConditions() async throws {
        let store = UnconditionalStore(MemoryStore())
        try await StoreConformance.run(
            store, exempt: [.ifAbsentWrites, .ifMatchWrites, .ifMatchDeletes, .conditionalCopies])
        do {
            try await StoreConformance.run(store)
            Issue.record("a store that ignores conditions has passed")
        } catch let violation as StoreConformance.Violation {
            for point in ["of many ifAbsent", "of many ifMatch", "ifAbsent writes only", "ifMatch writes only"] {
                #expect(violation.description.contains(point))
            }
        }
    }
}

/// Ignores conditions on writes, as nginx does.
private struct UnconditionalStore: ObjectStore {
    let store: any ObjectStore
    init(_ store: any ObjectStore) { self.store = store }
    var location: String { store.location }
    var capabilities: StoreCapabilities { store.capabilities }
    func head(_ key: String) async throws(StoreError) -> ObjectInfo { try await store.head(key) }
    func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome { try await store.get(key, options, into: sink) }
    func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo { try await store.put(key, body, .always) }
    func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try await store.delete(key, ifMatch: nil)
    }
    func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await store.copy(source, ifSourceMatch: ifSourceMatch, to: target, .always)
    }
    func list(_ request: ListRequest) async throws(StoreError) -> ListPage { try await store.list(request) }
    func createContainer() async throws(StoreError) { try await store.createContainer() }
}
