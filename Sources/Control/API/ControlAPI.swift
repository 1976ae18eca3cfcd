internal import JSON
public import Operations

/// What the daemon does for the control API. Each may throw a ``ControlProblem``, which becomes the answer.
public struct ControlHandlers: Sendable {
    /// Reports steps of long work; false when nobody listens any more.
    public typealias Progress = @Sendable (ProgressUpdate) -> Void

    /// `GET /v1/status`.
    public var status: @Sendable () async throws(ControlProblem) -> StatusReport
    /// `GET /v1/health`.
    public var health: @Sendable () async throws(ControlProblem) -> HealthReport
    /// `POST /v1/refresh`.
    public var refresh: @Sendable (RefreshRequest, @escaping Progress) async throws(ControlProblem) -> RefreshResult
    /// `GET /v1/cache`.
    public var cache: @Sendable () async throws(ControlProblem) -> CacheReport
    /// `POST /v1/cache/clear`.
    public var clearCache: @Sendable (CacheClearRequest) async throws(ControlProblem) -> CacheClearResult
    /// Flushes, unmounts and cleans. The daemon ends after its result was sent: see ``ControlServer/stop(grace:)``.
    public var stop: @Sendable (StopRequest, @escaping Progress) async throws(ControlProblem) -> StopResult
    /// A session by its file name, with or without `.fastshot`; nil when there is none.
    public var session: @Sendable (String) async throws(ControlProblem) -> SessionReport?

    /// Handlers by their parts.
    public init(
        status: @escaping @Sendable () async throws(ControlProblem) -> StatusReport,
        health: @escaping @Sendable () async throws(ControlProblem) -> HealthReport,
        refresh: @escaping @Sendable (RefreshRequest, @escaping Progress) async throws(ControlProblem) -> RefreshResult,
        cache: @escaping @Sendable () async throws(ControlProblem) -> CacheReport,
        clearCache: @escaping @Sendable (CacheClearRequest) async throws(ControlProblem) -> CacheClearResult,
        stop: @escaping @Sendable (StopRequest, @escaping Progress) async throws(ControlProblem) -> StopResult,
        session: @escaping @Sendable (String) async throws(ControlProblem) -> SessionReport?
    ) {
        self.status = status
        self.health = health
        self.refresh = refresh
        self.cache = cache
        self.clearCache = clearCache
        self.stop = stop
        self.session = session
    }
}

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
