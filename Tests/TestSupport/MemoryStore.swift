internal import Digests
public import ObjectStore
internal import Platform

/// A store in memory with exact semantics: the yardstick of the conformance suite and the fast store of unit tests.
public final class MemoryStore: ObjectStore {
    private struct Item {
        var bytes: [UInt8]
        var version: UInt64
        var modified: Timestamp
    }

    private struct State {
        var hasContainer: Bool
        /// By the key's bytes: equal strings may have different ones.
        var items: [[UInt8]: Item] = [:]
        var version: UInt64 = 0
        var namesChanged: UInt64 = 0
        var uploads: [String: Upload] = [:]
    }

    private struct Upload {
        let key: String
        let begun = Timestamp.now
        var parts: [Int: [UInt8]] = [:]
    }

    /// See ``ObjectStore/location``.
    public let location: String
    /// See ``ObjectStore/capabilities``.
    public let capabilities: StoreCapabilities
    private let pageLimit: Int
    private let hasMark: Bool
    private let hasMultipart: Bool
    private let state: Guarded<State>

    /// - Parameters:
    ///   - hasContainer: whether the container is there from the start.
    ///   - pageLimit: the most objects of a page, as a provider caps it.
    ///   - hasMark: whether ``changeMark(prefix:)`` gives one.
    ///   - hasMultipart: whether it takes uploads in parts; those need not have 5 MiB here.
    public init(
        location: String = "memory://test", isRemote: Bool = true, hasContainer: Bool = true, pageLimit: Int = 1000,
        hasMark: Bool = false, hasMultipart: Bool = false
    ) {
        self.location = location
        self.pageLimit = pageLimit
        self.hasMark = hasMark
        self.hasMultipart = hasMultipart
        capabilities = StoreCapabilities(etagIsContentMD5: false, isRemote: isRemote)
        state = Guarded(State(hasContainer: hasContainer))
    }

