internal import JSON
public import Operations

/// The control API, version 1: the paths that CLI and dashboard share, over the daemon's handlers.
///
/// | method and path | body | answer |
/// |---|---|---|
/// | `GET /v1/status` | - | ``StatusReport`` |
/// | `GET /v1/health` | - | ``HealthReport``, 200 or 503 |
/// | `POST /v1/refresh` | ``RefreshRequest`` | lines of ``WorkEvent`` with ``RefreshResult`` |
/// | `GET /v1/operations` | - | `{"operations":[…]}` of `OperationSnapshot` |
/// | `GET /v1/operations/{id}` | - | `OperationSnapshot` |
/// | `DELETE /v1/operations/{id}` | - | asks it to stop: 202 and the snapshot; 409 when it has ended |
/// | `GET /v1/cache` | - | ``CacheReport`` |
/// | `POST /v1/cache/clear` | ``CacheClearRequest`` | ``CacheClearResult`` |
/// | `POST /v1/stop` | ``StopRequest`` | lines of ``WorkEvent`` with ``StopResult`` |
/// | `GET /v1/sessions/{name}` | - | ``SessionReport`` |
/// | `POST /v1/flush` | ``FlushRequest`` | lines of ``WorkEvent`` with ``FlushResult`` |
/// | `GET /v1/queue` | - | ``QueueReport`` |
/// | `DELETE /v1/queue/{name}` | - | gives up the change of a file name: ``DiscardResult`` |
/// | `POST /v1/queue/clear` | - | ``DiscardResult`` |
/// | `POST /v1/queue/retry` | - | tries again what failed or was refused: ``QueueSummary`` |
/// | `GET /v1/conflicts`, `GET /v1/conflicts?all=true` | - | pending ones, or decided ones too: ``ConflictList`` |
/// | `GET /v1/conflicts/{id}` | - | ``ConflictReport`` |
/// | `POST /v1/conflicts/{id}` | ``ResolveRequest`` | ``ConflictReport`` |
/// | `POST /v1/batch` | ``BatchRequest`` | ``BatchResult`` |
/// | `POST /v1/offline` | ``OfflineRequest`` | ``ConnectionReport`` |
/// | `POST /v1/limits` | ``LimitsRequest`` | ``LimitsReport`` |
public struct ControlAPI: Sendable {
    private let router: Router

    /// The API over the daemon's operations and handlers.
    public init(operations: OperationRegistry, handlers: ControlHandlers) {
        var router = Router()
        router.add("GET", "/v1/status") { _, _ throws(ControlProblem) in .json(try await handlers.status().json) }
        router.add("GET", "/v1/health") { _, _ throws(ControlProblem) in
            let report = try await handlers.health()
            return .json(report.json, status: report.healthy ? 200 : 503)
        }
        router.add("POST", "/v1/refresh") { request, _ throws(ControlProblem) in
            let wish = try RefreshRequest(json: request.body ?? .object([]))
            return Self.work { progress throws(ControlProblem) in try await handlers.refresh(wish, progress) }
        }
        router.add("POST", "/v1/stop") { request, _ throws(ControlProblem) in
            let wish = try StopRequest(json: request.body ?? .object([]))
            return Self.work { progress throws(ControlProblem) in try await handlers.stop(wish, progress) }
        }
        router.add("GET", "/v1/cache") { _, _ throws(ControlProblem) in .json(try await handlers.cache().json) }
        router.add("POST", "/v1/cache/clear") { request, _ throws(ControlProblem) in
            let wish = try CacheClearRequest(json: request.body ?? .object([]))
            return .json(try await handlers.clearCache(wish).json)
        }
        router.add("GET", "/v1/sessions/{name}") { _, captures throws(ControlProblem) in
            guard let report = try await handlers.session(captures[0]) else {
                throw .notFound("no such session: \(captures[0])")
            }
            return .json(report.json)
        }
        Self.addOperations(operations, to: &router)
        Self.addWriting(handlers.writing, to: &router)
        Self.addConflicts(handlers.writing, to: &router)
        self.router = router
    }

