import Foundation
import Glibc
import JSON
import Platform
import Testing

@testable import Control

@Suite(.timeLimit(.minutes(2)))
struct ControlSocketTests {
    static func answer(_ text: String) -> ControlServer.Handler { { _ in .json(.string(text)) } }

    @Test func socketAndDirectoryArePrivateWhateverTheUmask() async throws {
        let scratch = try Scratch()
        try Files.makeDirectories(scratch.path + "/run", permissions: 0o755)
        #expect(chmod(scratch.path + "/run", 0o755) == 0)
        let server = try ControlServer.start(scratch.socket, handler: Self.answer(""))
        #expect(try Files.status(scratch.path + "/run")?.permissions == 0o700)
        let mode = try #require(try Files.status(scratch.socket)).permissions
        #expect(mode & 0o177 == 0, "mode \(String(mode, radix: 8))")
        await server.stop()
    }

    @Test func theSocketOfADeadProcessIsReplaced() async throws {
        let scratch = try Scratch()
        // A listener that ends without removing its socket, as after kill -9.
        do { _ = try ControlSocket.listen(scratch.socket) }
        #expect(Files.exists(scratch.socket))
        let client = ControlClient(socketPath: scratch.socket)
        #expect(throws: ControlError.noDaemon(socket: scratch.socket)) { try client.request("GET", "/") }
        let server = try ControlServer.start(scratch.socket, handler: Self.answer("new"))
        #expect(try await onThread { try client.request("GET", "/") } == .string("new"))
        await server.stop()
    }

    @Test func aLivingHolderIsNamedAndUndisturbed() async throws {
        let scratch = try Scratch()
        let first = try ControlServer.start(scratch.socket, handler: Self.answer("first"))
        let command = ProcessIdentity.command(of: getpid())
        #expect(throws: ControlServerError.inUse(socket: scratch.socket, pid: getpid(), command: command)) {
            try ControlServer.start(scratch.socket, handler: Self.answer("second"))
        }
        let client = ControlClient(socketPath: scratch.socket)
        #expect(try await onThread { try client.request("GET", "/") } == .string("first"))
        await first.stop()
    }

    @Test func ofTwoThatStartAtOnceOverAStaleSocketOneWins() async throws {
        for _ in 0..<20 {
            let scratch = try Scratch()
            do { _ = try ControlSocket.listen(scratch.socket) }
            let socket = scratch.socket
            async let a = onThread { try? ControlServer.start(socket, handler: Self.answer("a")) }
            async let b = onThread { try? ControlServer.start(socket, handler: Self.answer("b")) }
            let servers = try await [a, b].compactMap { $0 }
            #expect(servers.count == 1)
            for server in servers { await server.stop() }
        }
    }

    @Test func aMissingSocketIsNoDaemon() throws {
        let scratch = try Scratch()
        #expect(throws: ControlError.noDaemon(socket: scratch.socket)) {
            try ControlClient(socketPath: scratch.socket).request("GET", "/")
        }
    }

    @Test func aPathThatDoesNotFitIsRefused() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/" + String(repeating: "x", count: 100)
        #expect(throws: ControlServerError.pathTooLong(path)) {
            try ControlServer.start(path, handler: Self.answer(""))
        }
    }

    /// Needs root, who alone can become somebody else.
    @Test(.enabled(if: geteuid() == 0))
    func anotherUserIsRefusedEvenWherePermissionsLetThemIn() async throws {
        let scratch = try Scratch()
        let called = Guarded(false)
        let server = try ControlServer.start(scratch.socket) { _ in
            called.withLock { $0 = true }
            return .json(.string("secret"))
        }
        let asNobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-s", "--unix-socket"]
        // As it stands nobody else even reaches the socket.
        #expect(try await run("/usr/bin/setpriv", asNobody + [scratch.socket, "http://x/"]).status == 7)
        // With the permissions torn open the kernel's word on the peer still counts.
        #expect(chmod(scratch.path, 0o755) == 0)
        #expect(chmod(scratch.path + "/run", 0o755) == 0)
        #expect(chmod(scratch.socket, 0o666) == 0)
        let (status, output) = try await run("/usr/bin/setpriv", asNobody + [scratch.socket, "http://x/"])
        #expect(status == 0)
        #expect(try JSONValue.parse(Array(output.utf8))["error"]?["code"]?.string == "denied")
        #expect(!called.withLock { $0 })
        await server.stop()
    }
}
