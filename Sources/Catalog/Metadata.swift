public import SessionFormat

extension Catalog {
    /// A session's metadata; nil when it is not known. A row that turns out to be damaged counts as not known, is
    /// reported by an event and learnt again.
    public func metadata(id: Int64) throws(CatalogError) -> SessionMetadata? {
        try soundRecord(id)?.metadata
    }

    /// The exact bytes of `meta_indexes/<stem>.meta.json`: those of the object, or for metadata that came with a row of
    /// the overall file what FastShot writes for it. As many as the entry's `indexSize`; nil when there is no index.
    public func indexBytes(id: Int64) throws(CatalogError) -> [UInt8]? {
        guard let record = try soundRecord(id), record.indexSize > 0 else { return nil }
        return record.indexBytes ?? record.generatedIndex
    }

    /// Why a session's index cannot be read; nil unless its state is `.corrupt`.
    public func indexProblem(id: Int64) throws(CatalogError) -> String? {
        try soundRecord(id)?.reason
    }

    private func soundRecord(_ id: Int64) throws(CatalogError) -> Record? {
        let found = try read { connection throws(CatalogError) in try connection.record(id: id) }
        guard let found else { return nil }
        if found.isSound { return found.record }
        try setBack([id])
        return nil
    }
}
