import CloudStores
import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

/// A server with a certificate that only its own file vouches for (openssl-s_server(1)).
private final class TLSServer: Sendable {
    let port: Int
    let certificate: String
    private let directory: TemporaryDirectory
    private let process: Int32
    private let life: FileDescriptor

    init(name: String = "IP:127.0.0.1") throws {
        directory = try TemporaryDirectory()
        certificate = directory.path("certificate.pem")
        let key = directory.path("key.pem")
        let made = try Subprocess.wait(
            TLSServer.spawn([
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2",
                "-subj", "/CN=sessionfs test", "-addext", "subjectAltName=\(name)", "-keyout", key, "-out", certificate,
            ]))
        try #require(made == 0)
        port = try freePort()
        // The shell ends the server when the other end of its input is closed, also when this process dies.
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw SystemError.current("socketpair") }
        life = FileDescriptor(owning: ends[0])
        let input = FileDescriptor(owning: ends[1])
        process = try TLSServer.spawn(
            [
                "sh", "-c", "openssl \"$@\" & read -r line; kill $!; wait", "sh", "s_server", "-accept",
                "127.0.0.1:\(port)", "-cert", certificate, "-key", key, "-www", "-quiet",
            ], input: input)
    }

    deinit {
        life.closeNow()
        _ = try? Subprocess.wait(process)
    }

    private static func spawn(_ arguments: [String], input: FileDescriptor? = nil) throws -> Int32 {
        let null = try FileDescriptor.open("/dev/null", .readWrite)
        var options = Subprocess.Options()
        options.descriptors = [
            (child: 0, parent: (input ?? null).raw), (child: 1, parent: null.raw), (child: 2, parent: null.raw),
        ]
        return try Subprocess.spawn(arguments[0], arguments, options)
    }

    /// The status of an answer; the server is given time to start.
    func get(_ change: (inout HTTPOptions) -> Void) async throws(StoreError) -> Int {
        var options = HTTPOptions()
        change(&options)
        let client = HTTPClient(options)
        while true {
            do throws(StoreError) {
                return try await client.send(HTTPRequest(.get, "https://127.0.0.1:\(port)/")).head.status
            } catch  where error.message.contains("connect to") {
                // Not there yet; a test's time limit ends what never comes.
                do { try await Task.sleep(for: .milliseconds(20)) } catch { throw StoreError(.cancelled, message: "") }
            }
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct HTTPTrustTests {
    @Test func anUnknownAuthorityIsRefusedInClearWords() async throws {
        let server = try TLSServer()
        let error = await failure { () throws(StoreError) in _ = try await server.get { _ in } }
        #expect(error?.kind == .unreachable)
        #expect(error?.message.contains("certificate") == true)
        #expect(error?.message.contains("CA file") == true)
    }

    @Test func aNamedAuthorityIsTrusted() async throws {
        let server = try TLSServer()
        #expect(try await server.get { $0.caFile = server.certificate } == 200)
    }

    @Test func aCertificateForAnotherNameIsRefused() async throws {
        let server = try TLSServer(name: "DNS:elsewhere.example")
        let error = await failure { () throws(StoreError) in
            _ = try await server.get { $0.caFile = server.certificate }
        }
        #expect(error?.kind == .unreachable)
    }

    @Test func verificationCanBeSwitchedOff() async throws {
        let server = try TLSServer(name: "DNS:elsewhere.example")
        #expect(try await server.get { $0.verifiesTLS = false } == 200)
    }

    @Test func aMissingAuthorityFileIsNamed() async throws {
        let server = try TLSServer()
        _ = try await server.get { $0.verifiesTLS = false }
        let error = await failure { () throws(StoreError) in
            _ = try await server.get { $0.caFile = "/nonexistent/authority.pem" }
        }
        #expect(error?.kind == .unreachable)
        #expect(error?.message.contains("/nonexistent/authority.pem") == true)
    }

    @Test func plainTextBehindHTTPSIsUnreachable() async throws {
        let server = try RawServer([.request, .answer("200 OK")])
        let error = await failure { () throws(StoreError) in
            _ = try await HTTPClient().send(HTTPRequest(.get, "https://127.0.0.1:\(server.port)/"))
        }
        #expect(error?.kind == .unreachable)
    }

    @Test func aProxyGetsTheRequest() async throws {
        let proxy = try RawServer([.request, .answer("200 OK", body: [1])])
        var options = HTTPOptions()
        options.proxy = Secret("http://user:pass@127.0.0.1:\(proxy.port)")
        let response = try await HTTPClient(options).send(HTTPRequest(.get, "http://bucket.invalid/key"))
        #expect(response.body == [1])
        #expect(proxy.requests.first?.line == "GET http://bucket.invalid/key HTTP/1.1")
        #expect(proxy.requests.first?.header("proxy-authorization") == "Basic dXNlcjpwYXNz")
    }

    @Test func localServicesAreAskedWithoutTheProxy() async throws {
        let server = try RawServer([.request, .answer("200 OK", body: [2])])
        var options = HTTPOptions()
        options.proxy = Secret("http://127.0.0.1:1")
        var request = HTTPRequest(.get, server.url)
        request.usesProxy = false
        #expect(try await HTTPClient(options).send(request).body == [2])
    }

    @Test func aProxyThatIsGoneIsUnreachableAndItsPasswordUntold() async throws {
        var options = HTTPOptions()
        options.proxy = Secret("http://user:hidden-word@127.0.0.1:\(try freePort())")
        let error = await failure { () throws(StoreError) in
            _ = try await HTTPClient(options).send(HTTPRequest(.get, "http://bucket.invalid/key"))
        }
        #expect(error?.kind == .unreachable)
        #expect(error?.description.contains("hidden-word") == false)
    }
}
