internal import Foundation
internal import Platform
package import TestSupport
package import Testing

/// The stores that mounts are tested on.
package enum StoreKind: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case directory, ministack, ceph
    /// The one without conditions.
    case openStackSwift

    /// Those on which everything is tested.
    package static let allCases: [StoreKind] = [.directory, .ministack, .ceph]
    /// Those that are reached over the network.
    package static let remote: [StoreKind] = [.ministack, .ceph]
    /// Those on which it is tested what changes a bucket.
    package static let writable: [StoreKind] = [.directory, .ministack, .ceph, .openStackSwift]

    /// What is tested on some stores because the others would show nothing new: with `SESSIONFS_ALL_STORES=1` on all.
    package static func usually<Case>(_ cases: [Case], thorough: [Case]) -> [Case] {
        Environment.value("SESSIONFS_ALL_STORES") == "1" ? thorough : cases
    }
    package var testDescription: String { rawValue }

    /// The running server; nil for directories.
    func server() throws -> (any S3Server)? {
        switch self {
        case .directory: nil
        case .ministack: try Ministack.shared()
        case .ceph: try CephRGW.shared()
        case .openStackSwift: try OpenStackSwift.shared()
        }
    }
}

/// A test's own bucket, changed from outside of the product as another client would. Buckets end with their server.
package final class Bucket {
    /// How a bucket begins.
    package enum Contents {
        case empty
        /// The 37 sessions that a FastShot client wrote.
        case fixture
    }

    package let kind: StoreKind
    /// STORE of the command line.
    package let url: String
    /// What commands need to find it.
    package var environment: [String: String] = [:]
    /// Where a directory store is.
    package let directory: String
    /// Stands between the product and a server when it was asked for; this class goes past it.
    package let proxy: FaultProxy?
    private let server: (any S3Server)?
    private var runningAgent: BucketAgent?

    init(_ kind: StoreKind, directory: String, proxied: Bool, _ contents: Contents) throws {
        self.kind = kind
        self.directory = directory
        server = try kind.server()
        proxy = proxied ? try FaultProxy(target: try #require(server?.port)) : nil
        if let server {
            url = "s3://" + server.freshBucketName()
            environment = server.environment
            if let proxy { environment["AWS_ENDPOINT_URL"] = proxy.endpoint }
            try agent().ask(["op": "create"])
        } else {
            url = "file://" + directory
            for name in ["", "/sessions", "/meta_indexes"] { try Files.makePrivateDirectory(directory + name) }
        }
        guard case .fixture = contents else { return }
        if server == nil {
            Shell.run("cp", ["-r", Fixture.bucket + "/.", directory])
        } else {
            try agent().ask(["op": "fill", "path": Fixture.bucket])
        }
    }

    /// Writes an object, without looking at what is there.
    package func put(_ key: String, _ bytes: [UInt8]) throws {
        let scratch = Scratch.path("object")
        // Whole by a rename, but without waiting for the disk.
        try FileDescriptor.open(scratch, [.write, .exclusive]).append(bytes)
        if server != nil {
            defer { try? Files.remove(scratch) }
            try agent().ask(["op": "put", "key": key, "path": scratch])
        } else {
            try Files.makeDirectories(Files.parentDirectory(directory + "/" + key))
            try Files.rename(scratch, to: directory + "/" + key)
        }
    }
    package func put(_ key: String, _ text: String) throws { try put(key, Array(text.utf8)) }

    /// Removes an object.
    package func remove(_ key: String) throws {
        if server == nil {
            try Files.remove(directory + "/" + key)
        } else {
            try agent().ask(["op": "remove", "key": key])
        }
    }

    /// What a mount tries conditions on; one that a killed mount left behind is used by the next that tries them.
    private static let probe = ".sessionfs-probe-"

    /// Keys of all objects, sorted.
    package func keys() throws -> [String] {
        try #require(agent().ask(["op": "list"])["objects"] as? [String: Any]).keys
            .filter { !$0.hasPrefix(Bucket.probe) }.sorted()
    }

    /// File names of all sessions, sorted.
    package func names() throws -> [String] {
        try keys().filter { $0.hasPrefix("sessions/") }.map { String($0.dropFirst("sessions/".count)) }
    }

    /// Everything that is in the bucket.
    package func objects() throws -> [String: [UInt8]] {
        let scratch = Scratch.path("objects")
        try Files.makePrivateDirectory(scratch)
        defer { try? Files.removeTree(scratch) }
        let list = try #require(agent().ask(["op": "fetch", "path": scratch])["objects"] as? [String: [Any]])
        return try list.mapValues { facts in
            try Files.read(scratch + "/" + (try #require(facts.last as? String)), limit: 1 << 30)
        }
    }

    /// Bodies of all sessions, by file name.
    package func bodies() throws -> [String: [UInt8]] {
        try Dictionary(
            uniqueKeysWithValues: objects().filter { $0.key.hasPrefix("sessions/") }
                .map { (String($0.key.dropFirst("sessions/".count)), $0.value) })
    }

    /// One object; nil when it is not there.
    package func object(_ key: String) throws -> [UInt8]? { try objects()[key] }

    /// An upload in parts that was begun, and neither completed nor aborted.
    package struct Upload {
        package let key: String
        package let id: String
        /// Numbers of the parts that the server has.
        package let parts: [Int]
    }

    /// The uploads in parts that are under way, everybody's.
    package func uploads() throws -> [Upload] {
        let list = try #require(agent().ask(["op": "uploads"])["uploads"] as? [[Any]])
        return try list.map { fields in
            try #require(fields.count == 3)
            return Upload(
                key: try #require(fields[0] as? String), id: try #require(fields[1] as? String),
                parts: try #require(fields[2] as? [Int]))
        }
    }

    /// Ends all uploads in parts, as who tidies up a bucket does.
    package func abortUploads() throws { try agent().ask(["op": "abort_uploads"]) }

    /// Begins an upload in parts as another machine would.
    /// - Parameter part: its first part; nil sends none.
    /// - Returns: its id.
    @discardableResult
    package func beginUpload(_ key: String, part: [UInt8]? = nil) throws -> String {
        var command = ["op": "begin_upload", "key": key]
        let scratch = Scratch.path("part")
        defer { if part != nil { try? Files.remove(scratch) } }
        if let part {
            try FileDescriptor.open(scratch, [.write, .exclusive]).append(part)
            command["path"] = scratch
        }
        return try #require(agent().ask(command)["id"] as? String)
    }

    /// What a FastShot client would find wrong with the bucket as a whole: bodies without index or row, indexes and
    /// rows without body, wrong checksums, sizes and metadata. Empty when all is well.
    package func audit() throws -> [String] {
        try #require(agent().ask(["op": "audit"])["problems"] as? [String]).filter { !$0.contains(Bucket.probe) }
    }

    /// Fails the test when the bucket is not as a FastShot client would have left it.
    package func expectClean(_ location: SourceLocation = #_sourceLocation) throws {
        let problems = try audit()
        #expect(problems.isEmpty, "\(problems.joined(separator: "\n"))", sourceLocation: location)
    }

    /// A FastShot client on this bucket, which works as formats.md says: without conditions.
    package var client: FastShotClient { FastShotClient(bucket: self) }

    /// Another program that works on the bucket.
    func agent() throws -> BucketAgent {
        if let runningAgent { return runningAgent }
        let agent = try BucketAgent(url, environment: server?.environment ?? [:])
        runningAgent = agent
        return agent
    }
}

/// A FastShot client in Python.
package struct FastShotClient {
    let bucket: Bucket

    /// Saves a session: body, index, and the overall file anew from a listing.
    package func save(_ name: String, _ bytes: [UInt8]) throws {
        _ = try call("save", [name, ["base64": Data(bytes).base64EncodedString()]])
    }

    /// Deletes a session.
    package func delete(_ name: String) throws { _ = try call("delete", [name]) }

    /// Names of the sessions that it shows.
    package func list() throws -> [String] {
        let list = try #require(call("list", []) as? [Any])
        return list.compactMap { $0 as? String ?? ($0 as? [String: Any])?["filename"] as? String }.sorted()
    }

    /// Writes the overall file anew from a listing of the bucket.
    package func rebuildOverall() throws { _ = try call("rebuild_overall", []) }

    private func call(_ name: String, _ arguments: [Any]) throws -> Any? {
        try bucket.agent().ask(["op": "client", "call": name, "arguments": arguments])["result"]
    }
}

/// `Tests/Clients/bucket_agent.py`, running.
final class BucketAgent {
    private let process: ServerProcess

    init(_ url: String, environment: [String: String]) throws {
        process = try ServerProcess(
            TestPython.interpreter(), [TestPython.package + "/Tests/Clients/bucket_agent.py", url, Fixture.key],
            environment: environment)
    }

    @discardableResult
    func ask(_ command: [String: Any]) throws -> [String: Any] {
        let line = String(decoding: try JSONSerialization.data(withJSONObject: command), as: UTF8.self)
        let answer = try process.ask(line, seconds: 120)
        let fields = try #require(JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [String: Any])
        if let error = fields["error"] { throw BucketError(description: "\(command["op"] ?? ""): \(error)") }
        return fields
    }
}

/// What another program said about the bucket.
struct BucketError: Error, CustomStringConvertible {
    let description: String
}
