internal import Control
internal import ObjectStore
internal import Platform
internal import SessionCache
internal import SessionFormat
internal import Sync

/// What the daemon does for the part of the control API that is about changes and the connection.
extension MountDaemon {
    func writingHandlers() -> WritingHandlers {
        WritingHandlers(
            flush: { [self] wish, progress throws(ControlProblem) in
                FlushResult(unsent: try await flush(wish.timeout, progress).map(UnsentItem.init))
            },
            queue: { [self] () throws(ControlProblem) in
                QueueReport(changes: try writingSide().0.changes().map(changeReport))
            },
            discard: { [self] name throws(ControlProblem) in try await discard(name) },
            clearQueue: { [self] () throws(ControlProblem) in try await clearQueue() },
            retry: { [self] () throws(ControlProblem) in
                let staging = try writingSide().0
                try await report { () throws(StagingError) in try staging.retry(refused: true) }
                return queueSummary(staging)
            },
            conflicts: { [self] all throws(ControlProblem) in
                let staging = try writingSide().0
                let found = try await report { () throws(StagingError) in try staging.conflicts(includingDecided: all) }
                return ConflictList(conflicts: found.map(ConflictReport.init))
            },
            conflict: { [self] id throws(ControlProblem) in
                let staging = try writingSide().0
                return try await report { () throws(StagingError) in try staging.conflict(id) }.map(ConflictReport.init)
            },
            resolve: { [self] id, wish throws(ControlProblem) in try await resolve(id, wish.choice) },
            batch: { [self] wish throws(ControlProblem) in try await batch(wish.action) },
            offline: { [self] wish throws(ControlProblem) in
                connectivity.force(wish.offline)
                return connectionReport()
            },
            limits: { [self] wish throws(ControlProblem) in
                let limits = plan.limits
                if let rate = wish.upload { limits.upload = rate }
                if let rate = wish.download { limits.download = rate }
                return limitsReport()
            })
    }

    /// Staging and publisher.
    /// - Throws: `read_only` on a mount that refuses changes.
    func writingSide() throws(ControlProblem) -> (Staging, Publisher) {
        guard let staging, let publisher else {
            throw .readOnly(readOnlyWarning ?? "\(plan.mountpoint) is mounted read-only")
        }
        return (staging, publisher)
    }

    /// Does something that waits for the disk, on a thread that may. A refusal of the staging becomes one of the API.
    func report<Value: Sendable>(
        _ body: @escaping @Sendable () throws(StagingError) -> Value
    ) async throws(ControlProblem) -> Value {
        let result = await pool.result { () -> Result<Value, StagingError> in
            do throws(StagingError) { return .success(try body()) } catch { return .failure(error) }
        }
        do throws(StagingError) {
            return try result.get()
        } catch {
            switch error.kind {
            case .notFound: throw .notFound(error.message)
            case .busy, .exists: throw .conflict(error.message)
            default: throw .failed(error.message)
            }
        }
    }

    // MARK: Reports

    func queueSummary() -> QueueSummary? { staging.map { queueSummary($0) } }

    private func queueSummary(_ staging: Staging) -> QueueSummary {
        let counts = staging.counts
        return QueueSummary(
            pending: UInt64(clamping: counts.pending), pendingBytes: counts.pendingBytes,
            failed: UInt64(clamping: counts.failed), refused: UInt64(clamping: counts.refused),
            local: UInt64(clamping: counts.local), conflicts: UInt64(clamping: counts.conflicts),
            running: UInt64(clamping: publisher?.status.running ?? 0), batch: staging.batch)
    }

    func connectionReport() -> ConnectionReport {
        switch connectivity.state {
        case .online: ConnectionReport(state: .online)
        case .offline(let since, let reason):
            ConnectionReport(state: .offline, since: since, reason: reason.description)
        case .forced(let since): ConnectionReport(state: .forced, since: since, reason: "`sessionfs offline on`")
        }
    }

