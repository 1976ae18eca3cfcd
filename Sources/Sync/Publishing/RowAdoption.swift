internal import Catalog
internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Finds sessions of others whose row got lost, and has it written.
///
/// A FastShot client writes its row once. On a store that honours no conditions, or not always, it is gone when it comes
/// between this machine's look at the overall file and its write; and clients overwrite each other's. Body and index are
/// there then, and mounts show the session, but other clients do not. So a machine that has written the overall file
/// looks for a while afterwards for sessions that it does not name.
final class RowAdoption: Sendable {
    private struct Suspect: Sendable {
        var etag: String?
        /// By the monotonic clock.
        var since: Timestamp
        /// Whether the overall file was found to name it, though the catalog has not read that yet.
        var isNamed = false
    }
    private struct State {
        /// By the names' bytes: texts that only look alike are different names.
        var suspects: [[UInt8]: Suspect] = [:]
        var due: Timestamp?
    }

    /// Sessions that are looked through, those that were learnt last.
    private static let latest = 10_000
    /// Seconds to the next look after one that failed.
    private static let pause = 5.0

    private let catalog: Catalog
    private let known: KnownSessions
    private let watch: WatchedRows
    private let patience: Double
    private let state = Guarded(State())

    /// - Parameter patience: seconds that a session may be without a row: whoever saves it writes the row last, and a
    ///   client looks at every session of the bucket before.
    init(catalog: Catalog, known: KnownSessions, watch: WatchedRows, patience: Double) {
        self.catalog = catalog
        self.known = known
        self.watch = watch
        self.patience = patience
    }

    /// Seconds until a look is due; nil: none is, as this machine has not written the overall file lately.
    func wait(_ now: Timestamp) -> Double? {
        let isActive = watch.hasWrittenLately
        return state.withLock { state in
            guard isActive else {
                state = State()
                return nil
            }
            let due = state.due ?? later(than: now)
            state.due = due
            return max(0, due.seconds(since: now))
        }
    }

    /// The overall file is another than before: it may not name any more what it was found to name.
    func fileChanged() {
        state.withLock { state in state.suspects = state.suspects.filter { !$0.value.isNamed } }
    }

    /// Looks for sessions without a row, and hands those to the watch that have been so for long. Called by who may change
    /// the overall file.
    func look(_ writer: RowWriter, _ context: PublishContext) async {
        let now = Timestamp.monotonic
        do {
            let ripe = try ripe(context, now)
            guard !ripe.isEmpty else { return }
            let lost = try await lost(of: ripe, writer, context)
            guard !lost.isEmpty else { return }
            PublishContext.log.info("sessions of others have no row", ["sessions": "\(lost.count)"])
            let tags = Dictionary(lost.map { (Array($0.row.fileName.utf8), $0.etag) }, uniquingKeysWith: { $1 })
            watch.adopt(lost.map(\.row), tags: tags.compactMapValues { $0 })
        } catch {
            PublishContext.log.debug("sessions without rows were not looked for", ["cause": "\(error)"])
            state.withLock { $0.due = now.later(by: Self.pause) }
        }
    }

    private struct Candidate {
        var row: OverallRow
        var etag: String?
    }

    /// Those that the catalog has long known to be without a row. Decides when to look again.
    private func ripe(_ context: PublishContext, _ now: Timestamp) throws -> [Candidate] {
        let since = Timestamp.now.later(by: -WatchedRows.validity)
        let found = try catalog.unnamed(since: since, latest: Self.latest)
        // This machine's own get their rows with their changes.
        let pending = found.isEmpty ? [] : context.pendingNames
        var ripe: [UnnamedSession] = []
        state.withLock { state in
            var suspects: [[UInt8]: Suspect] = [:]
            var due = later(than: now)
            for session in found {
                let name = Array(session.fileName.utf8)
                guard !pending.contains(name), !watch.has(session.fileName, etag: session.etag) else { continue }
                var suspect = Suspect(etag: session.etag, since: now)
                if let before = state.suspects[name], before.etag == session.etag { suspect = before }
                suspects[name] = suspect
                if suspect.isNamed { continue }
                let age = now.seconds(since: suspect.since)
                if age >= patience { ripe.append(session) } else { due = min(due, suspect.since.later(by: patience)) }
            }
            state.suspects = suspects
            state.due = due
        }
        return try ripe.compactMap { session throws(CatalogError) in
            try known.row(session.id).map { Candidate(row: $0, etag: session.etag) }
        }
    }

    /// Those that the overall file does not name, and whose body and index are there.
    private func lost(
        of ripe: [Candidate], _ writer: RowWriter, _ context: PublishContext
    ) async throws(StoreError) -> [Candidate] {
        let missing = Set(try await writer.missing(of: ripe.map(\.row)).map { Array($0.fileName.utf8) })
        let candidates = ripe.filter { missing.contains(Array($0.row.fileName.utf8)) }
        state.withLock { state in
            for candidate in ripe where !missing.contains(Array(candidate.row.fileName.utf8)) {
                state.suspects[Array(candidate.row.fileName.utf8)]?.isNamed = true
            }
        }
        let objects = candidates.map {
            ObjectInfo(key: SessionName.bodyPrefix + $0.row.fileName, size: $0.row.fileSize ?? 0, etag: $0.etag)
        }
        var lost: [Candidate] = []
        for (candidate, standing) in zip(candidates, await context.bodyCheck.look(at: objects)) {
            // Without an index somebody is saving or removing it.
            guard try standing.get() == .stands, let name = SessionName(fileName: candidate.row.fileName),
                try await context.head(name.indexKey) != nil
            else { continue }
            lost.append(candidate)
        }
        return lost
    }

    /// Machines look at different times, so that one of them writes the row and the others find it.
    private func later(than now: Timestamp) -> Timestamp { now.later(by: patience * Double.random(in: 1...1.5)) }
}
