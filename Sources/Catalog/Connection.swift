internal import CSQLite
internal import Platform

/// The statements that a connection keeps prepared. `rawValue` counts from 0 without gaps.
package protocol DatabaseQuery: RawRepresentable<Int>, CaseIterable, Sendable {
    /// `BEGIN IMMEDIATE`
    static var begin: Self { get }
    /// `COMMIT`
    static var commit: Self { get }
    /// Its text.
    var sql: String { get }
}

/// What a power cut may take; the end of a process takes nothing in either case.
package enum Durability: String, Sendable {
    /// The last transactions, never the consistency: for what can be learnt again.
    case normal = "NORMAL"
    /// Nothing: a transaction waits for the disk.
    case full = "FULL"
}

/// What does not depend on the statements.
private enum ConnectionSetting {
    /// Milliseconds that a writer waits for another process's transaction.
    static let busyTimeout: Int32 = 10_000
    /// Page cache per connection, in KiB.
    static let cacheSize = 2048
    /// The log is written back into the database when it has so many pages. A first start with 10,000 sessions, whose
    /// end a user waits for, writes 1,200.
    static let checkpointPages = 4000

    static let configured: Bool = sfs_sqlite_no_memory_statistics() == SQLITE_OK
}

/// The catalog's connection.
typealias Connection = DatabaseConnection<Query>

/// One SQLite connection with its prepared statements.
///
/// `@unchecked Sendable`: whoever has one keeps it behind a mutex, so one thread at a time uses it; SQLite's own locking
/// is switched off (`SQLITE_OPEN_NOMUTEX`).
package final class DatabaseConnection<Queries: DatabaseQuery>: @unchecked Sendable {
    private let handle: OpaquePointer
    private var statements: [OpaquePointer?]
    private let durability: Durability

    /// Opens an existing database file; an empty file is an empty database.
    package init(path: String, durability: Durability = .normal) throws(CatalogError) {
        _ = ConnectionSetting.configured
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            let extended = opened.map { sqlite3_extended_errcode($0) } ?? code
            sqlite3_close_v2(opened)
            throw CatalogError(code: extended, "open \(path): \(message)")
        }
        handle = opened
        statements = Array(repeating: nil, count: Queries.allCases.count)
        self.durability = durability
        sqlite3_extended_result_codes(opened, 1)
        sqlite3_busy_timeout(opened, ConnectionSetting.busyTimeout)
        try execute(
            """
            PRAGMA cache_size=-\(ConnectionSetting.cacheSize); PRAGMA temp_store=FILE;
            PRAGMA journal_size_limit=4194304; PRAGMA wal_autocheckpoint=\(ConnectionSetting.checkpointPages);
            PRAGMA secure_delete=OFF; PRAGMA trusted_schema=OFF;
            PRAGMA cell_size_check=ON;
            """)
        try makeDurable()
    }

    deinit {
        for statement in statements { sqlite3_finalize(statement) }
        sqlite3_close_v2(handle)
    }

    /// Sets the durability that the connection was opened with.
    package func makeDurable() throws(CatalogError) { try execute("PRAGMA synchronous=\(durability.rawValue)") }

    /// Runs statements whose rows do not matter.
    package func execute(_ sql: String) throws(CatalogError) {
        let code = sqlite3_exec(handle, sql, nil, nil, nil)
        if code != SQLITE_OK { throw failure(code, "execute") }
    }

    /// Runs `body` with a statement, prepared at its first use and reset afterwards.
    package func use<Result>(
        _ query: Queries, _ body: (borrowing Statement) throws(CatalogError) -> Result
    ) throws(CatalogError) -> Result {
        let prepared: OpaquePointer
        if let known = statements[query.rawValue] {
            prepared = known
        } else {
            prepared = try prepare(query.sql)
            statements[query.rawValue] = prepared
        }
        defer { sqlite3_reset(prepared) }
        return try body(Statement(prepared))
    }

    /// Runs `body` with a statement that is used once.
    package func once<Result>(
        _ sql: String, _ body: (borrowing Statement) throws(CatalogError) -> Result
    ) throws(CatalogError) -> Result {
        let prepared = try prepare(sql)
        defer { sqlite3_finalize(prepared) }
        return try body(Statement(prepared))
    }

    private func prepare(_ sql: String) throws(CatalogError) -> OpaquePointer {
        var prepared: OpaquePointer?
        let code = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard code == SQLITE_OK, let prepared else { throw failure(code, "prepare") }
        return prepared
    }

    /// Runs `body` in one write transaction, which is rolled back when it throws.
    package func transaction<Result>(_ body: () throws(CatalogError) -> Result) throws(CatalogError) -> Result {
        try use(.begin) { statement throws(CatalogError) in _ = try statement.step() }
        do throws(CatalogError) {
            let result = try body()
            try use(.commit) { statement throws(CatalogError) in _ = try statement.step() }
            return result
        } catch {
            // SQLite has already rolled back after some errors; the connection must not stay in the transaction.
            if sqlite3_get_autocommit(handle) == 0 { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
            throw error
        }
    }

    /// Rows that the last statement changed.
    package var changes: Int { Int(sqlite3_changes(handle)) }
    /// The id of the last inserted row.
    package var lastInsertID: Int64 { sqlite3_last_insert_rowid(handle) }
    /// Whether the file was renamed or removed by somebody else.
    package var hasMoved: Bool { sfs_sqlite_has_moved(handle) != 0 }

    /// The single integer that a statement gives.
    package func number(_ query: Queries) throws(CatalogError) -> Int64 {
        try use(query) { statement throws(CatalogError) in try statement.step() ? statement.integer(0) : 0 }
    }

    /// The single integer that a statement gives.
    package func integer(_ sql: String) throws(CatalogError) -> Int64 {
        try once(sql) { statement throws(CatalogError) in try statement.step() ? statement.integer(0) : 0 }
    }

    private func failure(_ code: Int32, _ doing: String) -> CatalogError { sqliteFailure(handle, code, doing) }
}