    /// Answers a request; the handler of a ``ControlServer``.
    public func respond(_ request: ControlRequest) async -> ControlResponse { await router.respond(request) }

    private static func addOperations(_ operations: OperationRegistry, to router: inout Router) {
        @Sendable func find(_ id: String) throws(ControlProblem) -> OperationSnapshot {
            guard let found = UInt64(id).flatMap(operations.snapshot) else {
                throw .notFound("no such operation: \(id)")
            }
            return found
        }
        router.add("GET", "/v1/operations") { _, _ in
            .json(.object([("operations", .array(operations.list().map(\.json)))]))
        }
        router.add("GET", "/v1/operations/{id}") { _, captures throws(ControlProblem) in
            .json(try find(captures[0]).json)
        }
        router.add("DELETE", "/v1/operations/{id}") { _, captures throws(ControlProblem) in
            let found = try find(captures[0])
            guard operations.cancel(found.id) else {
                throw .conflict("operation \(found.id) has ended: \(found.state.rawValue)")
            }
            return .json(try find(captures[0]).json, status: 202)
        }
    }

    private static func addWriting(_ handlers: WritingHandlers, to router: inout Router) {
        router.add("POST", "/v1/flush") { request, _ throws(ControlProblem) in
            let wish = try FlushRequest(json: request.body ?? .object([]))
            return work { progress throws(ControlProblem) in try await handlers.flush(wish, progress) }
        }
        router.add("GET", "/v1/queue") { _, _ throws(ControlProblem) in .json(try await handlers.queue().json) }
        router.add("DELETE", "/v1/queue/{name}") { _, captures throws(ControlProblem) in
            .json(try await handlers.discard(captures[0]).json)
        }
        router.add("POST", "/v1/queue/clear") { _, _ throws(ControlProblem) in
            .json(try await handlers.clearQueue().json)
        }
        router.add("POST", "/v1/queue/retry") { _, _ throws(ControlProblem) in .json(try await handlers.retry().json) }
        router.add("POST", "/v1/batch") { request, _ throws(ControlProblem) in
            .json(try await handlers.batch(try BatchRequest(json: request.body ?? .object([]))).json)
        }
        router.add("POST", "/v1/offline") { request, _ throws(ControlProblem) in
            .json(try await handlers.offline(try OfflineRequest(json: request.body ?? .object([]))).json)
        }
        router.add("POST", "/v1/limits") { request, _ throws(ControlProblem) in
            .json(try await handlers.limits(try LimitsRequest(json: request.body ?? .object([]))).json)
        }
    }

    private static func addConflicts(_ handlers: WritingHandlers, to router: inout Router) {
        @Sendable func number(_ text: String) throws(ControlProblem) -> Int64 {
            guard let id = Int64(text) else { throw .notFound("no such conflict: \(text)") }
            return id
        }
        router.add("GET", "/v1/conflicts") { request, _ throws(ControlProblem) in
            .json(try await handlers.conflicts(request.parameter("all") == "true").json)
        }
        router.add("GET", "/v1/conflicts/{id}") { _, captures throws(ControlProblem) in
            guard let report = try await handlers.conflict(try number(captures[0])) else {
                throw .notFound("no such conflict: \(captures[0])")
            }
            return .json(report.json)
        }
        router.add("POST", "/v1/conflicts/{id}") { request, captures throws(ControlProblem) in
            let id = try number(captures[0])
            let wish = try ResolveRequest(json: request.body ?? .object([]))
            return .json(try await handlers.resolve(id, wish).json)
        }
    }

    private static func work<Result: Payload>(
        _ body: @escaping @Sendable (@escaping ControlHandlers.Progress) async throws(ControlProblem) -> Result
    ) -> ControlResponse {
        .lines { lines in
            do throws(ControlProblem) {
                let result = try await body { lines.write(WorkEvent<Result>.progress($0).json) }
                lines.write(WorkEvent.done(result).json)
            } catch {
                lines.write(WorkEvent<Result>.failed(error).json)
            }
        }
    }
}
