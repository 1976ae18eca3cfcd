import Foundation
import JSON
import Operations
import Platform
import Testing

@testable import Control

/// The whole way: client, socket, routes, handlers.
@Suite(.timeLimit(.minutes(1)))
struct ControlAPITests {
    static let cache = CacheReport(
        directory: "/c/sessions", bodies: 3, bytes: 1 << 40, limit: nil, pinned: 1, pinnedBytes: 10, hits: 5,
        misses: 2, downloadedBytes: 77)
    static let status = StatusReport(
        version: "0.1", pid: 42, phase: .ready, mountpoint: "/mnt/ü", store: "s3://b/p", readOnly: true,
        started: Timestamp(seconds: 1_700_000_000, nanoseconds: 123_000_000), cacheDirectory: "/c",
        stateDirectory: "/s", sessions: SessionCounts(count: 37, indexed: 36, bytes: 6_300_000, rejected: 1),
        freshness: Freshness(
            lastSuccess: Timestamp(seconds: 1_700_000_001), lastError: "503", lastErrorTime: nil, online: false,
            requests: 9),
        cache: cache,
        queue: QueueSummary(
            pending: 4, pendingBytes: 1 << 33, failed: 1, refused: 2, local: 3, conflicts: 5, running: 6, batch: 7),
        connection: ConnectionReport(
            state: .offline, since: Timestamp(seconds: 1_700_000_003), reason: "connection refused"),
        limits: LimitsReport(upload: 2 << 20, download: nil),
        conditions: ConditionsReport(ifAbsent: true, ifMatch: true, deleteIfMatch: false),
        operations: [
            OperationSnapshot(
                id: 1, kind: .download, subject: "sessions/a", state: .running, completed: 5, total: 10,
                message: "", started: Timestamp(seconds: 1_700_000_002), ended: nil)
        ],
        errors: [ErrorNotice(time: Timestamp(seconds: 0), subject: "a", message: "b")])
    static let session = SessionReport(
        name: "20250101000000_日本.fastshot", id: 7, size: 100, modified: Timestamp(seconds: 5), uploaded: nil,
        etag: "abc", state: "failed", reason: "403", localBytes: 0, pinned: false,
        metadata: .object([("name", .string("日本"))]))

    static func handlers(healthy: Bool = true) -> ControlHandlers {
        ControlHandlers(
            status: { status },
            health: { HealthReport(checks: [HealthCheck(name: "store", healthy: healthy, message: "m")]) },
            refresh: { request, progress throws(ControlProblem) in
                if request.mode == .poll { throw .failed("the store cannot be reached") }
                progress(ProgressUpdate(phase: "listing", completed: 1, total: 2, message: "half"))
                return RefreshResult(added: 1, removed: 2, changed: 3, requests: 4, seconds: 0.25)
            },
            cache: { cache },
            clearCache: { CacheClearResult(bodies: $0.keepPinned ? 2 : 3, bytes: 9) },
            stop: { request, progress in
                for step in 1...3 { progress(ProgressUpdate(phase: "flushing", completed: UInt64(step), total: 3)) }
                return StopResult(
                    unsent: [UnsentItem(name: request.policy?.rawValue ?? "none", reason: "\(request.timeout ?? -1)")],
                    unmounted: true, freedBytes: 1)
            },
            session: { $0 == session.name ? session : nil }, writing: WritingFixture.handlers)
    }

    let scratch: Scratch
    let operations = OperationRegistry()
    let client: ControlClient

    init() throws {
        scratch = try Scratch()
        client = ControlClient(socketPath: scratch.socket)
    }

    func serving<Value: Sendable>(
        healthy: Bool = true, _ body: @escaping @Sendable (ControlClient) throws -> Value
    ) async throws -> Value {
        let api = ControlAPI(operations: operations, handlers: Self.handlers(healthy: healthy))
        let server = try ControlServer.start(scratch.socket) { await api.respond($0) }
        defer { server.stopNow() }
        let client = client
        return try await onThread { try body(client) }
    }

    @Test func reportsComeThroughUnchanged() async throws {
        try await serving { client throws -> Void in
            #expect(try client.status() == Self.status)
            #expect(try client.cache() == Self.cache)
            #expect(try client.session(Self.session.name) == Self.session)
            #expect(try client.session("none.fastshot") == nil)
        }
    }

    @Test(arguments: [true, false]) func healthIsReadWhetherWellOrNot(healthy: Bool) async throws {
        let report = try await serving(healthy: healthy) { try $0.health() }
        #expect(report.healthy == healthy)
    }

    @Test func longWorkReportsProgressAndThenItsResult() async throws {
        try await serving { client throws -> Void in
            var steps: [UInt64] = []
            let result = try client.stop(StopRequest(policy: .purge, timeout: 1.5)) {
                steps.append($0.completed)
            }
            #expect(steps == [1, 2, 3])
            #expect(result.unsent == [UnsentItem(name: "purge", reason: "1.5")])
            #expect(try client.refresh(.tail).seconds == 0.25)
        }
    }

