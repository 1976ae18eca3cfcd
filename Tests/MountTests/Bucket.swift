import Foundation
import Platform
import TestSupport
import Testing

/// The stores that mounts are tested on.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible {
    case directory
    var testDescription: String { rawValue }
}

/// A test's own bucket, changed from outside of the product as another client would.
final class Bucket {
    /// How a bucket begins.
    enum Contents {
        case empty
        /// The 37 sessions that a FastShot client wrote.
        case fixture
    }

    let kind: StoreKind
    /// STORE of the command line.
    let url: String
    /// What commands need to find it.
    var environment: [String: String] = [:]
    /// Where a directory store is.
    let directory: String

    init(_ kind: StoreKind, directory: String, _ contents: Contents) throws {
        self.kind = kind
        self.directory = directory
        url = "file://" + directory
        for name in ["", "/sessions", "/meta_indexes"] { try Files.makePrivateDirectory(directory + name) }
        if case .fixture = contents {
            for key in try Fixture.keys() { try put(key, Files.read(Fixture.bucket + "/" + key)) }
        }
    }

    /// Writes an object.
    func put(_ key: String, _ bytes: [UInt8]) throws {
        try Files.makeDirectories(Files.parentDirectory(directory + "/" + key))
        try Files.replace(directory + "/" + key, with: bytes)
    }
    func put(_ key: String, _ text: String) throws { try put(key, Array(text.utf8)) }

    /// Removes an object.
    func remove(_ key: String) throws { try Files.remove(directory + "/" + key) }

    /// Takes the bucket away.
    func discard() {}
}

/// The bucket that a FastShot client wrote.
enum Fixture {
    static let key = "demo-key-7391"
    static let bucket = Files.parentDirectory(Files.parentDirectory(#filePath)) + "/Fixtures/fastshot-37/bucket"

    /// Keys of all objects.
    static func keys() throws -> [String] {
        try ["sessions", "meta_indexes"].flatMap { folder in
            try Files.names(in: bucket + "/" + folder).sorted().map { folder + "/" + $0 }
        } + ["overall_meta.json"]
    }

    /// File names of all sessions.
    static func names() throws -> [String] { try Files.names(in: bucket + "/sessions").sorted() }

    static func read(_ key: String) throws -> [UInt8] { try Files.read(bucket + "/" + key) }
}