/// What a connection says of its last call.
private func sqliteFailure(_ connection: OpaquePointer?, _ code: Int32, _ doing: String) -> CatalogError {
    let extended = sqlite3_extended_errcode(connection)
    let text = String(cString: sqlite3_errmsg(connection))
    return CatalogError(code: extended == SQLITE_OK ? code : extended, "\(doing): \(text)")
}

/// A prepared statement in use: bind, step, read columns. Columns and parameters count from 0.
package struct Statement: ~Copyable {
    private let handle: OpaquePointer

    fileprivate init(_ handle: OpaquePointer) { self.handle = handle }

    /// Gives a parameter its value.
    package func bind(_ index: Int32, _ value: Int64) { sqlite3_bind_int64(handle, index + 1, value) }
    /// Gives a parameter its value; nil is NULL.
    package func bind(_ index: Int32, _ value: Int64?) {
        if let value { sqlite3_bind_int64(handle, index + 1, value) } else { sqlite3_bind_null(handle, index + 1) }
    }
    /// Gives a parameter its value; nil is NULL.
    package func bind(_ index: Int32, _ value: String?) {
        guard var value else {
            sqlite3_bind_null(handle, index + 1)
            return
        }
        value.withUTF8 { text in
            let base = UnsafeRawPointer(text.baseAddress)?.assumingMemoryBound(to: CChar.self)
            sqlite3_bind_text64(
                handle, index + 1, base ?? sfs_sqlite_empty(), UInt64(text.count), sfs_sqlite_transient(),
                UInt8(SQLITE_UTF8))
        }
    }
    /// Gives a parameter its value, a blob; nil is NULL.
    package func bind(_ index: Int32, _ value: [UInt8]?) {
        guard let value else {
            sqlite3_bind_null(handle, index + 1)
            return
        }
        value.withUnsafeBytes { bytes in
            if bytes.isEmpty {
                _ = sqlite3_bind_zeroblob(handle, index + 1, 0)
            } else {
                _ = sqlite3_bind_blob64(
                    handle, index + 1, bytes.baseAddress, UInt64(bytes.count), sfs_sqlite_transient())
            }
        }
    }

    /// Goes to the next row.
    /// - Returns: false at the end.
    package func step() throws(CatalogError) -> Bool {
        let code = sqlite3_step(handle)
        if code == SQLITE_ROW { return true }
        if code == SQLITE_DONE { return false }
        throw sqliteFailure(sqlite3_db_handle(handle), code, "step")
    }

    /// Makes the statement ready to run again within one use.
    package func reset() { sqlite3_reset(handle) }

    /// A column of the row; 0 for NULL.
    package func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }
    /// Whether a column is NULL.
    package func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }
    /// A column of the row; nil for NULL.
    package func optionalInteger(_ column: Int32) -> Int64? { isNull(column) ? nil : integer(column) }
    /// A column of the row; nil for NULL.
    package func text(_ column: Int32) -> String? {
        guard let bytes = raw(column) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
    /// A column of the row; nil for NULL.
    package func blob(_ column: Int32) -> [UInt8]? {
        guard !isNull(column) else { return nil }
        guard let base = sqlite3_column_blob(handle, column) else { return [] }
        return Array(UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(handle, column))))
    }
    /// The bytes of a text column; valid until the next step.
    func raw(_ column: Int32) -> UnsafeRawBufferPointer? {
        guard let base = sqlite3_column_text(handle, column) else { return nil }
        return UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(handle, column)))
    }
}
