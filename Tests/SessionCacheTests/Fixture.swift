import Catalog
import Foundation
import ObjectStore
import Operations
import Platform
import Synchronization

@testable import SessionCache

/// A cache in a directory of its own over a store that the test scripts.
final class Fixture: Sendable {
    let root: String
    let store: ScriptedStore
    let catalog: Catalog
    let operations = OperationRegistry()
    let cache: SessionCache
    let deltas = Guarded<[CatalogDelta]>([])
    private let ownsRoot: Bool

    var sessions: String { root + "/sessions" }

    /// - Parameters:
    ///   - root: keeps the files of an earlier fixture; nil makes a new directory that goes with this object.
    ///   - other: a store to use in place of the scripted one.
    init(
        root: String? = nil, store: ScriptedStore = ScriptedStore(), over other: (any ObjectStore)? = nil,
        options: CacheOptions = .quick, connectivity: Connectivity? = nil
    ) throws {
        self.root = try root ?? Fixture.temporaryDirectory()
        ownsRoot = root == nil
        // Directories that go while a download ends are worth a warning elsewhere.
        Log.level = .error
        self.store = store
        catalog = try Catalog.open(directory: self.root + "/meta_cache")
        let deltas = deltas
        cache = try SessionCache(
            directory: self.root + "/sessions", catalog: catalog, store: other ?? store, operations: operations,
            options: options, connectivity: connectivity
        ) { delta in deltas.withLock { $0.append(delta) } }
    }

    deinit {
        cache.shutdown()
        if ownsRoot { try? Files.removeTree(root) }
    }

    static func temporaryDirectory() throws -> String {
        let path = NSTemporaryDirectory() + "/cache-test-\(UUID().uuidString)"
        try Files.makePrivateDirectory(path)
        return path
    }

    /// Puts an object into the store and its facts into the catalog.
    /// - Returns: the session's id.
    @discardableResult
    func add(
        _ fileName: String, _ bytes: [UInt8], etag: String? = "auto", contentMD5: String? = "auto",
        knowsTag: Bool = true
    )
        async throws -> Int64
    {
        store.set(SessionCache.keyPrefix + fileName, bytes, etag: etag, contentMD5: contentMD5)
        let info = try await store.head(SessionCache.keyPrefix + fileName)
        let facts = ObjectFacts(size: info.size, etag: knowsTag ? info.etag : nil)
        _ = try catalog.apply([.object(fileName: fileName, facts)])
        return try require_(catalog.entry(fileName: fileName)?.id)
    }

    func path(_ fileName: String) -> String { sessions + "/" + fileName }

    /// Names in the cache directory, partial files included.
    func names() throws -> [String] { try Files.names(in: sessions).sorted() }
}

func require_<Value>(_ value: Value?) throws -> Value {
    guard let value else { throw CacheError(.io, "unexpected nil") }
    return value
}

extension CacheOptions {
    /// The defaults with short pauses and a patience that only tests of it shorten.
    static var quick: CacheOptions {
        var options = CacheOptions()
        // A busy machine must not look like a silent store.
        options.stallLimit = 600
        var policy = DownloadPlan.Policy()
        policy.retry.base = 0.005
        policy.retry.cap = 0.02
        options.policy = policy
        return options
    }

    /// All connections from the start, as with a slow store.
    static var parallel: CacheOptions {
        var options = CacheOptions.quick
        options.policy.patience = 0
        options.policy.probe = 0
        options.policy.longEnough = 0
        return options
    }
}

extension OpenBody {
    /// Reads a range and fetches its bytes from the file named by the reply.
    func bytes(at offset: UInt64, count: Int) async throws -> [UInt8] {
        let reply = await withCheckedContinuation { done in
            read(at: offset, count: count) { done.resume(returning: $0) }
        }
        switch try reply.get() {
        case .file(let file, let offset, let count):
            let bytes = try file.read(at: offset, count: count)
            guard bytes.count == count else { throw CacheError(.io, "the file has fewer bytes than promised") }
            return bytes
        }
    }

    /// Reads from the start to the end in pieces, as a program does.
    func everything(piece: Int = 128 << 10) async throws -> [UInt8] {
        var all: [UInt8] = []
        while true {
            let next = try await bytes(at: UInt64(all.count), count: piece)
            if next.isEmpty { return all }
            all += next
        }
    }

    /// The kind of the error that a read ends with; nil when it succeeds.
    func failure(at offset: UInt64, count: Int) async -> CacheError.Kind? {
        do {
            _ = try await bytes(at: offset, count: count)
            return nil
        } catch { return (error as? CacheError)?.kind ?? .io }
    }
}

/// Bytes in which every 4 KiB differs from every other, the same for the same seed.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var random = Jitter(state: seed)
    let block = (0..<4096).map { _ in UInt8(random.next() * 256) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 4096)
    while bytes.count < count {
        _ = random.next()
        withUnsafeBytes(of: random.state) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: block[8...])
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}
