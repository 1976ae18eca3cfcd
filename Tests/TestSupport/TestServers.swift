import Foundation
internal import Platform

/// A running S3 server of this test process.
public protocol S3Server: Sendable {
    /// `http://127.0.0.1:port`.
    var endpoint: String { get }
    /// A user who may do everything.
    var accessKey: String { get }
    /// The user's secret key.
    var secretKey: String { get }
}

extension S3Server {
    /// The port on 127.0.0.1.
    public var port: Int { Int(endpoint.split(separator: ":").last ?? "") ?? 0 }

    /// A bucket name that nobody else uses.
    public func freshBucketName() -> String {
        "test-" + String(UInt64.random(in: .min ... .max), radix: 36)
    }

    /// What S3 clients read from the environment.
    public var environment: [String: String] {
        [
            "AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        ]
    }
}

/// An S3 server in Python with correct conditions (tags quoted) that checks signatures.
public final class Ministack: S3Server {
    private static let instance = Result { try Ministack() }

    /// See ``S3Server/endpoint``.
    public let endpoint: String
    /// See ``S3Server/accessKey``.
    public let accessKey: String
    /// See ``S3Server/secretKey``.
    public let secretKey: String
    private let process: ServerProcess

    /// The one of this process, started when it is first asked for.
    public static func shared() throws -> Ministack { try instance.get() }

    /// Starts one more. It ends with the last reference.
    public init() throws {
        let python = try TestPython.interpreter()
        process = try ServerProcess(
            python,
            [TestPython.server("supervise.py"), python, TestPython.server("ministack_server.py"), "\(try freePort())"])
        let ready = try ReadyLine(process.line(seconds: 90))
        (endpoint, accessKey, secretKey) = (ready.endpoint, ready.accessKey, ready.secretKey)
    }
}

/// A Ceph cluster of one monitor, one OSD in memory and one RADOS gateway, which verifies signatures and payloads in full.
/// It honours `If-None-Match: *` and, with tags unquoted, `If-Match` on writes; it ignores `If-Match` on deletes.
public final class CephRGW: S3Server {
    private static let instance = Result { try CephRGW() }

    /// See ``S3Server/endpoint``.
    public let endpoint: String
    /// See ``S3Server/accessKey``.
    public let accessKey: String
    /// See ``S3Server/secretKey``.
    public let secretKey: String
    private let process: ServerProcess
    private let directory: TemporaryDirectory

    /// The one of this process, started when it is first asked for.
    public static func shared() throws -> CephRGW { try instance.get() }

    /// Starts one more. It ends with the last reference.
    public init() throws {
        directory = try TemporaryDirectory()
        process = try ServerProcess(
            TestPython.interpreter(),
            [
                TestPython.server("supervise.py"), TestPython.server("ceph-rgw"), "run", directory.path("ceph"),
                "\(try freePort())",
            ])
        let ready = try ReadyLine(process.line(seconds: 240))
        (endpoint, accessKey, secretKey) = (ready.endpoint, ready.accessKey, ready.secretKey)
    }
}

/// OpenStack Swift with its S3 layer, which verifies signatures and knows no conditions on writes: it answers 501.
public final class OpenStackSwift: S3Server {
    private static let instance = Result { try OpenStackSwift() }

    /// See ``S3Server/endpoint``.
    public let endpoint: String
    /// See ``S3Server/accessKey``.
    public let accessKey: String
    /// See ``S3Server/secretKey``.
    public let secretKey: String
    private let process: ServerProcess
    private let directory: TemporaryDirectory

    /// The one of this process, started when it is first asked for.
    public static func shared() throws -> OpenStackSwift { try instance.get() }

    /// Starts one more. It ends with the last reference.
    public init() throws {
        directory = try TemporaryDirectory()
        process = try ServerProcess(
            TestPython.interpreter(),
            [
                TestPython.server("supervise.py"), TestPython.server("openstack-swift"), "run",
                directory.path("swift"),
            ])
        let ready = try ReadyLine(process.line(seconds: 240))
        (endpoint, accessKey, secretKey) = (ready.endpoint, ready.accessKey, ready.secretKey)
    }
}

private struct ReadyLine: Decodable {
    let endpoint: String
    let accessKey: String
    let secretKey: String

    init(_ line: String) throws {
        self = try JSONDecoder().decode(ReadyLine.self, from: Data(line.utf8))
    }
}

/// A TCP port on 127.0.0.1 that was free a moment ago.
public func freePort() throws -> Int {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard listener >= 0 else { throw SystemError.current("socket") }
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            bind(listener, generic, length) == 0 && getsockname(listener, generic, &length) == 0
        }
    }
    guard bound else { throw SystemError.current("bind") }
    return Int(UInt16(bigEndian: address.sin_port))
}