    /// Every key, in order.
    public var keys: [String] {
        state.withLock { state in
            state.items.keys.sorted { $0.lexicographicallyPrecedes($1) }.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Sets an object without any condition, as somebody else would.
    @discardableResult
    public func set(_ key: String, _ bytes: [UInt8], modified: Int64? = nil) -> ObjectInfo {
        state.withLock { Self.store(key, bytes, modified.map { Timestamp(seconds: $0) } ?? .now, &$0) }
    }

    /// Removes an object without any condition, as somebody else would.
    public func unset(_ key: String) { state.withLock { Self.remove(key, &$0) } }

    /// The bytes of an object.
    public func peek(_ key: String) -> [UInt8]? { state.withLock { $0.items[Array(key.utf8)]?.bytes } }

    /// The facts of an object.
    public func info(_ key: String) -> ObjectInfo? {
        state.withLock { state in state.items[Array(key.utf8)].map { Self.info(key, $0) } }
    }

    /// See ``ObjectStore/head(_:)``.
    public func head(_ key: String) async throws(StoreError) -> ObjectInfo {
        try locked(key) { (state) throws(StoreError) in Self.info(key, try Self.item(key, state)) }
    }

    /// See ``ObjectStore/get(_:_:into:)``.
    public func get(
        _ key: String, _ options: ReadOptions, into sink: any ObjectSink
    ) async throws(StoreError) -> ReadOutcome {
        let (info, bytes) = try locked(key) { (state) throws(StoreError) in
            let item = try Self.item(key, state)
            return (Self.info(key, item), item.bytes)
        }
        if let tag = options.ifMatch, tag != info.etag { throw Self.refusal(key) }
        if let tag = options.ifNoneMatch, tag == info.etag { return .notModified }
        let range = options.range ?? 0..<info.size
        guard range.lowerBound < info.size || options.range == nil else {
            throw StoreError(.permanent, key: key, message: "range begins behind the end", status: 416)
        }
        try sink.begin(info, at: range.lowerBound)
        var offset = Int(range.lowerBound)
        let end = Int(min(range.upperBound, info.size))
        while offset < end {
            try Self.checkCancellation(key)
            let next = min(end, offset + 64 << 10)
            try sink.receive(bytes.span.extracting(offset..<next).bytes)
            offset = next
            await Task.yield()
        }
        return .object(info)
    }

    /// See ``ObjectStore/put(_:_:_:)``.
    public func put(
        _ key: String, _ body: ObjectBody, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        let bytes = try body.read(at: 0, count: Int(body.length))
        return try locked(key) { (state) throws(StoreError) in
            try Self.require(condition, key, state)
            return Self.store(key, bytes, .now, &state)
        }
    }

    /// See ``ObjectStore/delete(_:ifMatch:)``.
    public func delete(_ key: String, ifMatch: String?) async throws(StoreError) {
        try locked(key) { (state) throws(StoreError) in
            if let ifMatch { try Self.require(.ifMatch(ifMatch), key, state) }
            Self.remove(key, &state)
        }
    }

    /// See ``ObjectStore/copy(_:ifSourceMatch:to:_:)``.
    public func copy(
        _ source: String, ifSourceMatch: String?, to target: String, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try locked(target) { (state) throws(StoreError) in
            let item = try Self.item(source, state)
            if let ifSourceMatch { try Self.require(.ifMatch(ifSourceMatch), source, state) }
            try Self.require(condition, target, state)
            return Self.store(target, item.bytes, .now, &state)
        }
    }

    /// See ``ObjectStore/list(_:)``.
    public func list(_ request: ListRequest) async throws(StoreError) -> ListPage {
        try locked("") { (state) throws(StoreError) in
            let bounds = [request.startAfter, request.continuation].compactMap { $0 }.map { Array($0.utf8) }
            var found = state.items.keys.filter { key in
                key.starts(with: request.prefix.utf8) && bounds.allSatisfy { $0.lexicographicallyPrecedes(key) }
            }
            found.sort { $0.lexicographicallyPrecedes($1) }
            let page = found.prefix(max(1, min(request.limit, pageLimit)))
            let objects = page.compactMap { key in
                state.items[key].map { Self.info(String(decoding: key, as: UTF8.self), $0) }
            }
            return ListPage(objects: objects, continuation: page.count < found.count ? objects.last?.key : nil)
        }
    }

    /// See ``ObjectStore/createContainer()``.
    public func createContainer() async throws(StoreError) { state.withLock { $0.hasContainer = true } }

    /// See ``ObjectStore/changeMark(prefix:)``.
    public func changeMark(prefix: String) async throws(StoreError) -> String? {
        hasMark ? try locked("") { (state) throws(StoreError) in String(state.namesChanged) } : nil
    }

    /// See ``ObjectStore/multipart``.
    public var multipart: (any MultipartStore)? { hasMultipart ? self : nil }

    private func locked<Result: Sendable>(
        _ key: String, _ body: (inout State) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        try Self.checkCancellation(key)
        return try state.withLock { (state) throws(StoreError) -> Result in
            guard state.hasContainer else { throw StoreError(.noContainer, message: "no such container") }
            return try body(&state)
        }
    }

    private static func checkCancellation(_ key: String) throws(StoreError) {
        if Task.isCancelled { throw StoreError(.cancelled, key: key, message: "cancelled") }
    }

    private static func item(_ key: String, _ state: State) throws(StoreError) -> Item {
        guard let item = state.items[Array(key.utf8)] else {
            throw StoreError(.notFound, key: key, message: "no such object")
        }
        return item
    }

    private static func require(_ condition: WriteCondition, _ key: String, _ state: State) throws(StoreError) {
        let current = state.items[Array(key.utf8)].map { info(key, $0).etag }
        switch condition {
        case .always: return
        case .ifAbsent: if current != nil { throw refusal(key) }
        case .ifMatch(let tag): if current != tag { throw refusal(key) }
        }
    }

    private static func refusal(_ key: String) -> StoreError {
        StoreError(.precondition, key: key, message: "the condition does not hold", status: 412)
    }

    private static func store(
        _ key: String, _ bytes: [UInt8], _ modified: Timestamp, _ state: inout State
    ) -> ObjectInfo {
        state.version += 1
        let item = Item(bytes: bytes, version: state.version, modified: modified)
        if state.items.updateValue(item, forKey: Array(key.utf8)) == nil { state.namesChanged += 1 }
        return info(key, item)
    }

    private static func remove(_ key: String, _ state: inout State) {
        if state.items.removeValue(forKey: Array(key.utf8)) != nil { state.namesChanged += 1 }
    }

    private static func info(_ key: String, _ item: Item) -> ObjectInfo {
        ObjectInfo(key: key, size: UInt64(item.bytes.count), etag: "v\(item.version)", modified: item.modified)
    }
}

extension MemoryStore: MultipartStore {
    /// See ``MultipartStore/begin(_:)``.
    public func begin(_ key: String) async throws(StoreError) -> String {
        try locked(key) { (state) throws(StoreError) in
            state.version += 1
            let id = "upload-\(state.version)"
            state.uploads[id] = Upload(key: key)
            return id
        }
    }

    /// See ``MultipartStore/put(part:of:_:_:)``.
    public func put(
        part number: Int, of uploadID: String, _ key: String, _ body: ObjectBody
    ) async throws(StoreError) -> MultipartPart {
        let bytes = try body.read(at: 0, count: Int(body.length))
        return try locked(key) { (state) throws(StoreError) in
            var upload = try Self.upload(uploadID, key, state)
            upload.parts[number] = bytes
            state.uploads[uploadID] = upload
            return Self.part(number, bytes)
        }
    }

    /// See ``MultipartStore/parts(of:_:)``.
    public func parts(of uploadID: String, _ key: String) async throws(StoreError) -> [MultipartPart] {
        try locked(key) { (state) throws(StoreError) in
            try Self.upload(uploadID, key, state).parts.sorted { $0.key < $1.key }.map { Self.part($0.key, $0.value) }
        }
    }

    /// See ``MultipartStore/complete(_:_:parts:_:)``.
    public func complete(
        _ uploadID: String, _ key: String, parts: [MultipartPart], _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        try locked(key) { (state) throws(StoreError) in
            let upload = try Self.upload(uploadID, key, state)
            try Self.require(condition, key, state)
            var bytes: [UInt8] = []
            for part in parts {
                guard let held = upload.parts[part.number], Self.part(part.number, held) == part else {
                    throw StoreError(
                        .permanent, key: key, message: "there is no such part", providerCode: "InvalidPart")
                }
                bytes += held
            }
            state.uploads[uploadID] = nil
            return Self.store(key, bytes, .now, &state)
        }
    }

    /// See ``MultipartStore/abort(_:_:)``.
    public func abort(_ uploadID: String, _ key: String) async throws(StoreError) {
        try locked(key) { (state) throws(StoreError) in state.uploads[uploadID] = nil }
    }

    /// See ``MultipartStore/uploads(prefix:)``.
    public func uploads(prefix: String) async throws(StoreError) -> [MultipartUpload] {
        try locked("") { (state) throws(StoreError) in
            state.uploads.filter { $0.value.key.utf8.starts(with: prefix.utf8) }
                .map { MultipartUpload(key: $0.value.key, uploadID: $0.key, begun: $0.value.begun) }
        }
    }

    private static func upload(_ id: String, _ key: String, _ state: State) throws(StoreError) -> Upload {
        guard let upload = state.uploads[id], upload.key.utf8.elementsEqual(key.utf8) else {
            throw StoreError(.notFound, key: key, message: "no such upload", providerCode: "NoSuchUpload")
        }
        return upload
    }

    private static func part(_ number: Int, _ bytes: [UInt8]) -> MultipartPart {
        MultipartPart(number: number, size: UInt64(bytes.count), etag: MD5.hex(bytes))
    }
}
