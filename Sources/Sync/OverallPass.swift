internal import Catalog
internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Looks at the overall file and learns its rows, in batches, while they arrive.
struct OverallPass {
    let journey: Journey
    /// Called after every batch that may have brought unknown indexes.
    let poke: @Sendable () -> Void
    /// From before the request: what this machine writes meanwhile is newer than the file that is read.
    private let mark: WriteMark

    init(journey: Journey, poke: @escaping @Sendable () -> Void) throws {
        self.journey = journey
        self.poke = poke
        mark = try journey.catalog.writeMark()
    }

    /// Rows of the first batch, so that something shows soon.
    private static let firstBatch = 200
    /// What is read from the file at once.
    private static let chunk = 128 << 10
    /// Seconds after which rows are not held back for a fuller batch when the network pauses.
    private static let patience = 0.05

    /// What came of it.
    struct Result {
        var outcome: OverallOutcome
        /// Whether only complete listings can tell what is there.
        var needsListing: Bool
        /// Whether the file has to be read once more after the listing, for rows that could not be taken without it.
        var needsSecondReading = false
    }

    /// Asks for the file unless it is the one that was read last.
    func run() async throws -> Result {
        let catalog = journey.catalog
        var known: String?
        if Files.exists(journey.overallPath) { known = try catalog.value(Setting.overallTag) }
        let spool = OverallSpool(beside: journey.overallPath)
        defer { spool.discard() }
        do {
            return try await receive(into: spool, unless: known)
        } catch let error as StoreError where error.kind == .notFound {
            return try missing()
        }
    }

    private func receive(into spool: OverallSpool, unless known: String?) async throws -> Result {
        let store = journey.store
        journey.willRequest()
        async let transfer: ReadOutcome = {
            defer { spool.end() }
            return try await store.get(SessionName.overallKey, ReadOptions(ifNoneMatch: known), into: spool)
        }()
        var reading = Reading(self, attempt: 0)
        do {
            for await _ in spool.arrivals {
                journey.becomeOperation()
                try await catchUp(with: spool, &reading)
            }
        } catch {
            await reading.abandon()
            throw error
        }
        do {
            guard case .object(let info) = try await transfer else {
                return Result(outcome: .unchanged, needsListing: false)
            }
            journey.becomeOperation()
            guard spool.progress.arrived == info.size else {
                throw StoreError(.temporary, key: info.key, message: "the file ended early")
            }
            try await catchUp(with: spool, &reading)
            let result = try await reading.finish()
            try keep(spool, info, result)
            return result
        } catch {
            await reading.abandon()
            throw error
        }
    }

    private func keep(_ spool: OverallSpool, _ info: ObjectInfo, _ result: Result) throws {
        try spool.keep(as: journey.overallPath)
        let word = if case .damaged(let reason) = result.outcome { "damaged: \(reason)" } else { "present" }
        if result.needsListing { try journey.catalog.setValue(Catalog.listingNeededKey, "overall file") }
        try journey.catalog.setValue(Setting.overallState, word)
        try journey.catalog.setValue(Setting.overallTag, info.etag)
        journey.tell(CatalogDelta(overallFile: true))
        journey.note { $0.overall = result.outcome }
    }

    /// Reads what has arrived.
    private func catchUp(with spool: OverallSpool, _ reading: inout Reading) async throws {
        while true {
            try Task.checkCancellation()
            let progress = spool.progress
            if progress.attempt != reading.attempt {
                await reading.abandon()
                reading = Reading(self, attempt: progress.attempt)
            }
            guard reading.offset < progress.arrived else { break }
            let count = Int(min(progress.arrived - reading.offset, UInt64(Self.chunk)))
            let bytes = try progress.file?.read(at: reading.offset, count: count) ?? []
            // A new attempt may have emptied the file under the read.
            guard spool.progress.attempt == reading.attempt, !bytes.isEmpty else { continue }
            try await reading.take(bytes)
        }
        try await reading.pause()
    }

