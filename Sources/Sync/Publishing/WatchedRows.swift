internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Rows that were written or removed lately, and what becomes of them: a FastShot client that saves at the same time
/// overwrites the overall file with its own view of the bucket, without looking.
final class WatchedRows: Sendable {
    /// A row that was written.
    struct Item: Sendable {
        var row: OverallRow
        /// Of the object that it tells of.
        var etag: String?
        var written: Timestamp
    }
    private struct State {
        /// By the names' bytes: texts that only look alike are different names.
        var items: [[UInt8]: Item] = [:]
        /// Rows that were removed, by the names' bytes.
        var removed: [[UInt8]: (fileName: String, time: Timestamp)] = [:]
        /// Whether the overall file has changed since the last look.
        var isDue = false
        /// Whether the catalog has learnt of other versions since.
        var areObjectsDue = false
        var restsUntil = Timestamp.monotonic
        /// When old ones were last dropped.
        var cleared = Timestamp.now
        /// When this machine last wrote the overall file.
        var lastWritten: Timestamp?
        var hasAny: Bool { count > 0 }
        var count: Int { items.count + removed.count }
        var lines: [WatchedRowsFile.Line] {
            items.values.map { .written($0) } + removed.values.map { .removed(fileName: $0.fileName, $0.time) }
        }

        mutating func take(_ line: WatchedRowsFile.Line) {
            switch line {
            case .written(let item):
                let name = Array(item.row.fileName.utf8)
                (items[name], removed[name]) = (item, nil)
            case .removed(let fileName, let time):
                let name = Array(fileName.utf8)
                (items[name], removed[name]) = (nil, (fileName, time))
            }
        }
    }

    /// Seconds for which a row is watched.
    static let validity = 1800.0
    /// Rows that are watched at most, and removed ones, those that were written last.
    static let most = 10_000
    /// Seconds that a removal takes at most from the row to the body, unless it is put off.
    private static let longestRemoval = 60.0
    /// Seconds after which old rows are dropped, where there is no other reason to go through all.
    private static let clearing = 60.0
    /// Seconds to the next look after one that failed.
    private static let pause = 5.0

    private let file: WatchedRowsFile
    private let state: Guarded<State>

    /// - Parameter path: a small file that the rows are kept in, so that a restart goes on.
    init(path: String) {
        file = WatchedRowsFile(path: path)
        var held = State()
        for line in file.read() { held.take(line) }
        Self.dropOld(&held, .now)
        // Somebody may have overwritten it while nobody looked.
        held.isDue = held.hasAny
        held.lastWritten = (held.items.values.map(\.written) + held.removed.values.map(\.time)).max()
        state = Guarded(held)
    }

    /// Whether this machine has written the overall file within ``validity``.
    var hasWrittenLately: Bool {
        let now = Timestamp.now
        return state.withLock { $0.lastWritten.map { abs(now.seconds(since: $0)) < Self.validity } ?? false }
    }

    /// Rows of others' sessions are missing, and are to be written.
    /// - Parameter tags: as for ``record(_:tags:now:)``.
    func adopt(_ rows: [OverallRow], tags: [[UInt8]: String]) {
        record(rows.map { .set($0) }, tags: tags, now: .now)
        state.withLock { $0.isDue = true }
    }

    /// Rows were written.
    /// - Parameter tags: of the objects that the rows tell of, by file name.
    func record(_ changes: [RowChange], tags: [[UInt8]: String] = [:], now: Timestamp) {
        let lines = changes.compactMap(\.row).map { row in
            WatchedRowsFile.Line.written(Item(row: row, etag: tags[Array(row.fileName.utf8)], written: now))
        }
        let held = state.withLock { state in
            if !changes.isEmpty { state.lastWritten = now }
            for line in lines { state.take(line) }
            // Not with every row that comes: going through all takes its time.
            if max(state.items.count, state.removed.count) > Self.most + Self.most / 4
                || abs(now.seconds(since: state.cleared)) > Self.clearing
            {
                Self.dropOld(&state, now)
            }
            return state
        }
        file.add(lines, ofUse: held.count) { held.lines }
    }

    /// Whether the row of a version was written here lately.
    func has(_ fileName: String, etag: String?) -> Bool {
        guard let etag else { return false }
        return state.withLock { $0.items[Array(fileName.utf8)]?.etag == etag }
    }

    /// Rows are to go.
    func forget(_ changes: [RowChange], now: Timestamp = .now) {
        let lines = changes.compactMap(\.removedName).map { WatchedRowsFile.Line.removed(fileName: $0, now) }
        let held = state.withLock { state in
            for line in lines { state.take(line) }
            return state
        }
        file.add(lines, ofUse: held.count) { held.lines }
    }

    /// The overall file is another than before.
    func fileChanged() {
        state.withLock { state in
            state.isDue = state.hasAny
            state.restsUntil = .monotonic
        }
    }

    /// The catalog has learnt of other versions, maybe of watched ones.
    func objectsChanged() { state.withLock { $0.areObjectsDue = !$0.items.isEmpty } }

    /// Seconds until a look is due; nil: none is.
    func wait(_ now: Timestamp) -> Double? {
        state.withLock { state in
            state.isDue || state.areObjectsDue ? max(0, state.restsUntil.seconds(since: now)) : nil
        }
    }