    func limitsReport() -> LimitsReport {
        LimitsReport(upload: plan.limits.upload, download: plan.limits.download)
    }

    private func changeReport(_ change: PendingChange) -> ChangeReport {
        ChangeReport(
            id: change.id, name: change.subject, kind: change.kind.rawValue, state: change.state.rawValue,
            size: change.content?.size, reason: change.reason, changed: change.changed, remoteName: change.remoteName,
            percent: publisher?.percent(of: change.id).map { UInt64(clamping: $0) }, batch: change.batch,
            conflict: change.conflict)
    }

    // MARK: The queue

    /// Gives up the change of a name, with or without `.fastshot`.
    private func discard(_ name: String) async throws(ControlProblem) -> DiscardResult {
        let staging = try writingSide().0
        let changes = staging.changes()
        let found =
            changes.last { $0.subject == name } ?? changes.last { $0.subject == name + SessionName.fileSuffix }
            ?? changes.last { $0.remoteName == name }
        guard let found else { throw .notFound("no change of \(name) is pending") }
        let kept = try await report { () throws(StagingError) in try staging.discard(id: found.id) }
        return DiscardResult(items: [DiscardResult.Item(name: found.subject, kept: kept)])
    }

    /// Gives up what waits to be sent or cannot be. Local files are not waiting, and conflicts have their own commands.
    private func clearQueue() async throws(ControlProblem) -> DiscardResult {
        let staging = try writingSide().0
        let waiting = staging.changes().filter { $0.state != .local && $0.state != .conflict }
        return try await report { () throws(StagingError) in
            DiscardResult(items: QueueClearing(staging: staging).run(waiting))
        }
    }

    private func batch(_ action: BatchRequest.Action) async throws(ControlProblem) -> BatchResult {
        let staging = try writingSide().0
        return try await report { () throws(StagingError) in
            let open = staging.batch ?? 0
            return switch action {
            case .begin: BatchResult(batch: try staging.beginBatch(), changes: 0)
            case .commit: BatchResult(batch: open, changes: UInt64(clamping: try staging.commitBatch()))
            case .cancel: BatchResult(batch: open, changes: UInt64(clamping: try staging.cancelBatch()))
            }
        }
    }

    // MARK: Conflicts

    private func resolve(
        _ id: Int64, _ choice: ResolveRequest.Choice
    ) async throws(ControlProblem) -> ConflictReport {
        let (staging, publisher) = try writingSide()
        guard let record = try await report({ () throws(StagingError) in try staging.conflict(id) }) else {
            throw .notFound("no such conflict: \(id)")
        }
        var current: ObjectVersion?
        if choice == .mine, record.decided == nil {
            // The user decides over what is there now, not over what was there when the conflict was noticed.
            do throws(StoreError) {
                current = try await publisher.current(record.name).map { info in
                    ObjectVersion(etag: info.etag, size: info.size, contentMD5: info.contentMD5)
                }
            } catch {
                throw ControlProblem(status: 502, code: error.kind.rawValue, message: error.description)
            }
        }
        let version = current
        return ConflictReport(
            try await report { () throws(StagingError) in
                try staging.decide(id, ConflictChoice(choice), by: "user", current: version)
            })
    }
}

extension ConflictChoice {
    fileprivate init(_ choice: ResolveRequest.Choice) {
        self =
            switch choice {
            case .mine: .mine
            case .theirs: .theirs
            case .both: .both
            }
    }
}

extension ConflictReport {
    fileprivate init(_ record: ConflictRecord) {
        self.init(
            id: record.id, kind: record.kind.rawValue, name: record.name, localName: record.localName,
            expected: record.expected.map { Version(etag: $0.etag, size: $0.size) },
            found: record.found.map { Version(etag: $0.etag, size: $0.size, modified: record.foundModified) },
            opened: record.opened, decided: record.decided, choice: record.choice?.rawValue,
            decidedBy: record.decidedBy, kept: record.keptPath)
    }
}
