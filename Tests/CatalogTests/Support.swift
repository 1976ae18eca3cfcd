import CSQLite
import Catalog
import Foundation
import Platform
import SessionFormat

/// A private directory that goes with the test.
final class TemporaryDirectory: Sendable {
    let path: String
    init() { path = NSTemporaryDirectory() + "catalog-test-\(UUID().uuidString)" }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var database: String { path + "/catalog.sqlite" }
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
}

/// Runs SQL on a database as another process would.
func runSQL(_ path: String, _ sql: String) throws {
    var database: OpaquePointer?
    defer { sqlite3_close_v2(database) }
    guard sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, nil) == SQLITE_OK,
        sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK
    else { throw CocoaError(.fileWriteUnknown) }
}

func stem(_ number: Int) -> String { "20250101\(String(format: "%06d", number))_session \(number)" }
func name(_ number: Int) -> String { stem(number) + ".fastshot" }

func objects(_ numbers: Range<Int>) -> [CatalogChange] {
    numbers.map { .object(fileName: name($0), ObjectFacts(size: UInt64($0 + 1), etag: "e\($0)")) }
}

func row(
    _ number: Int, size: UInt64? = 100, md5: String? = nil, sha256: String? = nil,
    created: String = "2026-11-21T02:05:32+00:00", metadata: SessionMetadata? = nil
) -> CatalogChange {
    let checksum: ObjectChecksum? = md5.map { .etag($0) } ?? sha256.map { .sha256($0) }
    return .row(
        OverallRow(
            fileName: name(number), createdAt: created, fileSize: size, checksum: checksum, metadata: metadata),
        etagIsContentMD5: true)
}

func hex(_ digit: Character, _ count: Int = 32) -> String { String(repeating: digit, count: count) }

extension Catalog {
    func scanned() throws -> [(id: Int64, name: String, size: UInt64, index: UInt64)] {
        var found: [(Int64, String, UInt64, UInt64)] = []
        try scan(after: 0) { row in
            let name = row.withFileName { $0.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
            found.append((row.id, name, row.size, row.indexSize))
            return true
        }
        return found
    }
}
