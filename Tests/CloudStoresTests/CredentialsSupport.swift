import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

@testable import CloudStores

/// `Tests/Servers/aws_metadata.py`, running as long as this process does.
final class MetadataServer: Sendable {
    static let shared = MetadataServer()
    let url: String

    private init() {
        let process = Process()
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Servers/aws_metadata.py")
        let output = Foundation.Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", script.path]
        process.standardInput = Foundation.Pipe()
        process.standardOutput = output
        do { try process.run() } catch { fatalError("python3 is needed for \(script.path): \(error)") }
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        guard let port = Int(line.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            fatalError("\(script.path) did not start")
        }
        url = "http://127.0.0.1:\(port)"
        process_ = Guarded(process)
    }
    // Its standard input closes with this process, and the server ends.
    private let process_: Guarded<Process>

    func requests(_ mode: String) async throws -> [String] {
        let response = try await HTTPClient().send(HTTPRequest(.get, "\(url)/\(mode)/requests"))
        return try JSONDecoder().decode([String].self, from: Data(response.body))
    }
}

/// A home directory with AWS files in it.
struct AWSHome {
    let directory: TemporaryDirectory

    init(config: String? = nil, credentials: String? = nil) throws {
        directory = try TemporaryDirectory()
        try Files.makeDirectories(directory.path + "/.aws")
        if let config { try Files.replace(directory.path + "/.aws/config", with: Array(config.utf8)) }
        if let credentials { try Files.replace(directory.path + "/.aws/credentials", with: Array(credentials.utf8)) }
    }

    func environment(_ variables: [String: String] = [:]) -> AWSEnvironment {
        // No test may reach out of this machine.
        AWSEnvironment(["AWS_EC2_METADATA_DISABLED": "true"].merging(variables) { $1 }, home: directory.path)
    }
}

extension AWSCredentials {
    /// All parts, for comparing.
    var parts: [String?] { [accessKeyID.reveal(), secretAccessKey.reveal(), sessionToken?.reveal()] }
}

extension CredentialsProvider {
    /// The error, which must not show any of the secrets that tests use.
    func failure(_ location: SourceLocation = #_sourceLocation) async throws -> StoreError {
        let error = try await #require(throws: StoreError.self, sourceLocation: location) {
            _ = try await credentials()
        }
        #expect(!"\(error)".contains("s3cr3t"), sourceLocation: location)
        return error
    }
}
