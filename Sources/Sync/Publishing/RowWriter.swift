internal import ObjectStore
internal import SessionFormat

/// One wanted change of the overall file.
enum RowChange: Sendable {
    /// The session has this row.
    case set(OverallRow)
    /// The session has no row. With a checksum, only a row that has this one goes: another is somebody else's.
    case remove(fileName: String, checksum: ObjectChecksum?)
}

/// Writes rows into the bucket's overall file: read, merge, write under `If-Match`, again when somebody was faster; where
/// the server honours no conditions, written and verified. Foreign members and rows stay as they are.
final class RowWriter: Sendable {
    /// - Parameters:
    ///   - support: what the server honours.
    ///   - lastUpdated: the time to write into the file, ISO 8601 as FastShot has it.
    init(
        store: any ObjectStore, scratch: String, support: @escaping @Sendable () -> ConditionSupport,
        lastUpdated: @escaping @Sendable () -> String
    ) { fatalError("skeleton") }

    /// How often the file was written.
    var writes: UInt64 { fatalError("skeleton") }

    /// Makes changes, all in one version of the file. Changes that the file already shows cost no write.
    /// - Throws: why it could not; nothing is lost by trying again.
    func apply(_ changes: [RowChange]) async throws(StoreError) { fatalError("skeleton") }

    /// Of rows that were written before, those that the file does not show any more: somebody has overwritten it.
    func missing(of rows: [OverallRow]) async throws(StoreError) -> [OverallRow] { fatalError("skeleton") }
}
