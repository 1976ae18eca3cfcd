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
}
