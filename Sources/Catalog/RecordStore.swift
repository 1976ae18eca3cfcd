internal import JSON
internal import Platform
internal import SessionFormat

/// A record as it was found.
struct StoredRecord: Sendable {
    let record: Record
    fileprivate let storedDigest: [UInt8]?

    /// Whether the digest agrees.
    var isSound: Bool { record.digest == storedDigest }
}

/// Reading and writing whole records.
extension Connection {
    func record(id: Int64) throws(CatalogError) -> StoredRecord? {
        try use(.recordByID) { statement throws(CatalogError) in
            statement.bind(0, id)
            return try statement.record()
        }
    }

    func record(fileName: String) throws(CatalogError) -> StoredRecord? {
        try use(.recordByName) { statement throws(CatalogError) in
            statement.bind(0, fileName)
            return try statement.record()
        }
    }

    /// Runs `body` with every record behind an id, in the order of ids, until it returns false.
    func records(after id: Int64, _ body: (StoredRecord) -> Bool) throws(CatalogError) {
        try use(.records) { statement throws(CatalogError) in
            statement.bind(0, id)
            while let found = try statement.record() {
                if !body(found) { return }
            }
        }
    }

    /// Adds a settled record and gives it its id.
    func insert(_ record: inout Record) throws(CatalogError) {
        try use(.insertSession) { statement throws(CatalogError) in
            statement.bind(0, record.fileName)
            statement.bindBrowse(record)
            _ = try statement.step()
        }
        record.id = lastInsertID
        try insertDetail(record)
    }

    func insertDetail(_ record: Record) throws(CatalogError) {
        try use(.insertDetail) { statement throws(CatalogError) in
            statement.bindDetail(record)
            _ = try statement.step()
        }
    }

    /// Writes a settled record over its older self.
    func update(_ record: Record) throws(CatalogError) {
        try use(.updateSession) { statement throws(CatalogError) in
            statement.bind(0, record.id)
            statement.bindBrowse(record)
            _ = try statement.step()
        }
        try use(.replaceDetail) { statement throws(CatalogError) in
            statement.bindDetail(record)
            _ = try statement.step()
        }
    }
}

extension Statement {
    /// The next row of a query with ``Query/recordColumns``.
    fileprivate func record() throws(CatalogError) -> StoredRecord? {
        guard try step() else { return nil }
        var record = Record(fileName: text(1) ?? "")
        record.id = integer(0)
        record.size = UInt64(bitPattern: integer(2))
        record.modified = Timestamp(nanoseconds: integer(3))
        record.indexSize = UInt64(bitPattern: integer(4))
        record.state = IndexState(rawValue: Int(integer(5))) ?? .unknown
        record.etag = text(6)
        record.md5 = blob(7)
        record.sha256 = blob(8)
        record.uploaded = optionalInteger(9).map(Timestamp.init(nanoseconds:))
        record.listed = integer(10) != 0
        record.rowFacts = optionalInteger(11)
        record.rowMetadata = optionalInteger(12)
        record.indexEtag = text(13)
        record.source = Record.Source(rawValue: integer(14)) ?? .none
        if let name = text(15) {
            record.metadata = SessionMetadata(
                name: name, desc: text(16) ?? "", tags: tags(17), color: text(18) ?? "", sessionClass: text(19) ?? "",
                imageCount: Int(integer(20)), createdAt: text(21),
                fileSize: optionalInteger(22).map(UInt64.init(bitPattern:)))
        }
        record.indexBytes = blob(23)
        record.reason = text(24)
        return StoredRecord(record: record, storedDigest: blob(25))
    }

    private func tags(_ column: Int32) -> [String] {
        guard let text = text(column), !text.isEmpty, let parsed = try? JSONValue.parse(Array(text.utf8)) else {
            return []
        }
        return (parsed.array ?? []).compactMap { $0.string }
    }

    func bindBrowse(_ record: Record) {
        bind(1, Int64(bitPattern: record.size))
        bind(2, record.modified.nanoseconds)
        bind(3, Int64(bitPattern: record.indexSize))
        bind(4, Int64(record.state.rawValue))
    }

    fileprivate func bindDetail(_ record: Record) {
        bind(0, record.id)
        bind(1, record.etag)
        bind(2, record.md5)
        bind(3, record.sha256)
        bind(4, record.uploaded?.nanoseconds)
        bind(5, record.listed ? 1 : 0)
        bind(6, record.rowFacts)
        bind(7, record.rowMetadata)
        bind(8, record.indexEtag)
        bind(9, record.source.rawValue)
        let metadata = record.metadata
        bind(10, metadata?.name)
        bind(11, metadata?.desc)
        bind(12, metadata.map { $0.tags.isEmpty ? "" : JSONValue($0.tags).text })
        bind(13, metadata?.color)
        bind(14, metadata?.sessionClass)
        bind(15, metadata.map { Int64($0.imageCount) })
        bind(16, metadata?.createdAt)
        bind(17, metadata?.fileSize.map(Int64.init(bitPattern:)))
        bind(18, record.indexBytes)
        bind(19, record.reason)
        bind(20, record.digest)
    }
}
