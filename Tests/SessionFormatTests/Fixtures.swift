import Foundation
import SessionFormat
import Testing

/// A bucket of 37 sessions and the local cache of it, written by a FastShot client.
enum Fixture {
    static let key = "demo-key-7391"
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Fixtures/fastshot-37")
    static let localCache = root.appending(path: "local/dot-fastshot/meta_cache")

    static func read(_ key: String, in directory: URL = root.appending(path: "bucket")) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: directory.appending(path: key)))
    }

    /// The names of all sessions, in the order of their bytes.
    static func names() throws -> [SessionName] {
        let files = try FileManager.default.contentsOfDirectory(atPath: root.appending(path: "bucket/sessions").path)
        let names = files.sorted().compactMap { SessionName(fileName: $0) }
        try #require(names.count == 37)
        return names
    }
}

/// The kind of error that `body` throws; nil when it throws none.
func kind<Value>(_ body: () throws(FormatError) -> Value) -> FormatError.Kind? {
    do {
        _ = try body()
        return nil
    } catch {
        return error.kind
    }
}
