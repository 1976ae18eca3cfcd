package import ObjectStore

/// A store that passes everything on to another one, but for what it does itself.
package protocol ForwardingStore: ObjectStore {
    /// Where it is passed on to.
    var store: MemoryStore { get }
}

extension ForwardingStore {
    package var location: String { store.location }
    package var capabilities: StoreCapabilities { store.capabilities }
    package func head(_ key: String) async throws(StoreError) -> ObjectInfo { try await store.head(key) }
    package func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome { try await store.get(key, options, into: sink) }
    package func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo { try await store.put(key, body, condition) }
    package func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try await store.delete(key, ifMatch: ifMatch)
    }
    package func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await store.copy(source, ifSourceMatch: ifSourceMatch, to: target, condition)
    }
    package func list(_ request: ListRequest) async throws(StoreError) -> ListPage { try await store.list(request) }
    package func createContainer() async throws(StoreError) { try await store.createContainer() }
}
