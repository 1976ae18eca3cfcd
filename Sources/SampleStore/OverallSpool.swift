internal import ObjectStore
internal import Platform
internal import SessionFormat

/// An overall file in the making, held in a file without a name so that it may be large.
final class OverallSpool {
    private let file: FileDescriptor
    private let writer: OverallWriter
    private var length: UInt64 = 0
    private static let piece = 256 << 10

    /// - Parameter rows: how many will come.
    init(rows: Int) throws(StoreError) {
        let directory = Environment.value("TMPDIR") ?? "/tmp"
        let path = Files.temporaryPath(beside: directory + "/" + SessionName.overallKey)
        do throws(SystemError) {
            file = try FileDescriptor.open(path, [.readWrite, .create, .exclusive])
            try Files.remove(path)
        } catch {
            throw StoreError(error, key: SessionName.overallKey)
        }
        writer = OverallWriter(totalSessions: rows, lastUpdated: "2025-11-01T00:00:00.000001")
    }

    func append(_ row: OverallRow) throws(StoreError) {
        writer.append(row)
        if writer.pendingBytes >= Self.piece { try spill() }
    }

    private func spill() throws(StoreError) {
        let bytes = writer.take()
        do throws(SystemError) {
            try file.write(bytes, at: length)
        } catch {
            throw StoreError(error, key: SessionName.overallKey)
        }
        length += UInt64(bytes.count)
    }

    /// Ends the file and stores it.
    /// - Returns: its length in bytes.
    func store(in store: any ObjectStore) async throws(StoreError) -> UInt64 {
        writer.finish()
        try spill()
        _ = try await store.put(SessionName.overallKey, .file(file, length: length), .always)
        return length
    }
}
