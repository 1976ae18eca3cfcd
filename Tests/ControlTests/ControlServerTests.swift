import Foundation
import JSON
import Platform
import Testing

@testable import Control

@Suite(.timeLimit(.minutes(2)))
struct ControlServerTests {
    /// Answers with what it got.
    static func echo(_ request: ControlRequest) async -> ControlResponse {
        .json(
            .object([
                ("method", .string(request.method)), ("path", .string(request.path)),
                ("query", .object(request.query.map { ($0.name, .string($0.value)) })),
                ("body", request.body ?? .null),
            ]))
    }

    @Test func requestReachesTheHandlerAndItsAnswerTheClient() async throws {
        let scratch = try Scratch()
        let server = try ControlServer.start(scratch.socket, handler: Self.echo)
        let client = ControlClient(socketPath: scratch.socket)
        let answer = try await onThread {
            try client.request(
                "POST", "/v1/" + ControlClient.encode("日本 %?ü") + "?a=1&b=x%20y", body: .object([("n", .integer(7))]))
        }
        #expect(answer["method"]?.string == "POST")
        #expect(answer["path"]?.string == "/v1/日本 %?ü")
        #expect(answer["query"]?["b"]?.string == "x y")
        #expect(answer["body"]?["n"]?.integer == 7)
        await server.stop()
    }

    @Test func largeBodiesAndAnswersArriveWhole() async throws {
        let scratch = try Scratch()
        let server = try ControlServer.start(scratch.socket, handler: Self.echo)
        let client = ControlClient(socketPath: scratch.socket)
        let text = String(repeating: "0123456789abcdef", count: 60_000)
        let answer = try await onThread { try client.request("POST", "/x", body: .string(text)) }
        #expect(answer["body"]?.string == text)
        await server.stop()
    }

