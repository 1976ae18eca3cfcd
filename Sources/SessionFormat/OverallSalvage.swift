internal import JSON

/// Makes a whole overall file of what can be read of a damaged one, and of rows that are known from elsewhere.
///
/// Rows in front of the damage are taken as they are; behind it, every object that reads as a row is one.
public struct OverallSalvage {
    /// What came of it.
    public struct Outcome: Sendable, Equatable {
        /// Elements that the damaged file still gave.
        public var kept = 0
        /// Rows that it did not have and that were added.
        public var added = 0
        /// What was wrong; nil when there was nothing to read or nothing wrong.
        public var damage: FormatError?
    }

    private var writer = OverallTextWriter()
    private var outcome = Outcome()
    /// Digests of the names met. A full set of names would grow with the file; these take 8 bytes each.
    private var names: Set<Int> = []
    private var behind: [(String, JSONValue)] = []
    private var hasList = false

    /// Writes the file. Its numbers and checksum are for ``OverallMerger`` to set right.
    /// - Parameters:
    ///   - source: the damaged file; nil when there is none.
    ///   - known: hands over rows that the file should have, those that it has included.
    /// - Throws: what the closures throw.
    public static func write(
        _ source: OverallMerger.Source?, known: ((OverallRow) throws -> Void) throws -> Void,
        into sink: @escaping OverallMerger.Sink
    ) throws -> Outcome {
        var salvage = OverallSalvage()
        if let source {
            if let place = try salvage.front(source, sink) { try salvage.rubble(source, from: place, sink) }
        } else {
            salvage.writer.member("version", "1.0")
            salvage.writer.member("last_updated", nil)
            salvage.writer.member("total_sessions", 0)
        }
        try known { row in
            guard salvage.isNew(row) else { return }
            salvage.outcome.added += 1
            try salvage.add(row.json, sink)
        }
        salvage.openList()
        salvage.writer.endList()
        for (key, value) in salvage.behind { salvage.writer.member(key, value) }
        salvage.writer.end()
        try sink(salvage.writer.take())
        return salvage.outcome
    }

    /// Reads up to the damage.
    /// - Returns: where it is; nil when there is none.
    private mutating func front(_ source: OverallMerger.Source, _ sink: OverallMerger.Sink) throws -> UInt64? {
        var elements = OverallElements()
        while true {
            do {
                guard let element = try elements.next(source) else {
                    if elements.hasRows { return nil }
                    // The list may have another name, or stand deeper.
                    outcome.damage = FormatError(.unexpectedShape, "overall file: has no list of sessions")
                    return 0
                }
                switch element {
                case .member("sessions", _): break
                case .member(let key, let value):
                    if elements.hasRows { behind.append((key, value)) } else { writer.member(key, value) }
                case .row(let value):
                    if let row = OverallRow(json: value) { _ = isNew(row) }
                    outcome.kept += 1
                    try add(value, sink)
                }
            } catch let error as FormatError {
                outcome.damage = error
                return error.offset ?? elements.position
            }
        }
    }

    /// Looks for rows behind the damage.
    private mutating func rubble(
        _ source: OverallMerger.Source, from start: UInt64, _ sink: OverallMerger.Sink
    ) throws {
        var buffer: [UInt8] = []
        var at = 0
        var end = start
        var isOver = false
        while true {
            var needsMore = false
            while at < buffer.count, buffer[at] != UInt8(ascii: "{") { at += 1 }
            if at < buffer.count {
                let object: (value: JSONValue, length: Int)?
                do throws(JSONError) {
                    object = try JSONValue.parsePrefix(buffer.span.extracting(at...).bytes)
                } catch {
                    object = nil
                    needsMore =
                        error.kind == .unexpectedEnd && !isOver && buffer.count - at <= OverallReader.elementLimit
                }
                if let object {
                    at += try found(object.value, sink) ? object.length : 1
                    continue
                }
                if !needsMore {
                    at += 1
                    continue
                }
            } else if isOver {
                return
            }
            buffer.removeSubrange(..<at)
            at = 0
            let bytes = try source(end, OverallElements.pieceSize)
            end += UInt64(bytes.count)
            isOver = bytes.isEmpty
            buffer.append(contentsOf: bytes)
        }
    }

    /// Takes an object for a row if it is one. Other objects are looked into.
    private mutating func found(_ value: JSONValue, _ sink: OverallMerger.Sink) throws -> Bool {
        // Metadata may name its file too; only rows have a checksum beside it.
        guard let row = OverallRow(json: value), value["checksum"] != nil else { return false }
        if isNew(row) {
            outcome.kept += 1
            try add(value, sink)
        }
        return true
    }

    private mutating func isNew(_ row: OverallRow) -> Bool {
        var hasher = Hasher()
        for byte in row.fileName.utf8 { hasher.combine(byte) }
        return names.insert(hasher.finalize()).inserted
    }

    private mutating func openList() {
        if !hasList { writer.beginList() }
        hasList = true
    }

    private mutating func add(_ row: JSONValue, _ sink: OverallMerger.Sink) throws {
        openList()
        writer.row(row)
        if writer.bytes.count >= OverallElements.pieceSize { try sink(writer.take()) }
    }
}
