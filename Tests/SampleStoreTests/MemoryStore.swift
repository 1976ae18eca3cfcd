import ObjectStore
import Platform

/// As much of a store as is needed to write into.
final class MemoryStore: ObjectStore {
    let location = "memory:"
    let capabilities = StoreCapabilities(etagIsContentMD5: false, isRemote: false)
    private let held = Guarded<[String: [UInt8]]>([:])
    private let failing: String?

    /// - Parameter failing: a part of keys that cannot be written.
    init(failing: String? = nil) { self.failing = failing }

    var objects: [String: [UInt8]] { held.withLock { $0 } }

    func put(_ key: String, _ body: ObjectBody, _ condition: WriteCondition) async throws(StoreError) -> ObjectInfo {
        if let failing, key.contains(failing) { throw StoreError(.forbidden, key: key, message: "refused") }
        let bytes = try body.read(at: 0, count: Int(body.length))
        held.withLock { $0[key] = bytes }
        return ObjectInfo(key: key, size: UInt64(bytes.count))
    }

    func createContainer() async throws(StoreError) {}

    func head(_ key: String) async throws(StoreError) -> ObjectInfo { throw unsupported(key) }
    func get(_ key: String, _ options: ReadOptions, into sink: any ObjectSink) async throws(StoreError) -> ReadOutcome {
        throw unsupported(key)
    }
    func delete(_ key: String, ifMatch: String?) async throws(StoreError) { throw unsupported(key) }
    func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        throw unsupported(source)
    }
    func list(_ request: ListRequest) async throws(StoreError) -> ListPage { throw unsupported("") }

    private func unsupported(_ key: String) -> StoreError {
        StoreError(.unsupported, key: key, message: "only written to in these tests")
    }
}
