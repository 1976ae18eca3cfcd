internal import ObjectStore
internal import Platform

extension DownloadPlan {
    /// The file is ready: the first requests go out.
    mutating func prepared(now: Timestamp) -> [Action] {
        guard phase == .preparing else { return [] }
        phase = .running
        lastProgress = now
        nextWatch = now
        startedAt = now
        goParallelIfSlow(now: now)
        let patience = size >= policy.parallelThreshold ? [Action.wake(after: policy.patience)] : []
        return schedule(now: now) + watch(now: now) + patience
    }

    /// A transfer's answer has begun.
    /// - Returns: whether its bytes are wanted.
    mutating func began(
        _ ticket: UInt64, _ info: ObjectInfo, at offset: UInt64, now: Timestamp
    ) -> (accepted: Bool, actions: [Action]) {
        guard phase == .running, let index = transfers.firstIndex(where: { $0.ticket == ticket }) else {
            return (false, [])
        }
        let answer = Version(info)
        guard let known = version else {
            if answer.size != size || (expectedETag != nil && answer.etag != nil && answer.etag != expectedETag) {
                return (false, follow(answer, now: now))
            }
            version = answer
            transfers[index].place(at: offset, size: size)
            return (true, [.learn(answer)] + schedule(now: now) + settleReads())
        }
        guard known.matches(answer) else { return (false, changed(to: answer, now: now)) }
        transfers[index].place(at: offset, size: size)
        return (true, [])
    }

    /// Bytes of a transfer have come and can be written.
    /// - Returns: the parts to write, then to report with ``written(_:now:)`` or ``notWritten(_:)``; nil when the
    ///   transfer is not wanted any more.
    mutating func received(_ ticket: UInt64, _ bytes: Range<UInt64>, now: Timestamp) -> [Range<UInt64>]? {
        guard phase == .running, let index = transfers.firstIndex(where: { $0.ticket == ticket }) else { return nil }
        transfers[index].position = bytes.upperBound
        transfers[index].delivered += bytes.upperBound - bytes.lowerBound
        transfers[index].lastProgress = now
        lastProgress = now
        let parts = claimed.missing(in: bytes)
        claimed.insert(bytes)
        return parts
    }

    /// Writing failed.
    mutating func notWritten(_ parts: [Range<UInt64>]) {
        for part in parts { claimed.remove(part) }
    }

    /// Bytes are in the file, whatever has become of their transfer meanwhile.
    mutating func written(_ parts: [Range<UInt64>], now: Timestamp) -> [Action] {
        guard phase == .running || phase == .asking else { return [] }
        for part in parts { arrived.insert(part) }
        var actions = settleReads()
        measure(now: now)
        if size >= policy.parallelThreshold, !isComplete {
            if firstBytesAt == now { actions.append(.wake(after: policy.probe)) }
            goParallelIfSlow(now: now)
            actions += stopThoseAtTheirEnd() + (isParallel ? schedule(now: now) : [])
        }
        // What still runs would only bring bytes a second time.
        if isComplete { actions += stopUnfinished() }
        return actions
    }

    private mutating func measure(now: Timestamp) {
        guard let firstBytesAt else {
            firstBytesAt = now
            return
        }
        let elapsed = now.seconds(since: firstBytesAt)
        if elapsed >= policy.probe { rate = Double(arrived.count) / elapsed / Double(max(1, transfers.count)) }
    }

    /// Transfers whose answer goes on into what is another's part.
    private mutating func stopThoseAtTheirEnd() -> [Action] {
        guard transfers.contains(where: { $0.position >= $0.end && $0.end < $0.answerEnd }) else { return [] }
        let past = transfers.filter { $0.position >= $0.end && $0.end < $0.answerEnd }
        transfers.removeAll { $0.position >= $0.end && $0.end < $0.answerEnd }
        return past.map { .stop(ticket: $0.ticket) }
    }

    private mutating func stopUnfinished() -> [Action] {
        let unfinished = transfers.filter { $0.position < $0.end }
        transfers.removeAll { $0.position < $0.end }
        penalties.removeAll()
        return unfinished.map { .stop(ticket: $0.ticket) }
    }

