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
