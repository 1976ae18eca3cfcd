internal import Platform

/// Makes no request while the store is known to be away, and tells ``Connectivity`` what the others came to. It belongs
/// inside of a ``RetryingStore``, so that the first failure counts and not the last.
///
/// Requests under way are ended when the user goes offline, and when the store has proved to be away; they then fail
/// like those that are not made, with `.offline`.
public struct GatedStore: ObjectStore {
    let store: any ObjectStore
    let connectivity: Connectivity

    /// - Parameter connectivity: asks this store whether it is back.
    public init(_ store: any ObjectStore, _ connectivity: Connectivity) {
        self.store = store
        self.connectivity = connectivity
        connectivity.probe { () async throws(StoreError) in _ = try await store.list(ListRequest(prefix: "", limit: 1))
        }
    }

    /// See ``ObjectStore/location``.
    public var location: String { store.location }

    /// See ``ObjectStore/capabilities``.
    public var capabilities: StoreCapabilities { store.capabilities }

    /// See ``ObjectStore/head(_:)``.
    public func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        try await gated { () async throws(StoreError) in try await store.head(key) }
    }

    /// See ``ObjectStore/get(_:_:into:)``.
    public func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome {
        let heard = HeardSink(sink, connectivity)
        return try await gated { () async throws(StoreError) in try await store.get(key, options, into: heard) }
    }

    /// See ``ObjectStore/put(_:_:_:)``.
    public func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await gated { () async throws(StoreError) in try await store.put(key, body, condition) }
    }

    /// See ``ObjectStore/delete(_:ifMatch:)``.
    public func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try await gated { () async throws(StoreError) in try await store.delete(key, ifMatch: ifMatch) }
    }

    /// See ``ObjectStore/copy(_:ifSourceMatch:to:_:)``.
    public func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await gated { () async throws(StoreError) in
            try await store.copy(source, ifSourceMatch: ifSourceMatch, to: target, condition)
        }
    }

    /// See ``ObjectStore/list(_:)``.
    public func list(_ request: ListRequest) async throws(StoreError) -> ListPage {
        try await gated { () async throws(StoreError) in try await store.list(request) }
    }

    /// See ``ObjectStore/createContainer()``.
    public func createContainer() async throws(StoreError) {
        try await gated { () async throws(StoreError) in try await store.createContainer() }
    }

    /// See ``ObjectStore/changeMark(prefix:)``.
    public func changeMark(prefix: String) async throws(StoreError) -> String? {
        try await gated { () async throws(StoreError) in try await store.changeMark(prefix: prefix) }
    }

    /// See ``ObjectStore/multipart``.
    public var multipart: (any MultipartStore)? { store.multipart.map { GatedMultipart(store: $0, gate: self) } }

    /// See ``ObjectStore/probeConditions(early:)``.
    public func probeConditions(
        early: @escaping @Sendable (_ ifAbsent: Bool) -> Void
    ) async throws(StoreError) -> ConditionSupport {
        try await gated { () async throws(StoreError) in try await store.probeConditions(early: early) }
    }

    /// Makes a request in a task of its own, which can be ended alone.
    func gated<Result: Sendable>(
        _ request: @escaping @Sendable () async throws(StoreError) -> Result
    ) async throws(StoreError) -> Result {
        // The request's task begins whatever has become of this one.
        if Task.isCancelled { throw StoreError(.cancelled, message: "cancelled") }
        let ticket = try connectivity.enter()
        let task = Task { () async -> Swift.Result<Result, StoreError> in
            do throws(StoreError) { return .success(try await request()) } catch { return .failure(error) }
        }
        connectivity.canBeCut(ticket) { task.cancel() }
        let outcome = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        switch outcome {
        case .success(let result):
            _ = connectivity.leave(ticket, nil)
            return result
        case .failure(let error):
            throw connectivity.leave(ticket, error) ?? error
        }
    }
}

/// The uploads in parts of a store behind its gate.
private struct GatedMultipart: MultipartStore {
    let store: any MultipartStore
    let gate: GatedStore

    func begin(_ key: String) async throws(StoreError) -> String {
        try await gate.gated { () async throws(StoreError) in try await store.begin(key) }
    }

    func put(
        part number: Int, of uploadID: String, _ key: String, _ body: ObjectBody
    ) async throws(StoreError) -> MultipartPart {
        try await gate.gated { () async throws(StoreError) in
            try await store.put(part: number, of: uploadID, key, body)
        }
    }

    func parts(of uploadID: String, _ key: String) async throws(StoreError) -> [MultipartPart] {
        try await gate.gated { () async throws(StoreError) in try await store.parts(of: uploadID, key) }
    }

    func complete(
        _ uploadID: String, _ key: String, parts: [MultipartPart], _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try await gate.gated { () async throws(StoreError) in
            try await store.complete(uploadID, key, parts: parts, condition)
        }
    }

    func abort(_ uploadID: String, _ key: String) async throws(StoreError) {
        try await gate.gated { () async throws(StoreError) in try await store.abort(uploadID, key) }
    }

    func uploads(prefix: String) async throws(StoreError) -> [MultipartUpload] {
        try await gate.gated { () async throws(StoreError) in try await store.uploads(prefix: prefix) }
    }
}

/// Passes a body on; every byte is a sign of life.
private final class HeardSink: ObjectSink {
    private let sink: any ObjectSink
    private let connectivity: Connectivity

    init(_ sink: any ObjectSink, _ connectivity: Connectivity) {
        self.sink = sink
        self.connectivity = connectivity
    }

    var restarts: Bool { sink.restarts }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        connectivity.heard()
        try sink.begin(info, at: offset)
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        connectivity.heard()
        try sink.receive(bytes)
    }
}
