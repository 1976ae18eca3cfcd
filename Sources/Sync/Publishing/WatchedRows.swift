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
        var items: [String: Item] = [:]
        /// Whether the overall file has changed since the last look.
        var isDue = false
        var restsUntil = Timestamp.monotonic
    }

    /// Seconds for which a row is watched.
    static let validity = 1800.0
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
                held.items[row.fileName] = Item(
                    row: row, etag: entry["etag"]?.string, written: Timestamp(nanoseconds: time))
            }
            // Somebody may have overwritten it while nobody looked.
            held.isDue = !held.items.isEmpty
        }
        state = Guarded(held)
    }

    /// Rows were written.
    /// - Parameter tags: of the objects that the rows tell of, by file name.
    func record(_ changes: [RowChange], tags: [String: String] = [:], now: Timestamp) {
        let items = state.withLock { state in
            for row in changes.compactMap(\.row) {
                state.items[row.fileName] = Item(row: row, etag: tags[row.fileName], written: now)
            }
            Self.dropOld(&state, now)
            return Array(state.items.values)
        }
        save(items)
    }

    /// Rows are to go.
    func forget(_ changes: [RowChange]) {
        state.withLock { state in
            for fileName in changes.compactMap(\.removedName) { state.items[fileName] = nil }
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
    func look(_ writer: RowWriter, _ store: any ObjectStore) async {
        let rows = state.withLock { state in
            state.isDue = false
            Self.dropOld(&state, .now)
            return state.items.values.map(\.row)
        }
        if rows.isEmpty { return }
        do throws(StoreError) {
            let missing = try await writer.missing(of: rows)
            if missing.isEmpty { return }
            var found: [RowChange] = []
            for row in missing {
                if try await stands(row, store) { found.append(.set(row)) } else { drop(row) }
            }
            if found.isEmpty { return }
            PublishContext.log.info("lost rows are written again", ["rows": "\(found.count)"])
            try await writer.apply(found)
            FaultPoint.reached("publish.rows.again")
        } catch {
            let now = Timestamp.monotonic
            state.withLock { state in
                state.isDue = true
                state.restsUntil = now.later(by: Self.pause)
            }
        }
    }

    /// Whether the bucket still holds the body that the row tells of.
    private func stands(_ row: OverallRow, _ store: any ObjectStore) async throws(StoreError) -> Bool {
        guard let name = SessionName(fileName: row.fileName) else { return false }
        do throws(StoreError) {
            let info = try await store.head(name.bodyKey)
            let known = state.withLock { $0.items[row.fileName]?.etag }
            if let known, let tag = info.etag, tag != known { return false }
            return info.size == row.fileSize
        } catch  where error.kind == .notFound { return false }
    }

    private func drop(_ row: OverallRow) {
        state.withLock { state in
            if state.items[row.fileName]?.row == row { state.items[row.fileName] = nil }
        }
    }

    private static func dropOld(_ state: inout State, _ now: Timestamp) {
        state.items = state.items.filter { now.seconds(since: $0.value.written) < validity }
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
