internal import Platform
internal import TestSupport

/// The bucket that a FastShot client wrote.
package enum Fixture {
    package static let key = "demo-key-7391"
    package static let bucket = TestPython.package + "/Tests/Fixtures/fastshot-37/bucket"

    /// Keys of all objects.
    package static func keys() throws -> [String] {
        try ["sessions", "meta_indexes"].flatMap { folder in
            try Files.names(in: bucket + "/" + folder).sorted().map { folder + "/" + $0 }
        } + ["overall_meta.json"]
    }

    /// File names of all sessions.
    package static func names() throws -> [String] { try Files.names(in: bucket + "/sessions").sorted() }

    package static func read(_ key: String) throws -> [UInt8] { try Files.read(bucket + "/" + key) }
}