    @Test func aBodyAboveTheLimitIsRefused() async throws {
        let scratch = try Scratch()
        let server = try ControlServer.start(scratch.socket, handler: Self.echo)
        let client = ControlClient(socketPath: scratch.socket)
        let text = String(repeating: "x", count: Exchange.bodyLimit)
        await #expect {
            try await onThread { try client.request("POST", "/x", body: .string(text)) }
        } throws: { error in
            guard case .problem(let problem)? = error as? ControlError else { return false }
            return problem.status == 413 && problem.code == "too_large"
        }
        await server.stop()
    }

    @Test func aBodyThatIsNoJSONIsABadRequest() async throws {
        let scratch = try Scratch()
        let server = try ControlServer.start(scratch.socket, handler: Self.echo)
        let (_, output) = try await run(
            "/usr/bin/curl", ["-s", "--unix-socket", scratch.socket, "-d", "{\"a\":", "http://x/v1/stop"])
        let answer = try JSONValue.parse(Array(output.utf8))
        #expect(answer["error"]?["code"]?.string == "bad_request")
        await server.stop()
    }

    @Test func aWaitingRequestAndAStreamDoNotHoldUpOthers() async throws {
        let scratch = try Scratch()
        let gate = Gate()
        let firstLine = Gate()
        let server = try ControlServer.start(scratch.socket) { request in
            switch request.path {
            case "/slow":
                await gate.wait()
                return .json(.string("slow"))
            case "/stream":
                return .lines { lines in
                    lines.write(.integer(1))
                    await gate.wait()
                    for number in 2...2000 { lines.write(.integer(Int64(number))) }
                }
            default: return .json(.string("quick"))
            }
        }
        let client = ControlClient(socketPath: scratch.socket)
        async let slow = onThread { try client.request("GET", "/slow") }
        async let numbers = onThread {
            let found = Guarded<[Int64]>([])
            try client.stream("POST", "/stream") { line in
                firstLine.open()
                found.withLock { $0.append(line.integer ?? -1) }
                return true
            }
            return found.withLock { $0 }
        }
        // The first line must have arrived while the stream is still open.
        await firstLine.wait()
        for _ in 0..<50 {
            #expect(try await onThread { try client.request("GET", "/quick") } == .string("quick"))
        }
        gate.open()
        #expect(try await slow == .string("slow"))
        #expect(try await numbers == Array(1...2000))
        await server.stop()
    }

    @Test func manyClientsAtOnceEachGetTheirOwnAnswer() async throws {
        let scratch = try Scratch()
        let server = try ControlServer.start(scratch.socket, handler: Self.echo)
        let client = ControlClient(socketPath: scratch.socket)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let answer = try await onThread { try client.request("GET", "/n/\(number)") }
                    #expect(answer["path"]?.string == "/n/\(number)")
                }
            }
            try await group.waitForAll()
        }
        await server.stop()
    }

    @Test func aClientThatHangsUpIsNoticedByTheWriter() async throws {
        let scratch = try Scratch()
        let gone = Gate()
        let server = try ControlServer.start(scratch.socket) { _ in
            .lines { lines in
                while lines.write(.string("tick")) { try? await Task.sleep(nanoseconds: 1_000_000) }
                gone.open()
            }
        }
        let client = ControlClient(socketPath: scratch.socket)
        try await onThread { try client.stream("GET", "/") { _ in false } }
        await gone.wait()
        await server.stop()
    }

    @Test func stopRemovesTheSocketAndLetsAnswersEnd() async throws {
        let scratch = try Scratch()
        let started = Gate()
        let gate = Gate()
        let server = try ControlServer.start(scratch.socket) { _ in
            started.open()
            await gate.wait()
            return .json(.string("done"))
        }
        let client = ControlClient(socketPath: scratch.socket)
        async let answer = onThread { try client.request("GET", "/") }
        await started.wait()
        async let stopped: Void = server.stop(grace: 60)
        // The door closes before the answer is given.
        while Files.exists(scratch.socket) { await Task.yield() }
        gate.open()
        #expect(try await answer == .string("done"))
        await stopped
        #expect(throws: ControlError.noDaemon(socket: scratch.socket)) { try client.request("GET", "/") }
    }

    @Test func stopHangsUpOnAnswersThatTakeTooLong() async throws {
        let scratch = try Scratch()
        let waiting = Gate()
        let streaming = Gate()
        let never = Gate()
        let server = try ControlServer.start(scratch.socket) { request in
            if request.path == "/stream" {
                return .lines { lines in
                    lines.write(.integer(1))
                    streaming.open()
                    await never.wait()
                }
            }
            waiting.open()
            await never.wait()
            return .json(.null)
        }
        let client = ControlClient(socketPath: scratch.socket)
        async let plain = onThread { () -> ControlError? in
            do throws(ControlError) { _ = try client.request("GET", "/") } catch { return error }
            return nil
        }
        async let stream = onThread { () -> ControlError? in
            do throws(ControlError) { try client.stream("GET", "/stream") { _ in true } } catch { return error }
            return nil
        }
        await waiting.wait()
        await streaming.wait()
        await server.stop(grace: 0)
        for failure in [try await plain, try await stream] {
            guard case .connection? = failure else {
                Issue.record("expected a broken connection, got \(String(describing: failure))")
                continue
            }
        }
        never.open()
    }

    @Test func serverStartsAndStopsRepeatedlyOnOnePath() async throws {
        let scratch = try Scratch()
        let client = ControlClient(socketPath: scratch.socket)
        for _ in 0..<30 {
            let server = try ControlServer.start(scratch.socket, handler: Self.echo)
            _ = try await onThread { try client.request("GET", "/") }
            await server.stop()
            #expect(!Files.exists(scratch.socket))
        }
    }

    @Test func timeoutIsItsOwnError() async throws {
        let scratch = try Scratch()
        let never = Gate()
        let server = try ControlServer.start(scratch.socket) { _ in
            await never.wait()
            return .json(.null)
        }
        let client = ControlClient(socketPath: scratch.socket, timeout: 0.05)
        await #expect(throws: ControlError.timedOut(socket: scratch.socket)) {
            try await onThread { try client.request("GET", "/") }
        }
        never.open()
        await server.stop()
    }
}
