import Foundation
import Platform
import TestSupport
import Testing

/// The stores that mounts are tested on.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible {
    case directory, ministack, ceph

    /// Those that are reached over the network.
    static let remote: [StoreKind] = [.ministack, .ceph]
    var testDescription: String { rawValue }

    /// The running server; nil for directories.
    func server() throws -> (any S3Server)? {
        switch self {
        case .directory: nil
        case .ministack: try Ministack.shared()
        case .ceph: try CephRGW.shared()
        }
    }
}

/// A test's own bucket, changed from outside of the product as another client would. Buckets end with their server.
final class Bucket {
    /// How a bucket begins.
    enum Contents {
        case empty
        /// The 37 sessions that a FastShot client wrote.
        case fixture
    }

    /// STORE of the command line.
    let url: String
    /// What commands need to find it.
    var environment: [String: String] = [:]
    /// Where a directory store is.
    let directory: String
    /// Stands between the product and a server when it was asked for; this class goes past it.
    let proxy: FaultProxy?
    private let server: (any S3Server)?
    private let name: String

    init(_ kind: StoreKind, directory: String, proxied: Bool, _ contents: Contents) throws {
        self.directory = directory
        server = try kind.server()
        name = server?.freshBucketName() ?? ""
        proxy = proxied ? try FaultProxy(target: try #require(server?.port)) : nil
        if let server {
            url = "s3://" + name
            environment = server.environment
            if let proxy { environment["AWS_ENDPOINT_URL"] = proxy.endpoint }
            try client(["create"])
        } else {
            url = "file://" + directory
            for name in ["", "/sessions", "/meta_indexes"] { try Files.makePrivateDirectory(directory + name) }
        }
        guard case .fixture = contents else { return }
        if server == nil {
            Shell.run("cp", ["-r", Fixture.bucket + "/.", directory])
        } else {
            try client(["fill", Fixture.bucket])
        }
    }

    /// Writes an object.
    func put(_ key: String, _ bytes: [UInt8]) throws {
        let scratch = Scratch.path("object")
        // Whole by a rename, but without waiting for the disk.
        try FileDescriptor.open(scratch, [.write, .exclusive]).append(bytes)
        if server != nil {
            defer { try? Files.remove(scratch) }
            try client(["put", key, scratch])
        } else {
            try Files.makeDirectories(Files.parentDirectory(directory + "/" + key))
            try Files.rename(scratch, to: directory + "/" + key)
        }
    }
    func put(_ key: String, _ text: String) throws { try put(key, Array(text.utf8)) }

    /// Removes an object.
    func remove(_ key: String) throws {
        if server == nil { try Files.remove(directory + "/" + key) } else { try client(["remove", key]) }
    }

    /// Another S3 client than ours.
    private func client(_ arguments: [String]) throws {
        guard let server else { return }
        let script = """
            import boto3, os, sys
            bucket, command, *rest = sys.argv[1:]
            s3 = boto3.client("s3", config=boto3.session.Config(s3={"addressing_style": "path"}))
            if command == "create": s3.create_bucket(Bucket=bucket)
            elif command == "put": s3.put_object(Bucket=bucket, Key=rest[0], Body=open(rest[1], "rb").read())
            elif command == "remove": s3.delete_object(Bucket=bucket, Key=rest[0])
            elif command == "fill":
                for top, _, names in os.walk(rest[0]):
                    for name in names:
                        path = os.path.join(top, name)
                        s3.put_object(Bucket=bucket, Key=os.path.relpath(path, rest[0]), Body=open(path, "rb").read())
            """
        _ = try TestPython.run(script, [name] + arguments, environment: server.environment)
    }
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