    /// A transfer is over, well or not.
    mutating func ended(_ ticket: UInt64, _ error: StoreError?, now: Timestamp) -> [Action] {
        guard phase == .running, let index = transfers.firstIndex(where: { $0.ticket == ticket }) else { return [] }
        let transfer = transfers.remove(at: index)
        if isComplete { return [] }
        guard let error else {
            if transfer.position >= transfer.end { return schedule(now: now) }
            let short = StoreError(
                .temporary, key: subject,
                message: "body ended \(transfer.end - transfer.position) bytes early")
            return retry(transfer, short, now: now)
        }
        switch error.kind {
        case .temporary, .throttled, .unreachable:
            return retry(transfer, error, now: now)
        case .offline where policy.followsConnectivity:
            return retry(transfer, error, now: now)
        case .precondition:
            return changed(to: nil, now: now)
        case .notFound:
            return lost()
        case .local where error.system?.isDiskFull == true && !hasMadeRoom:
            hasMadeRoom = true
            return [.makeRoom] + retry(transfer, error, now: now)
        case .permanent where error.status == 416 && versionChanges < policy.versionChanges:
            // The range lies behind the end: the object is shorter than the catalog thought.
            return changed(to: nil, now: now)
        case .permanent, .noContainer, .unauthenticated, .forbidden, .unsupported, .local, .cancelled, .offline:
            return end(CacheError(error))
        }
    }

    private mutating func retry(_ transfer: Transfer, _ error: StoreError, now: Timestamp) -> [Action] {
        lastError = error
        if error.kind == .throttled { policy.connections = max(1, policy.connections / 2) }
        if let failed = failIfStalled(now: now) { return failed }
        let delay = wait(after: error, progressed: transfer.delivered > 0)
        // Bytes that could not be written are missing again, too.
        let start = min(transfer.position, claimed.firstMissing(in: transfer.start..<transfer.end) ?? transfer.end)
        let rest = start..<max(start, transfer.end)
        penalties.append(Penalty(range: rest, until: now.advanced(by: delay)))
        return [.wake(after: delay)] + schedule(now: now)
    }

    private mutating func wait(after error: StoreError, progressed: Bool) -> Double {
        if progressed { backoff = Backoff(policy.retry) }
        // The news that the store is away is still on its way, or it is back already.
        if error.kind == .offline, awaySince == nil { return policy.untilNews }
        var error = error
        // A request that was not made is repeated like one that failed to reach the store.
        if error.kind == .offline { error.kind = .unreachable }
        guard case .retry(let after) = backoff.next(after: error, elapsed: 0, random: jitter.next()) else { return 0 }
        return after
    }

    // MARK: Versions

    /// The object is no longer the version being fetched.
    private mutating func changed(to newer: Version?, now: Timestamp) -> [Action] {
        guard let newer else {
            let actions = stopAll()
            phase = .asking
            return actions + [.ask]
        }
        return follow(newer, now: now)
    }

    /// The answer to `.ask`.
    mutating func asked(_ result: Result<ObjectInfo, StoreError>, now: Timestamp) -> [Action] {
        guard phase == .asking else { return [] }
        switch result {
        case .success(let info):
            let answer = Version(info)
            // The store refuses the very tag that it names: its conditions cannot be used, the comparison of every
            // answer has to do.
            if let etag = answer.etag, etag == version?.etag ?? expectedETag { useIfMatch = false }
            return follow(answer, now: now)
        case .failure(let error) where error.isRetryable || (error.kind == .offline && policy.followsConnectivity):
            lastError = error
            if let failed = failIfStalled(now: now) { return failed }
            let delay = wait(after: error, progressed: false)
            askAgainAt = now.advanced(by: delay)
            return [.wake(after: delay)]
        case .failure(let error):
            return error.kind == .notFound ? lost() : end(CacheError(error))
        }
    }

