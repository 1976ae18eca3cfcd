package import Platform

/// Sessions that are shown and that the catalog does not know, or not as they are shown.
extension SessionEntry {
    /// An entry of which the bucket's facts are not known.
    package init(pending id: Int64, fileName: String, size: UInt64, modified: Timestamp) {
        self.init(
            id: id, fileName: fileName, size: size, modified: modified, indexSize: 0, etag: nil, contentMD5: nil,
            sha256: nil, uploaded: nil, indexState: .unknown)
    }
}

extension CatalogRow {
    /// Runs `body` with a row of a listing.
    package static func with<Result>(
        _ entry: SessionEntry, indexSize: UInt64? = nil, _ body: (borrowing CatalogRow) -> Result
    ) -> Result {
        var name = entry.fileName
        return name.withUTF8 { bytes in
            body(
                CatalogRow(
                    id: entry.id, size: entry.size, modifiedNanoseconds: entry.modified.nanoseconds,
                    indexSize: indexSize ?? entry.indexSize, name: UnsafeRawBufferPointer(bytes)))
        }
    }
}
