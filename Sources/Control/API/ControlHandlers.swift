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
    /// What is about changes and the connection.
    public var writing: WritingHandlers

    /// Handlers by their parts.
    public init(
        status: @escaping @Sendable () async throws(ControlProblem) -> StatusReport,
        health: @escaping @Sendable () async throws(ControlProblem) -> HealthReport,
        refresh: @escaping @Sendable (RefreshRequest, @escaping Progress) async throws(ControlProblem) -> RefreshResult,
        cache: @escaping @Sendable () async throws(ControlProblem) -> CacheReport,
        clearCache: @escaping @Sendable (CacheClearRequest) async throws(ControlProblem) -> CacheClearResult,
        stop: @escaping @Sendable (StopRequest, @escaping Progress) async throws(ControlProblem) -> StopResult,
        session: @escaping @Sendable (String) async throws(ControlProblem) -> SessionReport?,
        writing: WritingHandlers
    ) {
        self.status = status
        self.health = health
        self.refresh = refresh
        self.cache = cache
        self.clearCache = clearCache
        self.stop = stop
        self.session = session
        self.writing = writing
    }
}

/// What the daemon does for the part of the control API that is about changes and the connection. On a mount that
/// refuses changes, those about changes throw 409 `read_only`.
public struct WritingHandlers: Sendable {
    /// `POST /v1/flush`.
    public var flush:
        @Sendable (FlushRequest, @escaping ControlHandlers.Progress) async throws(ControlProblem) -> FlushResult
    /// `GET /v1/queue`.
    public var queue: @Sendable () async throws(ControlProblem) -> QueueReport
    /// `DELETE /v1/queue/{name}`: gives up the change of a file name.
    public var discard: @Sendable (String) async throws(ControlProblem) -> DiscardResult
    /// `POST /v1/queue/clear`: gives up all changes that wait to be sent or cannot be.
    public var clearQueue: @Sendable () async throws(ControlProblem) -> DiscardResult
    /// `POST /v1/queue/retry`: tries again what failed or was refused.
    public var retry: @Sendable () async throws(ControlProblem) -> QueueSummary
    /// `GET /v1/conflicts`; true lists decided ones too.
    public var conflicts: @Sendable (Bool) async throws(ControlProblem) -> ConflictList
    /// `GET /v1/conflicts/{id}`; nil when there is none.
    public var conflict: @Sendable (Int64) async throws(ControlProblem) -> ConflictReport?
    /// `POST /v1/conflicts/{id}`.
    public var resolve: @Sendable (Int64, ResolveRequest) async throws(ControlProblem) -> ConflictReport
    /// `POST /v1/batch`.
    public var batch: @Sendable (BatchRequest) async throws(ControlProblem) -> BatchResult
    /// `POST /v1/offline`.
    public var offline: @Sendable (OfflineRequest) async throws(ControlProblem) -> ConnectionReport
    /// `POST /v1/limits`.
    public var limits: @Sendable (LimitsRequest) async throws(ControlProblem) -> LimitsReport

    /// Handlers by their parts.
    public init(
        flush:
            @escaping @Sendable (
                FlushRequest, @escaping ControlHandlers.Progress
            ) async throws(ControlProblem) -> FlushResult,
        queue: @escaping @Sendable () async throws(ControlProblem) -> QueueReport,
        discard: @escaping @Sendable (String) async throws(ControlProblem) -> DiscardResult,
        clearQueue: @escaping @Sendable () async throws(ControlProblem) -> DiscardResult,
        retry: @escaping @Sendable () async throws(ControlProblem) -> QueueSummary,
        conflicts: @escaping @Sendable (Bool) async throws(ControlProblem) -> ConflictList,
        conflict: @escaping @Sendable (Int64) async throws(ControlProblem) -> ConflictReport?,
        resolve: @escaping @Sendable (Int64, ResolveRequest) async throws(ControlProblem) -> ConflictReport,
        batch: @escaping @Sendable (BatchRequest) async throws(ControlProblem) -> BatchResult,
        offline: @escaping @Sendable (OfflineRequest) async throws(ControlProblem) -> ConnectionReport,
        limits: @escaping @Sendable (LimitsRequest) async throws(ControlProblem) -> LimitsReport
    ) {
        self.flush = flush
        self.queue = queue
        self.discard = discard
        self.clearQueue = clearQueue
        self.retry = retry
        self.conflicts = conflicts
        self.conflict = conflict
        self.resolve = resolve
        self.batch = batch
        self.offline = offline
        self.limits = limits
    }
}
