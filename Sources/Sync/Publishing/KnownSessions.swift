internal import Catalog
internal import ObjectStore
internal import SessionFormat

extension OverallRow {
    /// The row of an object.
    /// - Parameter etagIsContentMD5: whether the store's tags of small objects are MD5 sums.
    init(
        _ fileName: String, _ object: ObjectInfo, sha256: String?, metadata: SessionMetadata?, etagIsContentMD5: Bool
    ) {
        var checksum = sha256.map { ObjectChecksum.sha256($0) }
        if etagIsContentMD5, let tag = object.etag, tag == object.contentMD5 { checksum = .etag(tag) }
        self.init(
            fileName: fileName, createdAt: (object.modified ?? .now).rowText, fileSize: object.size,
            checksum: checksum, metadata: metadata)
    }
}

/// The rows of all sessions that the catalog knows to be in the bucket, for an overall file that is missing.
struct KnownSessions: Sendable {
    let catalog: Catalog
    let etagIsContentMD5: Bool

    /// How many ids are taken at a time, for a scan occupies the catalog.
    private static let page = 1000

    func each(_ body: (OverallRow) throws -> Void) throws {
        var last: Int64 = 0
        while true {
            var ids: [Int64] = []
            try catalog.scan(after: last) { row in
                ids.append(row.id)
                return ids.count < Self.page
            }
            guard let next = ids.last else { return }
            for id in ids {
                if let row = try row(id) { try body(row) }
            }
            last = next
        }
    }

    /// The row of one session; nil when the catalog does not know it any more.
    func row(_ id: Int64) throws(CatalogError) -> OverallRow? {
        guard let entry = try catalog.entry(id: id) else { return nil }
        let object = ObjectInfo(
            key: SessionName.bodyPrefix + entry.fileName, size: entry.size, etag: entry.etag,
            modified: entry.uploaded, contentMD5: entry.contentMD5)
        return OverallRow(
            entry.fileName, object, sha256: entry.sha256, metadata: try catalog.metadata(id: id),
            etagIsContentMD5: etagIsContentMD5)
    }
}
