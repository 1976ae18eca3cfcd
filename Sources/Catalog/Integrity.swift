internal import Platform
internal import SessionFormat

/// What a validation found (K3).
public struct CatalogValidation: Sendable, Equatable {
    /// Rows whose digest was checked.
    public var checked = 0
    /// Sessions whose row was damaged. Their metadata was dropped and is learnt again by the next refresh.
    public var damaged: [Int64] = []
    /// What SQLite found wrong with the file; not empty means that it was moved aside and an empty one made.
    public var problems: [String] = []
    /// Whether all was sound.
    public var isSound: Bool { damaged.isEmpty && problems.isEmpty }
}

/// The catalog in figures.
public struct CatalogStatistics: Sendable, Equatable {
    /// Totals over the sessions.
    public var counts: CatalogCounts
    /// Names that cannot be files.
    public var rejectedNames: Int
    /// Rows of the overall file that name sessions which are gone.
    public var refutedRows: Int
    /// Bodies in the cache.
    public var cachedBodies: Int
    /// Their bytes.
    public var cachedBytes: UInt64
    /// The database's length on the disk, with its log.
    public var databaseBytes: UInt64
}

extension Catalog {
    /// The key of the setting that asks the next refresh for a full listing; its value is the reason.
    public static let listingNeededKey = "listing.needed"
    /// The reason after damaged rows were set back: what the overall file says of them has to be read again, too.
    public static let damagedRowsReason = "damaged rows"

    /// Checks the whole database: SQLite's own `quick_check`, and every row against its SHA-256. Damaged rows are set
    /// back so that a refresh learns them again; a damaged file is moved aside.
    /// - Parameter progress: gets the number of rows checked so far; returns false to stop early.
    public func validate(progress: (Int) -> Bool = { _ in true }) throws(CatalogError) -> CatalogValidation {
        var result = CatalogValidation()
        do throws(CatalogError) {
            result.problems = try read { connection throws(CatalogError) in try connection.quickCheck() }
            if let first = result.problems.first { try replaceDamaged(first) }
        } catch  where error.kind == .corrupt {
            result.problems = [error.message]
        }
        guard result.problems.isEmpty else { return result }
        var last: Int64 = 0
        var more = true
        while more {
            let page = try read { connection throws(CatalogError) in
                var page = CheckedPage(last: last)
                try connection.records(after: last) { found in
                    page.count += 1
                    page.last = found.record.id
                    if !found.isSound { page.damaged.append(found.record.id) }
                    return page.count < 1000
                }
                return page
            }
            last = page.last
            result.checked += page.count
            result.damaged += page.damaged
            more = page.count == 1000 && progress(result.checked)
        }
        if !result.damaged.isEmpty { try setBack(result.damaged) }
        return result
    }

    /// Drops what damaged rows say beyond name and size, asks for a listing to correct those, and reports.
    func setBack(_ ids: [Int64]) throws(CatalogError) {
        let damaged = try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                var damaged: [Int64] = []
                for id in ids {
                    // Another thread may have been here first.
                    guard let found = try connection.record(id: id), !found.isSound else { continue }
                    var fresh = Record(fileName: found.record.fileName)
                    fresh.id = id
                    fresh.size = found.record.size
                    fresh.settle()
                    try connection.update(fresh)
                    damaged.append(id)
                }
                if !damaged.isEmpty { try connection.set(Catalog.listingNeededKey, Catalog.damagedRowsReason) }
                return damaged
            }
        }
        if damaged.isEmpty { return }
        Catalog.log.error("damaged rows", ["count": String(damaged.count)])
        announce(.damagedRows(damaged))
    }

    // MARK: Figures

    /// The catalog in figures. Reads the small tables, not the sessions.
    public func statistics() throws(CatalogError) -> CatalogStatistics {
        let bodies = try cachedBytes
        let small = try read { connection throws(CatalogError) in
            [
                try connection.integer("SELECT COUNT(DISTINCT key) FROM rejected"),
                try connection.integer("SELECT COUNT(*) FROM refuted"),
            ]
        }
        var length: UInt64 = 0
        for suffix in ["", "-wal"] {
            if let status = try? Files.status(path + suffix) { length += status.size }
        }
        return CatalogStatistics(
            counts: try counts, rejectedNames: Int(small[0]), refutedRows: Int(small[1]), cachedBodies: bodies.count,
            cachedBytes: bodies.bytes, databaseBytes: length)
    }

    /// Names in the bucket that cannot be files, in the order of their bytes.
    public func rejectedNames() throws(CatalogError) -> [RejectedName] {
        try read { connection throws(CatalogError) in
            try connection.once("SELECT key, MIN(problem) FROM rejected GROUP BY key ORDER BY key") {
                statement throws(CatalogError) in
                var found: [RejectedName] = []
                while try statement.step() {
                    guard let problem = statement.text(1).flatMap(NameProblem.init(rawValue:)) else { continue }
                    found.append(RejectedName(key: statement.text(0) ?? "", problem: problem))
                }
                return found
            }
        }
    }
}

private struct CheckedPage: Sendable {
    var count = 0
    var last: Int64
    var damaged: [Int64] = []
}

extension Connection {
    /// What `PRAGMA quick_check` finds; empty when the file is sound.
    fileprivate func quickCheck() throws(CatalogError) -> [String] {
        try once("PRAGMA quick_check(20)") { statement throws(CatalogError) in
            var problems: [String] = []
            while try statement.step() {
                if let text = statement.text(0), text != "ok" { problems.append(text) }
            }
            return problems
        }
    }

    func set(_ key: String, _ value: String) throws(CatalogError) {
        try use(.setValue) { statement throws(CatalogError) in
            statement.bind(0, key)
            statement.bind(1, value)
            _ = try statement.step()
        }
    }
}