    /// Looks for lost rows and writes them again, for removed ones that have come back, and for sessions that somebody
    /// else has replaced meanwhile. Called by who may change the overall file.
    func look(_ writer: RowWriter, _ context: PublishContext) async {
        let (items, removed, isFileDue) = state.withLock { state in
            defer { (state.isDue, state.areObjectsDue) = (false, false) }
            Self.dropOld(&state, .now)
            return (Array(state.items.values), Set(state.removed.keys), state.isDue)
        }
        if items.isEmpty, removed.isEmpty { return }
        do throws(StoreError) {
            var overtaken = items.filter { isReplaced($0, context) }
            if isFileDue {
                let found = try await writer.compare(items.map(\.row), removed: removed)
                try await removeAgain(found.cameBack, writer, context.bodyCheck)
                overtaken += try await restore(found.missing, of: items, writer, context.bodyCheck)
            }
            if !overtaken.isEmpty { try await repair(overtaken, writer, context) }
        } catch {
            let now = Timestamp.monotonic
            state.withLock { state in
                state.isDue = true
                state.restsUntil = now.later(by: Self.pause)
            }
        }
    }

    /// Writes rows again that are lost.
    /// - Returns: those that were replaced, or whose body is gone.
    private func restore(
        _ missing: [OverallRow], of items: [Item], _ writer: RowWriter, _ check: BodyCheck
    ) async throws(StoreError) -> [Item] {
        let (lost, others) = try await standing(missing, check)
        if !lost.isEmpty {
            PublishContext.log.info("lost rows are written again", ["rows": "\(lost.count)"])
            try await writer.apply(lost.map { .set($0) })
            FaultPoint.reached("publish.rows.again")
            // One that somebody was just removing has to go again.
            let gone = try await standing(lost, check).others
            if !gone.isEmpty {
                try await writer.apply(gone.map { .remove(fileName: $0.fileName, checksum: $0.checksum) })
                for row in gone { drop(row) }
            }
        }
        return items.filter { others.contains($0.row) }
    }

    /// Removes rows again which somebody has written who had looked at the bucket before their sessions were removed.
    private func removeAgain(
        _ rows: [OverallRow], _ writer: RowWriter, _ check: BodyCheck
    ) async throws(StoreError) {
        let objects = rows.map { ObjectInfo(key: SessionName.bodyPrefix + $0.fileName, size: $0.fileSize ?? 0) }
        var (gone, others): ([OverallRow], [OverallRow]) = ([], [])
        for (row, found) in zip(rows, await check.look(at: objects)) {
            if try found.get() == .gone { gone.append(row) } else { others.append(row) }
        }
        waitOrDrop(others)
        if gone.isEmpty { return }
        PublishContext.log.info("rows of removed sessions are removed again", ["rows": "\(gone.count)"])
        try await writer.apply(gone.map { .remove(fileName: $0.fileName, checksum: $0.checksum) })
    }

    /// The body of a removed session goes after its row. Where it still stands long after, the session was made anew.
    private func waitOrDrop(_ rows: [OverallRow]) {
        let (now, monotonic) = (Timestamp.now, Timestamp.monotonic)
        state.withLock { state in
            for name in rows.map({ Array($0.fileName.utf8) }) {
                guard let removed = state.removed[name] else { continue }
                if abs(now.seconds(since: removed.time)) > Self.longestRemoval {
                    state.removed[name] = nil
                } else {
                    state.isDue = true
                    state.restsUntil = monotonic.later(by: Self.pause)
                }
            }
        }
    }

    /// Tells rows whose bodies the bucket still holds from others.
    private func standing(
        _ rows: [OverallRow], _ check: BodyCheck
    ) async throws(StoreError) -> (standing: [OverallRow], others: [OverallRow]) {
        let known = state.withLock { state in rows.map { state.items[Array($0.fileName.utf8)]?.etag } }
        let objects = zip(rows, known).map { row, etag in
            ObjectInfo(key: SessionName.bodyPrefix + row.fileName, size: row.fileSize ?? 0, etag: etag)
        }
        var (standing, others): ([OverallRow], [OverallRow]) = ([], [])
        for (row, found) in zip(rows, await check.look(at: objects)) {
            if try found.get() == .stands { standing.append(row) } else { others.append(row) }
        }
        return (standing, others)
    }

    func drop(_ row: OverallRow) {
        state.withLock { state in
            let name = Array(row.fileName.utf8)
            if state.items[name]?.row == row { state.items[name] = nil }
        }
    }

    private static func dropOld(_ state: inout State, _ now: Timestamp) {
        state.cleared = now
        // The clock may have been set back: what comes from the future is as old.
        state.items = state.items.filter { abs(now.seconds(since: $0.value.written)) < validity }
        state.removed = state.removed.filter { abs(now.seconds(since: $0.value.time)) < validity }
        if state.items.count > most {
            let kept = state.items.sorted { $0.value.written > $1.value.written }.prefix(most)
            state.items = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
        }
        if state.removed.count > most {
            let kept = state.removed.sorted { $0.value.time > $1.value.time }.prefix(most)
            state.removed = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
        }
    }
}

extension RowChange {
    /// The row that is to be there.
    var row: OverallRow? {
        switch self {
        case .set(let row), .move(_, _, let row): row
        case .remove: nil
        }
    }

    /// The name of the row that is to go.
    var removedName: String? {
        switch self {
        case .set: nil
        case .remove(let fileName, _), .move(let fileName, _, _): fileName
        }
    }
}
