internal import Platform

/// Everything that the catalog keeps of one session: a row of `session` and its row of `detail`.
struct Record {
    var id: Int64 = 0
    var fileName: String
    var size: UInt64 = 0
    var indexSize: UInt64 = 0
    var state = IndexState.unknown
    var etag: String?
    var md5: [UInt8]?
    var sha256: [UInt8]?
    var uploaded: Timestamp?
    /// Whether size, etag and upload time are the store's own word (listing, HEAD, GET) and not the overall file's.
    var listed = false
    /// The mark of the overall row's facts when they were last taken; nil when the overall file does not name it.
    var rowFacts: Int64?
    /// The mark of the overall row's metadata when it was last taken; nil when it had none.
    var rowMetadata: Int64?
    var indexEtag: String?

    init(fileName: String) { self.fileName = fileName }

    /// The modification time to show.
    var modified: Timestamp { uploaded ?? Timestamp(nanoseconds: 0) }

    /// Takes what the store says of the object now.
    /// - Returns: whether anything is another now.
    mutating func take(_ facts: ObjectFacts) -> Bool {
        var next = self
        let sameVersion = facts.etag != nil && facts.etag == etag
        next.size = facts.size
        next.etag = facts.etag ?? (facts.size == size ? etag : nil)
        if let known = Hex.decode(facts.contentMD5, count: 16) {
            next.md5 = known
        } else if !sameVersion, listed || facts.size != size {
            next.md5 = nil
        }
        if !sameVersion, facts.size != size || (listed && facts.etag != nil) { next.sha256 = nil }
        next.uploaded = facts.uploaded ?? uploaded
        next.listed = true
        let changed =
            next.size != size || next.etag != etag || next.md5 != md5 || next.sha256 != sha256
            || next.uploaded != uploaded || !listed
        self = next
        return changed
    }
}

extension Connection {
    func record(id: Int64) throws(CatalogError) -> Record? {
        try use(.recordByID) { statement throws(CatalogError) in
            statement.bind(0, id)
            return try statement.record()
        }
    }

    func record(fileName: String) throws(CatalogError) -> Record? {
        try use(.recordByName) { statement throws(CatalogError) in
            statement.bind(0, fileName)
            return try statement.record()
        }
    }

    /// Adds a record.
    /// - Returns: its new id.
    func insert(_ record: Record) throws(CatalogError) -> Int64 {
        try use(.insertSession) { statement throws(CatalogError) in
            statement.bind(0, record.fileName)
            statement.bindBrowse(record, from: 1)
            _ = try statement.step()
        }
        let id = lastInsertID
        try use(.insertDetail) { statement throws(CatalogError) in
            statement.bind(0, id)
            statement.bindDetail(record)
            _ = try statement.step()
        }
        return id
    }

    /// Writes a record over its older self.
    func update(_ record: Record) throws(CatalogError) {
        try use(.updateSession) { statement throws(CatalogError) in
            statement.bind(0, record.id)
            statement.bindBrowse(record, from: 1)
            _ = try statement.step()
        }
        try use(.updateDetail) { statement throws(CatalogError) in
            statement.bind(0, record.id)
            statement.bindDetail(record)
            _ = try statement.step()
        }
    }

    func deleteSession(_ id: Int64) throws(CatalogError) {
        try use(.deleteSession) { statement throws(CatalogError) in
            statement.bind(0, id)
            _ = try statement.step()
        }
    }
}

extension Statement {
    fileprivate func record() throws(CatalogError) -> Record? {
        guard try step() else { return nil }
        var record = Record(fileName: text(1) ?? "")
        record.id = integer(0)
        record.size = UInt64(bitPattern: integer(2))
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
        return record
    }

    fileprivate func bindBrowse(_ record: Record, from first: Int32) {
        bind(first, Int64(bitPattern: record.size))
        bind(first + 1, record.modified.nanoseconds)
        bind(first + 2, Int64(bitPattern: record.indexSize))
        bind(first + 3, Int64(record.state.rawValue))
    }

    fileprivate func bindDetail(_ record: Record) {
        bind(1, record.etag)
        bind(2, record.md5)
        bind(3, record.sha256)
        bind(4, record.uploaded?.nanoseconds)
        bind(5, record.listed ? 1 : 0)
        bind(6, record.rowFacts)
        bind(7, record.rowMetadata)
        bind(8, record.indexEtag)
        bind(9, 0)
        for column: Int32 in 10...19 { bind(column, nil as Int64?) }
        bind(20, [])
    }
}