    /// Goes over to another version when nobody has seen the older one.
    mutating func follow(_ newer: Version, now: Timestamp) -> [Action] {
        versionChanges += 1
        let learn = Action.learn(newer)
        let isSame = (version?.matches(newer) ?? false) && !useIfMatch
        guard handedOut.count == 0 || isSame else {
            return [learn] + end(CacheError(.changed, "\(subject): replaced in the store while it was being read"))
        }
        guard versionChanges <= policy.versionChanges else {
            return [learn] + end(CacheError(.changed, "\(subject): replaced in the store again and again"))
        }
        if newer.etag == nil || newer.etag != expectedETag { catalogDigest = nil }
        expectedETag = newer.etag
        version = newer
        size = newer.size
        cursor = min(cursor, size)
        return [learn] + restart(now: now)
    }

    // MARK: Time

    /// The store went away or is back.
    mutating func line(isThere: Bool, now: Timestamp) -> [Action] {
        guard isThere == (awaySince != nil) else { return [] }
        if !isThere {
            awaySince = now
            return policy.waitsWhenOffline ? [] : [.wake(after: policy.offlineLimit)]
        }
        awaySince = nil
        // The time of waiting does not count, and nothing waits any longer.
        if policy.waitsWhenOffline { lastProgress = now }
        penalties.removeAll()
        backoff = Backoff(policy.retry)
        if askAgainAt != nil { askAgainAt = now }
        return tick(now: now)
    }

    /// Time has passed: penalties end, silent transfers are repeated, a stalled download fails.
    mutating func tick(now: Timestamp) -> [Action] {
        switch phase {
        case .asking:
            if let failed = failIfStalled(now: now) { return failed }
            guard let askAgainAt, now >= askAgainAt else { return watch(now: now) }
            self.askAgainAt = nil
            return [.ask] + watch(now: now)
        case .running: break
        case .preparing, .verified, .ended: return []
        }
        if isComplete { return [] }
        if let failed = failIfStalled(now: now) { return failed }
        penalties.removeAll { $0.until <= now }
        var actions: [Action] = []
        for transfer in transfers where now.seconds(since: transfer.lastProgress) >= policy.idleLimit {
            transfers.removeAll { $0.ticket == transfer.ticket }
            actions.append(.stop(ticket: transfer.ticket))
            let silent = StoreError(.temporary, key: subject, message: "no bytes for \(Int(policy.idleLimit)) seconds")
            actions += retry(transfer, silent, now: now)
        }
        goParallelIfSlow(now: now)
        return actions + schedule(now: now) + watch(now: now)
    }

    /// Keeps one timer running, by which silence is noticed.
    mutating func watch(now: Timestamp) -> [Action] {
        guard now >= nextWatch else { return [] }
        let pause = min(policy.idleLimit, policy.stallLimit) / 2
        nextWatch = now.advanced(by: pause)
        return [.wake(after: pause)]
    }

    private mutating func failIfStalled(now: Timestamp) -> [Action]? {
        if let awaySince {
            if policy.waitsWhenOffline { return nil }
            if now.seconds(since: max(awaySince, lastProgress)) >= policy.offlineLimit {
                let cause = lastError
                return end(CacheError(.offline, "\(subject): the store cannot be reached", cause: cause))
            }
        }
        guard now.seconds(since: lastProgress) >= policy.stallLimit else { return nil }
        let seconds = Int(policy.stallLimit)
        guard let lastError else {
            return end(CacheError(.offline, "\(subject): no bytes for \(seconds) seconds"))
        }
        let base = CacheError(lastError)
        return end(CacheError(base.kind, "no bytes for \(seconds) seconds; last: \(lastError)", cause: lastError))
    }
}

extension DownloadPlan.Version {
    init(_ info: ObjectInfo) {
        self.init(etag: info.etag, size: info.size, contentMD5: info.contentMD5, modified: info.modified)
    }
}

extension DownloadPlan.Transfer {
    /// Where its bytes really begin: a store that ignores ranges sends everything.
    fileprivate mutating func place(at offset: UInt64, size: UInt64) {
        if offset != position {
            end = size
            answerEnd = size
        }
        start = offset
        position = offset
        end = min(end, size)
        answerEnd = min(answerEnd, size)
    }
}

extension Timestamp {
    func advanced(by seconds: Double) -> Timestamp { later(by: seconds) }
}