    @Test func aFailureOfLongWorkIsAProblem() async throws {
        try await serving { client throws -> Void in
            #expect(throws: ControlError.problem(.failed("the store cannot be reached"))) {
                try client.refresh(.poll)
            }
        }
    }

    @Test func defaultsApplyWithoutABody() async throws {
        try await serving { client throws -> Void in
            #expect(try client.clearCache().bodies == 2)
            #expect(try client.clearCache(CacheClearRequest(keepPinned: false)).bodies == 3)
            let bare = try client.request("POST", "/v1/cache/clear")
            #expect(bare["bodies"]?.integer == 2)
            var last = JSONValue.null
            try client.stream("POST", "/v1/stop") {
                last = $0
                return true
            }
            #expect(last["result"]?["unsent"]?.array?.first?["name"]?.string == "none")
        }
    }

    @Test(arguments: [
        ("GET", "/v1/nothing", JSONValue.null, 404, "not_found"),
        ("GET", "/v1/sessions/none.fastshot", .null, 404, "not_found"),
        ("GET", "/v1/operations/99", .null, 404, "not_found"),
        ("GET", "/v1/operations/x", .null, 404, "not_found"),
        ("POST", "/v1/status", .null, 405, "method_not_allowed"),
        ("GET", "/v1/stop", .null, 405, "method_not_allowed"),
        ("POST", "/v1/refresh", .object([("mode", .string("all"))]), 400, "bad_request"),
        ("POST", "/v1/stop", .object([("timeout", .integer(-1))]), 400, "bad_request"),
        ("POST", "/v1/stop", .object([("policy", .integer(1))]), 400, "bad_request"),
        ("POST", "/v1/flush", .object([("timeout", .integer(-1))]), 400, "bad_request"),
        ("POST", "/v1/batch", .object([("action", .string("undo"))]), 400, "bad_request"),
        ("POST", "/v1/batch", .null, 400, "bad_request"),
        ("POST", "/v1/offline", .object([("offline", .string("yes"))]), 400, "bad_request"),
        ("POST", "/v1/limits", .object([("upload", .integer(-1))]), 400, "bad_request"),
        ("POST", "/v1/conflicts/1", .object([("choice", .string("ours"))]), 400, "bad_request"),
        ("GET", "/v1/conflicts/99", .null, 404, "not_found"),
        ("GET", "/v1/conflicts/x", .null, 404, "not_found"),
        ("DELETE", "/v1/queue/none.fastshot", .null, 404, "not_found"),
        ("DELETE", "/v1/queue", .null, 405, "method_not_allowed"),
        ("POST", "/v1/queue/retry", .null, 409, "read_only"),
    ])
    func wrongRequestsAreProblems(
        method: String, path: String, body: JSONValue, status: Int, code: String
    ) async throws {
        try await serving { client throws -> Void in
            #expect {
                try client.request(method, path, body: body == .null ? nil : body)
            } throws: { error in
                guard case .problem(let problem)? = error as? ControlError else { return false }
                return problem.status == status && problem.code == code && !problem.message.isEmpty
            }
        }
    }

    @Test func operationsAreListedShownAndCancelled() async throws {
        let cancelled = Guarded(false)
        let running = operations.begin(.download, subject: "a", total: 10) { cancelled.withLock { $0 = true } }
        let ended = operations.begin(.refresh, subject: "b")
        ended.finish("fine")
        try await serving { client throws -> Void in
            #expect(try client.operations().map(\.subject) == ["a", "b"])
            let shown = try client.operation(ended.id)
            #expect(shown.state == .done && shown.message == "fine")
            #expect(try client.cancelOperation(running.id).id == running.id)
            #expect(cancelled.withLock { $0 })
            #expect {
                try client.cancelOperation(ended.id)
            } throws: { error in
                guard case .problem(let problem)? = error as? ControlError else { return false }
                return problem.status == 409
            }
        }
    }

    @Test func unknownAnswersAreMalformed() {
        #expect(throws: ControlProblem.self) { try StatusReport(json: .object([])) }
        #expect(throws: ControlProblem.self) { try WorkEvent<StopResult>(json: .object([("event", .string("x"))])) }
    }

    @Test(arguments: [
        "2026-11-26T15:08:54.123Z", "1970-01-01T00:00:00.000Z", "1969-12-31T23:59:59.500Z", "2240-02-29T00:00:00.001Z",
    ])
    func wireTimesReadAsWritten(text: String) throws {
        #expect(try #require(Timestamp(wire: text)).iso8601 == text)
    }

    @Test(arguments: [
        "", "2026-11-26T15:08:54Z", "2026-13-26T15:08:54.123Z", "2026-11-26 15:08:54.123Z", "é026-11-26T15:08:54.12Z",
    ])
    func otherTimesAreRefused(text: String) {
        #expect(Timestamp(wire: text) == nil)
    }
}
