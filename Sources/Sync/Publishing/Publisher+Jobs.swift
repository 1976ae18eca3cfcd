internal import ObjectStore
internal import Platform
internal import SessionCache
internal import SessionFormat

extension Publisher {
    /// Sends one change that ``Staging/begin(_:)`` gave, and tells the staging how it ended.
    func carryOut(_ change: PendingChange) async {
        do throws(PublishStop) {
            try await send(change)
            board.noteBeaten(change, nil, isBeaten: false)
            board.desk { desk in
                desk.settle(change.id)
                desk.end(change.id)
            }
            state.withLock { state in
                state.totals.sent += 1
                state.totals.sentBytes += change.content?.size ?? 0
                state.totals.lastError = nil
                state.ended += 1
            }
        } catch {
            await stopped(change, error)
        }
        board.announceNews()
    }

    private func send(_ change: PendingChange) async throws(PublishStop) {
        if let wanted = change.name, let content = change.content {
            let job = PutJob(context: context, change: change, content: content, name: try sessionName(wanted))
            return try await job.run()
        }
        guard let old = change.remoteName else { throw .undone("there is nothing to be done") }
        let oldName = try sessionName(old)
        guard let wanted = change.name else {
            return try await RemoveJob(context: context, change: change, name: oldName).run()
        }
        let newName = try sessionName(wanted)
        guard newName != oldName else { throw .undone("there is nothing to be done") }
        try await RenameJob(context: context, change: change, oldName: oldName, newName: newName).run()
    }

    private func sessionName(_ fileName: String) throws(PublishStop) -> SessionName {
        guard let name = SessionName(fileName: fileName) else {
            throw .failed("\(fileName) is no name of a session")
        }
        return name
    }

    private func stopped(_ change: PendingChange, _ stop: PublishStop) async {
        let reason = description(of: stop)
        if case .later(let error) = stop {
            if error.kind != .cancelled {
                let now = Timestamp.monotonic
                board.desk { $0.pause(change.id, after: error, now: now, random: .random(in: 0..<1)) }
                count(reason)
                log("not sent yet", change, reason)
            } else if board.takeCancelled(change.id) {
                await settle(change, .failed("cancelled by the user"))
                return
            }
            // The rest begins before the change is ready again, else it would be begun at once.
            context.staging.postponed(change, reason: reason)
            board.desk { $0.end(change.id) }
            return
        }
        count(reason)
        log("not sent", change, reason)
        if case .conflict(let kind, let found) = stop, board.wasBeaten(change, found),
            context.options.strategy(for: kind).decision(kind, change, found) == .mine
        {
            // It was decided that this version goes, and it is still in the way: nothing new to decide or to record.
            let again = StoreError(.temporary, message: reason)
            let now = Timestamp.monotonic
            board.desk { $0.pause(change.id, after: again, now: now, random: .random(in: 0..<1)) }
            context.staging.postponed(change, reason: reason)
            board.desk { $0.end(change.id) }
            return
        }
        await settle(change, stop)
    }

    /// Tells the staging of an end that is none of sending.
    private func settle(_ change: PendingChange, _ stop: PublishStop) async {
        let (staging, options) = (context.staging, context.options)
        let reason = description(of: stop)
        let outcome = await context.onDisk { [board] () -> Result<Beaten?, StagingError> in
            do throws(StagingError) {
                switch stop {
                case .later(let error): staging.postponed(change, reason: error.description)
                case .failed(let reason): try staging.rejected(change, .failed, reason: reason)
                case .refused(let reason): try staging.rejected(change, .refused, reason: reason)
                case .undone(let reason): try staging.undone(change, reason: reason)
                case .conflict(let kind, let found):
                    let strategy = options.strategy(for: kind)
                    let decision = strategy.decision(kind, change, found)
                    let record = try staging.conflicted(
                        change, kind, found: found, decision: decision, decider: strategy.rawValue)
                    PublishContext.log.warning(
                        "conflict",
                        [
                            "id": "\(record.id)", "kind": kind.rawValue, "name": record.name,
                            "decision": decision?.rawValue ?? "pending",
                        ])
                    // One of id 0 was not decided: what is wanted by now meets its own conflict.
                    let isMine = decision == .mine && record.id != 0
                    board.noteBeaten(change, found, isBeaten: isMine)
                    if let found, isMine { return .success(Beaten(object: found, conflict: record.id)) }
                }
                return .success(nil)
            } catch { return .failure(error) }
        }
        if case .success(let beaten?) = outcome { await keep(beaten) }
        let isBeaten = if case .success(.some) = outcome { true } else { false }
        if case .failure(let failure) = outcome {
            let error = StoreError(.local, message: failure.description)
            let now = Timestamp.monotonic
            board.desk { $0.pause(change.id, after: error, now: now, random: .random(in: 0..<1)) }
            staging.postponed(change, reason: failure.description)
        } else {
            board.note(change.id, nil)
            board.untouch(change.id)
            let now = Timestamp.monotonic
            board.desk { desk in
                // Two machines that both insist would else chase each other without a rest.
                guard isBeaten else { return desk.settle(change.id) }
                let again = StoreError(.temporary, message: reason)
                desk.pause(change.id, after: again, now: now, random: .random(in: 0..<1))
            }
        }
        board.desk { $0.end(change.id) }
        state.withLock { $0.ended += 1 }
    }

    /// A version in the bucket that this machine's is to take the place of.
    private struct Beaten: Sendable {
        var object: ObjectInfo
        var conflict: Int64
    }

    /// The change is not sent again before that.
    private func keep(_ beaten: Beaten) async {
        let fileName = String(
            decoding: beaten.object.key.utf8.dropFirst(SessionName.bodyPrefix.utf8.count), as: UTF8.self)
        guard let name = SessionName(fileName: fileName), let tag = beaten.object.etag else { return }
        await BucketVersionKeeper(context: context).keep(name, etag: tag, conflict: beaten.conflict)
    }

    private func count(_ reason: String) {
        state.withLock { state in
            state.totals.failures += 1
            state.totals.lastError = reason
        }
    }

    private func log(_ what: String, _ change: PendingChange, _ reason: String) {
        PublishContext.log.warning(
            what, ["name": change.subject, "kind": change.kind.rawValue, "reason": reason])
    }

    private func description(of stop: PublishStop) -> String {
        switch stop {
        case .later(let error): error.description
        case .failed(let reason), .refused(let reason), .undone(let reason): reason
        case .conflict(let kind, let found):
            found == nil ? "conflict (\(kind.rawValue)): it is gone from the bucket" : "conflict (\(kind.rawValue))"
        }
    }
}

extension ConflictStrategy {
    /// What is decided without asking; nil leaves it to the user.
    func decision(_ kind: ConflictKind, _ change: PendingChange, _ found: ObjectInfo?) -> ConflictChoice? {
        switch self {
        case .manual: return nil
        case .serverPreferred: return .theirs
        case .localPreferred: return .mine
        case .lastWriteWins:
            // Of a removal the store keeps no time; contents that somebody still wants are not thrown away for it.
            guard let found else { return kind == .editedRemoved ? .mine : .theirs }
            guard let modified = found.modified else { return nil }
            return change.changed > modified ? .mine : .theirs
        }
    }
}