    /// Reads the cache's copy again after a complete listing, without a request.
    func readAgain() async throws {
        var reading = Reading(self, attempt: 0, followsListing: true)
        let file = try FileDescriptor.open(journey.overallPath)
        while true {
            let bytes = try file.read(at: reading.offset, count: Self.chunk)
            if bytes.isEmpty { break }
            try await reading.take(bytes)
        }
        _ = try await reading.finish()
    }

    private func missing() throws -> Result {
        let catalog = journey.catalog
        let isNews = try catalog.value(Setting.overallState) != "absent"
        journey.note { $0.overall = .missing }
        guard isNews else { return Result(outcome: .missing, needsListing: false) }
        journey.becomeOperation()
        try catalog.setValue(Catalog.listingNeededKey, "overall file is gone")
        _ = try catalog.finishOverall(Sighting(since: mark))
        try Files.remove(journey.overallPath)
        try catalog.setValue(Setting.overallTag, nil)
        try catalog.setValue(Setting.overallState, "absent")
        journey.tell(CatalogDelta(overallFile: true))
        return Result(outcome: .missing, needsListing: true)
    }

    /// One reading of one version of the file.
    private struct Reading {
        let journey: Journey
        let poke: @Sendable () -> Void
        let attempt: Int
        var offset: UInt64 = 0
        private let reader = OverallReader()
        private var failure: FormatError?
        private var pending: [CatalogChange] = []
        private var sighting: Sighting
        private var rows = 0
        private var writing: Task<Sighting, any Error>?
        private var lastBatch = Timestamp.monotonic

        init(_ pass: OverallPass, attempt: Int, followsListing: Bool = false) {
            journey = pass.journey
            poke = pass.poke
            self.attempt = attempt
            sighting = Sighting(since: pass.mark)
            sighting.followsListing = followsListing
        }

        mutating func take(_ bytes: [UInt8]) async throws {
            offset += UInt64(bytes.count)
            if failure != nil { return }
            let etagIsContentMD5 = journey.store.capabilities.etagIsContentMD5
            do {
                try reader.consume(bytes.span.bytes) { row in
                    pending.append(.row(row, etagIsContentMD5: etagIsContentMD5))
                }
            } catch let error as FormatError {
                // The rest is of no use, and the rows before it are good.
                failure = error
            }
            if pending.count >= (rows == 0 ? OverallPass.firstBatch : Journey.batch) { try await commit() }
        }

        /// Everything that arrived has been read.
        mutating func pause() async throws {
            if Timestamp.monotonic.seconds(since: lastBatch) > OverallPass.patience { try await commit() }
        }

        mutating func finish() async throws -> Result {
            try await commit()
            try await settle()
            var reason = failure.map { "\($0)" }
            if failure == nil {
                do {
                    let summary = try reader.finish()
                    if summary.checksum == .mismatch { reason = "checksum of the rows does not agree" }
                    if summary.badRows > 0 { reason = "\(summary.badRows) rows cannot be read" }
                } catch {
                    failure = error
                    reason = "\(error)"
                }
            }
            // Rows behind the damage were not met, which says nothing of their sessions.
            let vanished = failure == nil ? try journey.catalog.finishOverall(sighting) : 0
            let isUnsure = sighting.rowsWithoutSize > 0 || sighting.rowsInDoubt > 0
            return Result(
                outcome: reason.map { .damaged(reason: $0) } ?? .changed,
                needsListing: reason != nil || vanished > 0 || isUnsure, needsSecondReading: isUnsure)
        }

        /// Begins to write a batch down, once the one before is; reading goes on meanwhile.
        private mutating func commit() async throws {
            lastBatch = .monotonic
            if pending.isEmpty { return }
            try await settle()
            let batch = pending
            pending = []
            rows += batch.count
            let (journey, poke, total) = (journey, poke, rows)
            let before = sighting
            writing = Task {
                var sighting = before
                try journey.apply(batch, &sighting)
                journey.progress("reading the overall file", total)
                poke()
                return sighting
            }
        }

        /// Waits until the batch is written.
        private mutating func settle() async throws {
            guard let task = writing else { return }
            writing = nil
            sighting = try await task.value
        }

        /// Ends without a result, and writes nothing more.
        mutating func abandon() async {
            _ = await writing?.result
            writing = nil
        }
    }
}
