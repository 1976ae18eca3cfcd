internal import Digests
public import Platform

extension Catalog {
    /// A session by its id; nil when there is none.
    public func entry(id: Int64) throws(CatalogError) -> SessionEntry? {
        try read { connection throws(CatalogError) in
            try connection.use(.entryByID) { statement throws(CatalogError) in
                statement.bind(0, id)
                return try statement.entry()
            }
        }
    }

    /// A session by its file name, compared byte for byte; nil when there is none.
    public func entry(fileName: String) throws(CatalogError) -> SessionEntry? {
        try read { connection throws(CatalogError) in
            try connection.use(.entryByName) { statement throws(CatalogError) in
                statement.bind(0, fileName)
                return try statement.entry()
            }
        }
    }

    /// Gives the sessions behind an id in the order of their ids, the order in which they were learnt. What is
    /// committed meanwhile is not seen by this call.
    /// - Parameters:
    ///   - id: 0 begins at the start.
    ///   - body: returns false to stop. It must not call the catalog, whose connection it occupies, nor wait.
    public func scan(after id: Int64, _ body: (borrowing CatalogRow) -> Bool) throws(CatalogError) {
        try read { connection throws(CatalogError) in
            try connection.use(.scan) { statement throws(CatalogError) in
                statement.bind(0, id)
                while try statement.step() {
                    guard let name = statement.raw(1) else { continue }
                    let row = CatalogRow(
                        id: statement.integer(0), size: UInt64(bitPattern: statement.integer(2)),
                        modifiedNanoseconds: statement.integer(3),
                        indexSize: UInt64(bitPattern: statement.integer(4)), name: name)
                    if !body(row) { return }
                }
            }
        }
    }

    /// Sessions with a readable index that the overall file did not name when it was last read, among those that were
    /// learnt last.
    /// - Parameters:
    ///   - since: only objects that were written to the bucket later.
    ///   - latest: how many sessions are looked through.
    public func unnamed(since: Timestamp, latest: Int) throws(CatalogError) -> [UnnamedSession] {
        try read { connection throws(CatalogError) in
            try connection.use(.unnamed) { statement throws(CatalogError) in
                statement.bind(0, since.nanoseconds)
                statement.bind(1, Int64(latest))
                var found: [UnnamedSession] = []
                while try statement.step() {
                    found.append(
                        UnnamedSession(
                            id: statement.integer(0), fileName: statement.text(1) ?? "", etag: statement.text(2)))
                }
                return found
            }
        }
    }

    /// Totals, kept up to date with every change: the call does not count.
    public var counts: CatalogCounts {
        get throws(CatalogError) {
            try read { connection throws(CatalogError) in
                try connection.use(.tally) { statement throws(CatalogError) in
                    var counts = CatalogCounts()
                    while try statement.step() {
                        let sessions = Int(statement.integer(1))
                        counts.sessions += sessions
                        counts.bytes += UInt64(bitPattern: statement.integer(2))
                        switch IndexState(rawValue: Int(statement.integer(0))) {
                        case .known: counts.indexed = sessions
                        case .missing: counts.missingIndexes = sessions
                        case .corrupt: counts.corruptIndexes = sessions
                        case .unknown, nil: counts.unknownIndexes = sessions
                        }
                    }
                    return counts
                }
            }
        }
    }

    // MARK: Settings

    /// A value that belongs to the catalog as a whole, by its key; nil when it is not set.
    public func value(_ key: String) throws(CatalogError) -> String? {
        try read { connection throws(CatalogError) in
            try connection.use(.value) { statement throws(CatalogError) in
                statement.bind(0, key)
                return try statement.step() ? statement.text(0) : nil
            }
        }
    }

    /// Sets a value; nil removes it.
    public func setValue(_ key: String, _ value: String?) throws(CatalogError) {
        try write { connection throws(CatalogError) in
            try connection.use(value == nil ? .removeValue : .setValue) { statement throws(CatalogError) in
                statement.bind(0, key)
                if value != nil { statement.bind(1, value) }
                _ = try statement.step()
            }
        }
    }
}

extension Statement {
    /// The entry that ``Query/entryByID`` or ``Query/entryByName`` finds.
    fileprivate func entry() throws(CatalogError) -> SessionEntry? {
        guard try step() else { return nil }
        return SessionEntry(
            id: integer(0), fileName: text(1) ?? "", size: UInt64(bitPattern: integer(2)),
            modified: Timestamp(nanoseconds: integer(3)), indexSize: UInt64(bitPattern: integer(4)), etag: text(6),
            contentMD5: blob(7).map(Hex.encode), sha256: blob(8).map(Hex.encode),
            uploaded: optionalInteger(9).map(Timestamp.init(nanoseconds:)),
            indexState: IndexState(rawValue: Int(integer(5))) ?? .unknown)
    }
}
