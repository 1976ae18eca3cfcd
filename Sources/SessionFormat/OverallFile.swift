internal import Digests
internal import JSON

/// Writes `overall_meta.json` as FastShot does.
public enum OverallFile {
    /// The whole file.
    /// - Parameter lastUpdated: ISO 8601.
    public static func encode(_ rows: [OverallRow], lastUpdated: String) -> [UInt8] {
        let writer = OverallWriter(totalSessions: rows.count, lastUpdated: lastUpdated)
        for row in rows { writer.append(row) }
        writer.finish()
        return writer.take()
    }
}

/// Writes `overall_meta.json` row by row, so that memory does not grow with their number.
///
/// `take()` hands over what is written so far and may be called at any time.
public final class OverallWriter {
    private var bytes: [UInt8] = []
    private var canonical: [UInt8] = []
    private var rows = 0
    private let digest = SHA256()

    /// Begins a file.
    /// - Parameters:
    ///   - totalSessions: how many rows will come, for it stands before them.
    ///   - lastUpdated: ISO 8601.
    public init(totalSessions: Int, lastUpdated: String) {
        let head: JSONValue = [
            "version": "1.0", "last_updated": .string(lastUpdated), "total_sessions": JSONValue(totalSessions),
        ]
        bytes = head.serialized(.pretty)
        // Go on inside the object: its closing brace and the line break before it come at the end.
        bytes.removeLast(2)
        bytes.append(contentsOf: ",\n  \"sessions\": [".utf8)
        digest.update(Array("[".utf8))
    }

    /// Writes one row.
    public func append(_ row: OverallRow) {
        let json = row.json
        bytes.append(contentsOf: (rows == 0 ? "\n    " : ",\n    ").utf8)
        json.serialize(.pretty, indent: 2, into: &bytes)
        canonical.removeAll(keepingCapacity: true)
        if rows > 0 { canonical.append(contentsOf: ", ".utf8) }
        json.serialize(.pythonCanonical, into: &canonical)
        digest.update(canonical)
        rows += 1
    }

    /// Writes the checksum and the end.
    public func finish() {
        digest.update(Array("]".utf8))
        bytes.append(contentsOf: (rows == 0 ? "],\n  " : "\n  ],\n  ").utf8)
        bytes.append(contentsOf: "\"checksum\": \"\(Hex.encode(digest.finalize()))\"\n}".utf8)
    }

    /// How many bytes ``take()`` would hand over.
    public var pendingBytes: Int { bytes.count }

    /// What has been written since the last call.
    public func take() -> [UInt8] {
        let taken = bytes
        bytes.removeAll(keepingCapacity: true)
        return taken
    }
}
