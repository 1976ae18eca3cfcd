import CSQLite
import Catalog
import Foundation
import ObjectStore
import Operations
import Platform
import SessionFormat
import Sync
import TestSupport

/// A bucket in memory, a catalog, and a refresher between them.
struct Rig {
    let bucket: MemoryStore
    let store: FaultyStore
    let directory: TemporaryDirectory
    let catalog: Catalog
    let operations = OperationRegistry()
    let deltas = Guarded<[CatalogDelta]>([])
    let refresher: Refresher

    /// - Parameter base: the store to look at instead of the bucket in memory.
    init(
        _ bucket: MemoryStore = MemoryStore(), over base: (any ObjectStore)? = nil,
        options: RefresherOptions = RefresherOptions(), retrying: Bool = false, directory: TemporaryDirectory? = nil,
        published: @escaping @Sendable (CatalogDelta) -> Void = { _ in }
    ) throws {
        self.bucket = bucket
        self.directory = try directory ?? TemporaryDirectory()
        store = FaultyStore(base ?? bucket)
        catalog = try Catalog.open(directory: self.directory.path("meta_cache"))
        let used: any ObjectStore = retrying ? RetryingStore(store, sleep: { _ in }) : store
        refresher = Refresher(
            store: used, catalog: catalog, cacheDirectory: self.directory.path, operations: operations,
            options: options,
            publish: { [deltas] delta in
                deltas.withLock { $0.append(delta) }
                published(delta)
            })
    }

    /// Requests since the last call, without looks at change marks, which are none.
    func requests() -> [String] {
        defer { store.clearRequests() }
        return store.requests.filter { $0.verb != .mark }.map { "\($0.verb) \($0.key)" }
    }

    func names() throws -> [String] {
        var found: [String] = []
        try catalog.scan(after: 0) { row in
            found.append(row.withFileName { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } })
            return true
        }
        return found.sorted()
    }

    func entry(_ number: Int) throws -> SessionEntry? { try catalog.entry(fileName: fileName(number)) }

    var overallCopy: [UInt8]? { try? directory.read("meta_cache/overall_meta.json") }
    var leftovers: [String] {
        let names = (try? Files.names(in: directory.path("meta_cache"))) ?? []
        return names.filter { $0.hasSuffix(".tmp") }
    }
}

func stem(_ number: Int) -> String { "20250101\(String(format: "%06d", number))_session \(number)" }
func fileName(_ number: Int) -> String { stem(number) + ".fastshot" }
func bodyKey(_ number: Int) -> String { "sessions/" + fileName(number) }
func indexKey(_ number: Int) -> String { "meta_indexes/" + stem(number) + ".meta.json" }

func metadata(_ number: Int) -> SessionMetadata {
    SessionMetadata(
        name: "session \(number)", desc: "notes", tags: ["t\(number % 5)", "é"], color: "red", sessionClass: "c",
        imageCount: number, createdAt: "2025-02-03T04:05:06", fileSize: UInt64(body(number).count))
}

func body(_ number: Int) -> [UInt8] { Array("body of session \(number)".utf8) }

extension MemoryStore {
    /// Puts sessions into the bucket as FastShot does, without the overall file.
    func addSessions(_ numbers: Range<Int>, indexes: Bool = true) {
        for number in numbers {
            set(bodyKey(number), body(number), modified: 1_700_000_000)
            guard indexes else { continue }
            let data = metadata(number)
            let index = MetadataIndex(
                fileName: fileName(number), metadata: data, createdAt: data.createdAt, lastUpdated: data.createdAt)
            set(indexKey(number), index.encode())
        }
    }

    /// Writes the overall file with rows for sessions.
    func writeOverall(_ numbers: some Sequence<Int>, metadata withMetadata: Bool = false, sizes: Bool = true) {
        let rows = numbers.map { number in
            OverallRow(
                fileName: fileName(number), createdAt: "2023-11-14T22:13:20+00:00",
                fileSize: sizes ? UInt64(body(number).count) : nil,
                checksum: .sha256(String(repeating: "ab", count: 32)),
                metadata: withMetadata ? metadata(number) : nil)
        }
        set("overall_meta.json", OverallFile.encode(rows, lastUpdated: "2025-01-01T00:00:00"))
    }
}

/// Runs SQL on a database as another process would.
func runSQL(_ path: String, _ sql: String) throws {
    var database: OpaquePointer?
    defer { sqlite3_close_v2(database) }
    guard sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK,
        sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK
    else { throw CocoaError(.fileWriteUnknown) }
}
