internal import Platform

extension DownloadPlan {
    /// Starts what may be started: first ranges that a waiting read needs and nothing in flight will bring soon, then
    /// the gaps in order, so that the beginning, which is hashed first, grows steadily.
    mutating func schedule(now: Timestamp) -> [Action] {
        guard phase == .running, !isComplete else { return [] }
        var actions: [Action] = []
        while mayStart, let wanted = firstUncovered(), let range = rangeForRead(at: wanted.offset) {
            let isUrgent = regularTransfers >= connectionLimit || wanted.isClaimed
            if isUrgent && transfers.count(where: \.isUrgent) >= policy.urgentConnections { break }
            // A little more from the left saves a request for it later.
            let left = isUrgent ? wanted.offset : claimedByAnyone.end(before: wanted.offset)
            let first = wanted.offset - left <= policy.near ? left : wanted.offset
            let length = isUrgent ? policy.urgentLength : segmentLength
            actions.append(start(first..<min(range.upperBound, first + length), isUrgent, now))
        }
        while mayStart, regularTransfers < connectionLimit, transfers.count < 2 * policy.connections,
            let gap = nextGap()
        {
            actions.append(start(gap.lowerBound..<min(gap.upperBound, gap.lowerBound + segmentLength), false, now))
        }
        if size == 0, version == nil, transfers.isEmpty, penalties.isEmpty { actions.append(start(0..<0, false, now)) }
        return actions
    }

    /// Without a tag to ask for, the first answer decides the version; until then nothing else may be in flight.
    private var mayStart: Bool {
        version != nil || expectedETag != nil || (transfers.isEmpty && penalties.isEmpty)
    }

    /// Transfers that take one of the connections. One that will end before another request can be answered does not:
    /// the next range is asked for then, so that the line is never idle for a round trip.
    private var regularTransfers: Int {
        var nearlyNothing: UInt64 = 0
        if isParallel, let rate, let firstBytesAt, let startedAt {
            nearlyNothing = UInt64(
                min(rate * firstBytesAt.seconds(since: startedAt), Double(policy.longestSegment) / 2))
        }
        return transfers.reduce(0) { count, transfer in
            count + (transfer.isUrgent || transfer.position + nearlyNothing > transfer.end ? 0 : 1)
        }
    }

    private var connectionLimit: Int { isParallel ? policy.connections : 1 }

    /// Opens all connections when the first has been silent for too long or would need long for the rest.
    ///
    /// A single stream comes in order, so that the digest is ready soon after its last byte, and nothing delays its
    /// first. Where one connection fills the line, others only share it. So they have to be worth it.
    mutating func goParallelIfSlow(now: Timestamp) {
        guard !isParallel, size >= policy.parallelThreshold, version != nil || expectedETag != nil else { return }
        if let firstBytesAt {
            let elapsed = now.seconds(since: firstBytesAt)
            guard elapsed >= policy.probe else { return }
            let rest = Double(size - arrived.count)
            if rest * elapsed < Double(arrived.count) * policy.longEnough { return }
        } else if let startedAt {
            if now.seconds(since: startedAt) < policy.patience { return }
        }
        isParallel = true
        for index in transfers.indices where !transfers[index].isUrgent {
            let transfer = transfers[index]
            transfers[index].end = min(transfer.end, transfer.position + segmentLength)
        }
    }

    var segmentLength: UInt64 {
        guard isParallel else { return size }
        let mebibyte: UInt64 = 1 << 20
        let share = (size / UInt64(policy.connections) + mebibyte - 1) / mebibyte * mebibyte
        return max(mebibyte, min(share, policy.longestSegment))
    }

    private mutating func start(_ range: Range<UInt64>, _ isUrgent: Bool, _ now: Timestamp) -> Action {
        let ticket = nextTicket
        nextTicket += 1
        transfers.append(
            Transfer(
                ticket: ticket, isUrgent: isUrgent, start: range.lowerBound, position: range.lowerBound,
                end: range.upperBound, answerEnd: range.upperBound, lastProgress: now))
        let tag = useIfMatch ? version?.etag ?? expectedETag : nil
        return .fetch(ticket: ticket, range: range.isEmpty ? nil : range, ifMatch: tag)
    }

    /// How far ahead of its position a transfer is counted on.
    private var near: UInt64 {
        guard let rate else { return policy.near }
        return UInt64(min(max(rate * policy.soon, Double(policy.nearest)), Double(policy.near)))
    }

    /// The first byte that a waiting read needs and that no transfer is close to. A read that continues another one
    /// which is close is close too: that is readahead, and urgent requests would only fetch its bytes twice.
    private func firstUncovered() -> (offset: UInt64, isClaimed: Bool)? {
        guard !reads.isEmpty else { return nil }
        let near = near
        var reach = transfers.map { $0.position + near }
        for read in reads.sorted(by: { $0.offset < $1.offset }) {
            let range = self.range(of: read)
            guard let missing = claimed.firstMissing(in: range) else { continue }
            if penalties.contains(where: { $0.range.contains(missing) }) { continue }
            var isClaimed = false
            var isClose = false
            for (index, transfer) in transfers.enumerated()
            where transfer.position <= missing && missing < transfer.end {
                isClaimed = true
                if missing <= reach[index] {
                    isClose = true
                    reach[index] = max(reach[index], range.upperBound + near)
                }
            }
            if !isClose { return (missing, isClaimed) }
        }
        return nil
    }

    /// From a missing byte to the next that is there or that another transfer is about to bring.
    private func rangeForRead(at offset: UInt64) -> Range<UInt64>? {
        guard let gap = claimed.gap(from: offset, below: size) else { return nil }
        let next = transfers.map(\.position).filter { $0 > offset }.min() ?? gap.upperBound
        return offset..<min(gap.upperBound, next)
    }

    private func nextGap() -> Range<UInt64>? {
        let claimed = claimedByAnyone
        return claimed.gap(from: cursor, below: size) ?? claimed.gap(from: 0, below: size)
    }

    /// What is there, is being written or fetched, or waits for a repetition.
    private var claimedByAnyone: ByteRanges {
        var claimed = claimed
        for transfer in transfers where transfer.position < transfer.end {
            claimed.insert(transfer.position..<transfer.end)
        }
        for penalty in penalties { claimed.insert(penalty.range) }
        return claimed
    }
}
