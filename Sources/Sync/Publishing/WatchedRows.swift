internal import JSON
internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Rows that were written lately, and what becomes of them: a FastShot client that saves at the same time overwrites
/// the overall file with its own view of the bucket, without looking.
final class WatchedRows: Sendable {
    private struct Item: Sendable {
        var row: OverallRow
        /// Of the object that it tells of.
        var etag: String?
        var written: Timestamp
    }
    private struct State {
        /// By the names' bytes: texts that only look alike are different names.
        var items: [[UInt8]: Item] = [:]
        /// Whether the overall file has changed since the last look.
        var isDue = false
        var restsUntil = Timestamp.monotonic
    }

    /// Seconds for which a row is watched.
    static let validity = 1800.0
    /// Rows that are watched at most, those that were written last.
    static let most = 10_000
    /// Seconds to the next look after one that failed.
    private static let pause = 5.0

    private let path: String
    private let state: Guarded<State>

    /// - Parameter path: a small file that the rows are kept in, so that a restart goes on.
    init(path: String) {
        self.path = path
        var held = State()
        if let bytes = try? Files.read(path), let document = try? JSONValue.parse(bytes) {
            for entry in document["rows"]?.array ?? [] {
                guard let time = entry["written"]?.integer, let row = entry["row"].flatMap({ OverallRow(json: $0) })
                else { continue }
                held.items[Array(row.fileName.utf8)] = Item(
                    row: row, etag: entry["etag"]?.string, written: Timestamp(nanoseconds: time))
            }
            // Somebody may have overwritten it while nobody looked.
            held.isDue = !held.items.isEmpty
        }
        state = Guarded(held)
    }

    /// Rows were written.
    /// - Parameter tags: of the objects that the rows tell of, by file name.
    func record(_ changes: [RowChange], tags: [[UInt8]: String] = [:], now: Timestamp) {
        let items = state.withLock { state in
            for row in changes.compactMap(\.row) {
                let name = Array(row.fileName.utf8)
                state.items[name] = Item(row: row, etag: tags[name], written: now)
            }
            Self.dropOld(&state, now)
            return Array(state.items.values)
        }
        save(items)
    }

    /// Whether the row of a version was written here lately.
    func has(_ fileName: String, etag: String?) -> Bool {
        guard let etag else { return false }
        return state.withLock { $0.items[Array(fileName.utf8)]?.etag == etag }
    }

    /// Rows are to go.
    func forget(_ changes: [RowChange]) {
        state.withLock { state in
            for fileName in changes.compactMap(\.removedName) { state.items[Array(fileName.utf8)] = nil }
        }
    }

    /// The overall file is another than before.
    func fileChanged() {
        state.withLock { state in
            state.isDue = !state.items.isEmpty
            state.restsUntil = .monotonic
        }
    }

    /// Seconds until a look is due; nil: none is.
    func wait(_ now: Timestamp) -> Double? {
        state.withLock { state in state.isDue ? max(0, state.restsUntil.seconds(since: now)) : nil }
    }

    /// Looks for lost rows and writes them again. Called by who may change the overall file.
    func look(_ writer: RowWriter, _ check: BodyCheck) async {
        let rows = state.withLock { state in
            state.isDue = false
            Self.dropOld(&state, .now)
            return state.items.values.map(\.row)
        }
        if rows.isEmpty { return }
        do throws(StoreError) {
            let missing = try await standing(try await writer.missing(of: rows), check)
            if missing.isEmpty { return }
            PublishContext.log.info("lost rows are written again", ["rows": "\(missing.count)"])
            try await writer.apply(missing.map { .set($0) })
            FaultPoint.reached("publish.rows.again")
            // One that somebody was just removing has to go again.
            let left = try await standing(missing, check).map(\.fileName)
            let gone = missing.filter { row in !left.contains { $0.utf8.elementsEqual(row.fileName.utf8) } }
            try await writer.apply(gone.map { .remove(fileName: $0.fileName, checksum: $0.checksum) })
        } catch {
            let now = Timestamp.monotonic
            state.withLock { state in
                state.isDue = true
                state.restsUntil = now.later(by: Self.pause)
            }
        }
    }

    /// Of rows, those whose bodies the bucket still holds. The others are watched no more.
    private func standing(_ rows: [OverallRow], _ check: BodyCheck) async throws(StoreError) -> [OverallRow] {
        let known = state.withLock { state in rows.map { state.items[Array($0.fileName.utf8)]?.etag } }
        let objects = zip(rows, known).map { row, etag in
            ObjectInfo(key: SessionName.bodyPrefix + row.fileName, size: row.fileSize ?? 0, etag: etag)
        }
        var standing: [OverallRow] = []
        for (row, found) in zip(rows, await check.look(at: objects)) {
            if try found.get() == .stands { standing.append(row) } else { drop(row) }
        }
        return standing
    }

    private func drop(_ row: OverallRow) {
        state.withLock { state in
            let name = Array(row.fileName.utf8)
            if state.items[name]?.row == row { state.items[name] = nil }
        }
    }

    private static func dropOld(_ state: inout State, _ now: Timestamp) {
        state.items = state.items.filter { now.seconds(since: $0.value.written) < validity }
        // Not with every row that comes: sorting takes its time.
        guard state.items.count > most + most / 4 else { return }
        let kept = state.items.sorted { $0.value.written > $1.value.written }.prefix(most)
        state.items = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }

    private func save(_ items: [Item]) {
        let rows = items.map { item -> JSONValue in
            .object([
                ("written", .integer(item.written.nanoseconds)), ("etag", JSONValue(item.etag)), ("row", item.row.json),
            ])
        }
        let bytes = JSONValue.object([("rows", .array(rows))]).serialized()
        do throws(SystemError) { try Files.replace(path, with: bytes, durably: false) } catch {
            PublishContext.log.warning("watched rows are not kept", ["cause": error.description])
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
