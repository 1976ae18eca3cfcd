internal import JSON
public import Operations

/// The API's paths as calls. Each throws ``ControlError``.
extension ControlClient {
    /// `GET /v1/status`.
    public func status() throws(ControlError) -> StatusReport { try request("GET", "/v1/status") }

    /// `GET /v1/cache`.
    public func cache() throws(ControlError) -> CacheReport { try request("GET", "/v1/cache") }

    /// `POST /v1/cache/clear`.
    public func clearCache(_ wish: CacheClearRequest = CacheClearRequest()) throws(ControlError) -> CacheClearResult {
        try request("POST", "/v1/cache/clear", body: wish)
    }

    /// `GET /v1/sessions/{name}`; nil when the mount has no such session.
    public func session(_ name: String) throws(ControlError) -> SessionReport? {
        do throws(ControlError) {
            return try request("GET", "/v1/sessions/" + Self.encode(name)) as SessionReport
        } catch {
            if case .problem(let problem) = error, problem.status == 404 { return nil }
            throw error
        }
    }

    /// `GET /v1/operations`.
    public func operations() throws(ControlError) -> [OperationSnapshot] {
        let value: JSONValue = try request("GET", "/v1/operations")
        do throws(ControlProblem) {
            return try value.list("operations", OperationSnapshot.init(json:))
        } catch {
            throw .malformed(error.message)
        }
    }

    /// `GET /v1/operations/{id}`.
    public func operation(_ id: UInt64) throws(ControlError) -> OperationSnapshot {
        try request("GET", "/v1/operations/\(id)")
    }

    /// `DELETE /v1/operations/{id}`: asks it to stop.
    /// - Throws: `.problem` with 409 when it has ended.
    public func cancelOperation(_ id: UInt64) throws(ControlError) -> OperationSnapshot {
        try request("DELETE", "/v1/operations/\(id)")
    }

    /// `POST /v1/refresh`: returns when the catalog and the mount show what was found.
    public func refresh(
        _ mode: RefreshMode = .full, progress: (ProgressUpdate) -> Void = { _ in }
    ) throws(ControlError) -> RefreshResult {
        try work("/v1/refresh", RefreshRequest(mode: mode), progress: progress)
    }

    /// `POST /v1/stop`: returns when the daemon has flushed, unmounted and cleaned. Its process ends shortly after.
    public func stop(
        _ wish: StopRequest, progress: (ProgressUpdate) -> Void = { _ in }
    ) throws(ControlError) -> StopResult {
        try work("/v1/stop", wish, progress: progress)
    }

    // MARK: Changes and the connection

    /// For calls that go through all that is pending, or ask the store.
    private var patient: ControlClient { ControlClient(socketPath: socketPath, timeout: max(timeout, 3600)) }

    /// `POST /v1/flush`: returns when everything that can be sent is sent.
    public func flush(
        timeout: Double? = nil, progress: (ProgressUpdate) -> Void = { _ in }
    ) throws(ControlError) -> FlushResult {
        try work("/v1/flush", FlushRequest(timeout: timeout), progress: progress)
    }

    /// `GET /v1/queue`.
    public func queue() throws(ControlError) -> QueueReport { try request("GET", "/v1/queue") }

    /// `DELETE /v1/queue/{name}`: gives up the change of a file name.
    public func discard(_ name: String) throws(ControlError) -> DiscardResult {
        try patient.request("DELETE", "/v1/queue/" + Self.encode(name))
    }

    /// `POST /v1/queue/clear`.
    public func clearQueue() throws(ControlError) -> DiscardResult { try patient.request("POST", "/v1/queue/clear") }

    /// `POST /v1/queue/retry`.
    public func retryQueue() throws(ControlError) -> QueueSummary { try patient.request("POST", "/v1/queue/retry") }

    /// `GET /v1/conflicts`.
    public func conflicts(includingDecided: Bool = false) throws(ControlError) -> ConflictList {
        try request("GET", "/v1/conflicts" + (includingDecided ? "?all=true" : ""))
    }

    /// `GET /v1/conflicts/{id}`.
    public func conflict(_ id: Int64) throws(ControlError) -> ConflictReport {
        try request("GET", "/v1/conflicts/\(id)")
    }

    /// `POST /v1/conflicts/{id}`.
    public func resolve(_ id: Int64, _ choice: ResolveRequest.Choice) throws(ControlError) -> ConflictReport {
        try patient.request("POST", "/v1/conflicts/\(id)", body: ResolveRequest(choice))
    }

    /// `POST /v1/batch`.
    public func batch(_ action: BatchRequest.Action) throws(ControlError) -> BatchResult {
        try patient.request("POST", "/v1/batch", body: BatchRequest(action))
    }

    /// `POST /v1/offline`.
    public func offline(_ offline: Bool) throws(ControlError) -> ConnectionReport {
        try request("POST", "/v1/offline", body: OfflineRequest(offline: offline))
    }

    /// `POST /v1/limits`.
    public func limits(_ wish: LimitsRequest) throws(ControlError) -> LimitsReport {
        try request("POST", "/v1/limits", body: wish)
    }
}
