internal import Digests
internal import JSON

/// What the overall file says of itself, and what was found.
public struct OverallSummary: Sendable, Equatable {
    /// The format's version, "1.0".
    public var version: String?
    /// When it was written, ISO 8601.
    public var lastUpdated: String?
    /// How many sessions it says it has.
    public var totalSessions: Int?
    /// How many rows were delivered.
    public var rowCount = 0
    /// How many elements were no rows: no object, or without a file name.
    public var badRows = 0
    /// Whether the checksum over the rows agrees.
    public var checksum = ChecksumState.absent

    /// A file that says nothing.
    public init() {}
}

/// Reads `overall_meta.json` as it arrives, in memory that does not grow with the number of rows.
///
/// Feed it with ``consume(_:row:)`` and end with ``finish()``. After an error it stays in error.
public final class OverallReader {
    /// The largest row or other member, in bytes.
    public static let elementLimit = 4 << 20

    private var summary = OverallSummary()
    private var storedChecksum: String?
    private var scanner = ElementScanner(limit: OverallReader.elementLimit)
    private let digest = SHA256()
    private var canonical: [UInt8] = []
    private var failure: FormatError?

    /// A reader at the beginning of a file.
    public init() {}

    /// The memory held for the element that is being received, in bytes.
    var heldBytes: Int { scanner.heldBytes + canonical.capacity }

    /// Takes the next bytes and delivers the rows that end in them, in their order.
    /// - Throws: ``FormatError`` when it is no overall file; what `row` throws is thrown on.
    public func consume(_ bytes: RawSpan, row: (OverallRow) throws -> Void) throws {
        if let failure { throw failure }
        do {
            scanner.append(bytes)
            while let element = try scanner.next() {
                switch element {
                case .member(let key, let value): member(key, value)
                case .row(let value): try found(value, row)
                }
            }
        } catch let error as FormatError {
            failure = error
            throw error
        }
    }

    /// Ends the file.
    /// - Throws: ``FormatError``: `.truncated` when it is not complete.
    public func finish() throws(FormatError) -> OverallSummary {
        if let failure { throw failure }
        try scanner.finish()
        if let storedChecksum {
            digest.update(Array((summary.rowCount + summary.badRows == 0 ? "[]" : "]").utf8))
            summary.checksum = Hex.encode(digest.finalize()) == storedChecksum ? .valid : .mismatch
        }
        return summary
    }

    private func member(_ key: String, _ value: JSONValue) {
        switch key {
        case "version": summary.version = value.string
        case "last_updated": summary.lastUpdated = value.string
        case "total_sessions": summary.totalSessions = value.integer.flatMap { Int(exactly: $0) }
        case "checksum": storedChecksum = value.string.flatMap { $0.isEmpty ? nil : $0 }
        default: break
        }
    }

    private func found(_ value: JSONValue, _ deliver: (OverallRow) throws -> Void) throws {
        canonical.removeAll(keepingCapacity: true)
        canonical.append(contentsOf: (summary.rowCount + summary.badRows == 0 ? "[" : ", ").utf8)
        value.serialize(.pythonCanonical, into: &canonical)
        digest.update(canonical)
        guard let row = OverallRow(json: value) else {
            summary.badRows += 1
            return
        }
        summary.rowCount += 1
        try deliver(row)
    }
}
