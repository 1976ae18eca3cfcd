internal import ObjectStore
internal import Platform
internal import SessionFormat

/// One wanted change of the overall file.
typealias RowChange = OverallChange

/// Writes rows into the bucket's overall file: read, merge, write under `If-Match`, again when somebody was faster; where
/// the server honours no conditions, written and verified. Foreign members and rows stay as they are.
///
/// The file passes through files under `scratch`, so that memory does not grow with the number of sessions.
final class RowWriter: Sendable {
    /// Hands over rows of sessions that are known to be in the bucket.
    typealias KnownRows = @Sendable ((OverallRow) throws -> Void) throws -> Void

    /// The file as it was read. The spool is the owner's to discard.
    struct Found: Sendable {
        var spool: OverallSpool
        var info: ObjectInfo
    }

    /// Times that the file is read and merged before others have been faster too often.
    static let attempts = 60

    private let store: any ObjectStore
    private let workshop: RowWorkshop
    private let support: @Sendable () async -> ConditionSupport
    private let lastUpdated: @Sendable () -> String
    private let pause: @Sendable (Double) async -> Void
    private let written = Guarded<UInt64>(0)
    let ahead = Guarded<Ahead?>(nil)
    private static let log = Log("rows")

    /// - Parameters:
    ///   - scratch: a directory for the file on its way; made when it is needed.
    ///   - support: what the server honours.
    ///   - lastUpdated: the time to write into the file, ISO 8601 as FastShot has it.
    ///   - known: rows for a file that is missing or damaged, so that it does not come back with the new ones alone.
    ///   - pause: waits so many seconds.
    init(
        store: any ObjectStore, scratch: String, support: @escaping @Sendable () async -> ConditionSupport,
        lastUpdated: @escaping @Sendable () -> String, known: @escaping KnownRows = { _ in },
        pause: @escaping @Sendable (Double) async -> Void = { try? await Task.sleep(for: .seconds($0)) }
    ) {
        self.store = store
        self.support = support
        self.lastUpdated = lastUpdated
        self.pause = pause
        workshop = RowWorkshop(scratch: scratch, known: known)
    }

    /// How often the file was written.
    var writes: UInt64 { written.withLock { $0 } }

    /// Makes changes, all in one version of the file. Changes that the file already shows cost no write.
    /// - Throws: why it could not; nothing is lost by trying again.
    func apply(_ changes: [RowChange]) async throws(StoreError) {
        if changes.isEmpty { return }
        var attempt = 0
        var support = await support()
        while true {
            do throws(StoreError) {
                if try await write(changes, support) { return }
            } catch  where error.kind == .precondition {
                Self.log.debug("the overall file was changed by somebody else meanwhile")
            } catch  where error.kind == .unsupported && support != .none {
                support = .none
                continue
            }
            attempt += 1
            guard attempt < Self.attempts else {
                throw StoreError(
                    .temporary, key: SessionName.overallKey, message: "others keep changing the overall file")
            }
            // Drawn evenly below a ceiling that grows, so that those who compete do not come back together.
            await pause(Double.random(in: 0...min(2, 0.02 * Double(1 << min(attempt, 10)))))
            if Task.isCancelled { throw StoreError(.cancelled, key: SessionName.overallKey, message: "cancelled") }
        }
    }

    /// Of rows that were written before, those that the file does not show any more: somebody has overwritten it.
    ///
    /// A row with another checksum of the same kind is not shown: it is of another version.
    func missing(of rows: [OverallRow]) async throws(StoreError) -> [OverallRow] {
        try await compare(rows, removed: []).missing
    }

    /// Looks for rows that were written or removed before.
    /// - Parameter removed: names, as bytes, that were removed.
    func compare(_ rows: [OverallRow], removed: Set<[UInt8]>) async throws(StoreError) -> RowComparison {
        if rows.isEmpty, removed.isEmpty { return RowComparison() }
        guard let spool = try await read()?.spool else { return RowComparison(missing: rows) }
        defer { spool.discard() }
        return try await workshop.compare(rows, removed: removed, with: spool.progress.file)
    }

    /// - Returns: whether the file shows the changes now. False: somebody else has written it at the same time.
    private func write(_ changes: [RowChange], _ support: ConditionSupport) async throws(StoreError) -> Bool {
        let found = try await readAlready(support)
        defer { found?.spool.discard() }
        FaultPoint.reached("rows.read.after")
        guard
            let result = try await workshop.merge(
                changes, into: found?.spool.progress.file, lastUpdated: lastUpdated())
        else { return true }
        let condition: WriteCondition
        switch found {
        case nil where support.ifAbsent: condition = .ifAbsent
        case .some(let found) where support.ifMatch: condition = found.info.etag.map { .ifMatch($0) } ?? .always
        default: condition = .always
        }
        // Without a condition the gap between looking and writing is made as short as it can be.
        if condition == .always, try await tag() != found?.info.etag { return false }
        FaultPoint.reached("rows.write.before")
        let info: ObjectInfo
        do throws(StoreError) {
            info = try await store.put(SessionName.overallKey, .file(result.file, length: result.length), condition)
        } catch  where error.kind == .notFound && condition != .always {
            // S3 says so of a version that is to be replaced and is gone.
            throw StoreError(.precondition, key: SessionName.overallKey, message: "the overall file is gone")
        }
        written.withLock { $0 += 1 }
        FaultPoint.reached("rows.write.after")
        if condition != .always { return true }
        // Somebody who had read the file before may write it now.
        await pause(Double.random(in: 0.05...0.25))
        let now = try await tag()
        FaultPoint.reached("rows.verify.after")
        return now != nil && now == info.etag
    }

    /// The version that is there; nil: none, or one without a tag.
    private func tag() async throws(StoreError) -> String? {
        do throws(StoreError) {
            return try await store.head(SessionName.overallKey).etag
        } catch  where error.kind == .notFound { return nil }
    }

    /// The file as it is; nil when there is none. The spool is the caller's to discard.
    func read() async throws(StoreError) -> Found? {
        let spool = try workshop.spool()
        do throws(StoreError) {
            let outcome = try await store.get(SessionName.overallKey, ReadOptions(), into: spool)
            guard case .object(let info) = outcome, spool.progress.arrived == info.size else {
                throw StoreError(.temporary, key: SessionName.overallKey, message: "the file ended early")
            }
            return Found(spool: spool, info: info)
        } catch {
            spool.discard()
            if error.kind == .notFound { return nil }
            throw error
        }
    }
}
