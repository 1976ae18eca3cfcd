internal import Catalog
internal import ObjectStore
internal import Platform

/// The statements of the journal.
enum JournalQuery: Int, DatabaseQuery {
    case begin, commit
    case changes, putChange, dropChange
    case conflicts, conflict, putConflict
    case setting, setSetting, removeSetting
    case abandoned, putAbandoned, dropAbandoned

    private static let conflictColumns = """
        SELECT id, kind, name, local_name, change_id, expected, expected_etag, expected_size, expected_md5,
          found, found_etag, found_size, found_md5, found_modified, wanted_name, opened, decided, choice, decided_by,
          kept, source_name FROM conflict
        """

    var sql: String {
        switch self {
        case .begin: "BEGIN IMMEDIATE"
        case .commit: "COMMIT"
        case .changes:
            """
            SELECT id, part, generation, sequence, name, file, size, modified, remote_name, remote, remote_etag,
              remote_size, remote_md5, replaces, replaces_etag, replaces_size, replaces_md5, replaced_id, attempted,
              upload_id, upload_key, part_size, state, reason, changed, batch, conflict
            FROM change ORDER BY id, part
            """
        case .putChange:
            """
            INSERT OR REPLACE INTO change (id, part, generation, sequence, name, file, size, modified, remote_name,
              remote, remote_etag, remote_size, remote_md5, replaces, replaces_etag, replaces_size, replaces_md5,
              replaced_id, attempted, upload_id, upload_key, part_size, state, reason, changed, batch, conflict)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
              ?22, ?23, ?24, ?25, ?26, ?27)
            """
        case .dropChange: "DELETE FROM change WHERE id = ?1 AND part >= ?2"
        case .conflicts: JournalQuery.conflictColumns + " ORDER BY id"
        case .conflict: JournalQuery.conflictColumns + " WHERE id = ?1"
        case .putConflict:
            """
            INSERT OR REPLACE INTO conflict (id, kind, name, local_name, change_id, expected, expected_etag,
              expected_size, expected_md5, found, found_etag, found_size, found_md5, found_modified, wanted_name,
              opened, decided, choice, decided_by, kept, source_name)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
            """
        case .setting: "SELECT value FROM setting WHERE key = ?1"
        case .setSetting: "INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)"
        case .removeSetting: "DELETE FROM setting WHERE key = ?1"
        case .abandoned: "SELECT upload_id, key, part_size FROM abandoned"
        case .putAbandoned: "INSERT OR REPLACE INTO abandoned (upload_id, key, part_size) VALUES (?1, ?2, ?3)"
        case .dropAbandoned: "DELETE FROM abandoned WHERE upload_id = ?1"
        }
    }
}

/// The journal's database. What a commit wrote survives a power cut when it returns.
///
/// One thread at a time uses it: it stands behind the commit lock of ``Staging``.
struct Journal {
    private let connection: DatabaseConnection<JournalQuery>

    private static let version: Int64 = 1
    /// `PRAGMA application_id`: "sfsj".
    private static let applicationID = 0x7366_736a

    /// Opens the journal, and makes it when it is missing.
    /// - Throws: `.corrupt` when it is damaged.
    init(path: String) throws(StagingError) {
        if !Files.exists(path) {
            do throws(SystemError) {
                // A log that is left of another database must not become part of this one.
                for suffix in ["-wal", "-shm"] where Files.exists(path + suffix) { try Files.remove(path + suffix) }
                _ = try FileDescriptor.open(path, [.readWrite, .exclusive], permissions: 0o600)
                try Files.synchronizeDirectory(Files.parentDirectory(path))
            } catch { throw StagingError(error) }
        }
        let found: Int64
        do throws(CatalogError) {
            connection = try DatabaseConnection(path: path, durability: .full)
            found = try connection.integer("PRAGMA user_version")
            if found < Journal.version { try prepare() }
        } catch { throw StagingError(error) }
        if found > Journal.version {
            throw StagingError(.io, "\(path) was made by a newer sessionfs (\(found))")
        }
    }

    private func prepare() throws(CatalogError) {
        _ = try connection.once("PRAGMA journal_mode=WAL") { statement throws(CatalogError) in try statement.step() }
        try connection.transaction { () throws(CatalogError) in
            try connection.execute(Journal.layout)
            try connection.execute(
                "PRAGMA application_id=\(Journal.applicationID); PRAGMA user_version=\(Journal.version)")
        }
    }

    private static let layout = """
        CREATE TABLE change (
          id INTEGER NOT NULL, part INTEGER NOT NULL, generation INTEGER NOT NULL, sequence INTEGER NOT NULL,
          name TEXT, file TEXT, size INTEGER, modified INTEGER,
          remote_name TEXT, remote INTEGER NOT NULL, remote_etag TEXT, remote_size INTEGER, remote_md5 TEXT,
          replaces INTEGER NOT NULL, replaces_etag TEXT, replaces_size INTEGER, replaces_md5 TEXT, replaced_id INTEGER,
          attempted TEXT NOT NULL, upload_id TEXT, upload_key TEXT, part_size INTEGER,
          state TEXT NOT NULL, reason TEXT NOT NULL, changed INTEGER NOT NULL, batch INTEGER, conflict INTEGER,
          PRIMARY KEY (id, part)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE conflict (
          id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, local_name TEXT, change_id INTEGER,
          expected INTEGER NOT NULL, expected_etag TEXT, expected_size INTEGER, expected_md5 TEXT,
          found INTEGER NOT NULL, found_etag TEXT, found_size INTEGER, found_md5 TEXT, found_modified INTEGER,
          wanted_name TEXT, opened INTEGER NOT NULL, decided INTEGER, choice TEXT, decided_by TEXT, kept TEXT,
          source_name TEXT
        ) STRICT;
        CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE abandoned (
          upload_id TEXT PRIMARY KEY, key TEXT NOT NULL, part_size INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """

    // MARK: Writing

    /// What a commit changes.
    struct Writes {
        /// Rows by their ids; nil leaves.
        var rows: [Int64: PendingTable.Row?] = [:]
        var conflicts: [ConflictRecord] = []
        /// Uploads that nobody goes on with, by their ids; nil leaves.
        var abandoned: [String: MultipartProgress?] = [:]
        /// Set when the batch changed.
        var batch: Int64??
        var lastBatch: Int64?

        var isEmpty: Bool {
            rows.isEmpty && conflicts.isEmpty && abandoned.isEmpty && batch == nil && lastBatch == nil
        }
    }

    /// Writes all of it in one durable transaction.
    func commit(_ writes: Writes) throws(CatalogError) {
        try connection.transaction { () throws(CatalogError) in
            for (id, row) in writes.rows {
                if let row {
                    try put(row.change, part: 0)
                    try drop(id, from: 1)
                    if let unfinished = row.unfinished { try put(unfinished, part: 1) }
                    if let before = row.before { try put(before, part: 2) }
                } else {
                    try drop(id, from: 0)
                }
            }
            for record in writes.conflicts { try put(record) }
            for (uploadID, progress) in writes.abandoned { try putAbandoned(uploadID, progress) }
            if let batch = writes.batch { try set("batch", batch.map(String.init)) }
            if let last = writes.lastBatch { try set("last_batch", String(last)) }
        }
    }

    private func drop(_ id: Int64, from part: Int64) throws(CatalogError) {
        try connection.use(.dropChange) { statement throws(CatalogError) in
            statement.bind(0, id)
            statement.bind(1, part)
            _ = try statement.step()
        }
    }

    private func put(_ change: PendingChange, part: Int64) throws(CatalogError) {
        try connection.use(.putChange) { statement throws(CatalogError) in
            statement.bind(1, part)
            statement.bind(change)
            _ = try statement.step()
        }
    }

    private func put(_ record: ConflictRecord) throws(CatalogError) {
        try connection.use(.putConflict) { statement throws(CatalogError) in
            statement.bind(record)
            _ = try statement.step()
        }
    }

    private func putAbandoned(_ uploadID: String, _ progress: MultipartProgress?) throws(CatalogError) {
        try connection.use(progress == nil ? .dropAbandoned : .putAbandoned) { statement throws(CatalogError) in
            statement.bind(0, uploadID)
            if let progress {
                statement.bind(1, progress.key)
                statement.bind(2, Int64(bitPattern: progress.partSize))
            }
            _ = try statement.step()
        }
    }

    private func set(_ key: String, _ value: String?) throws(CatalogError) {
        try connection.use(value == nil ? .removeSetting : .setSetting) { statement throws(CatalogError) in
            statement.bind(0, key)
            if let value { statement.bind(1, value) }
            _ = try statement.step()
        }
    }

    // MARK: Reading

    /// - Throws: what SQLite finds wrong with the file.
    func check() throws(StagingError) {
        let problem: String?
        do throws(CatalogError) {
            problem = try connection.once("PRAGMA quick_check(1)") { statement throws(CatalogError) in
                try statement.step() ? statement.text(0) : nil
            }
        } catch { throw StagingError(error) }
        if problem != "ok" { throw StagingError(.corrupt, problem ?? "the check gave no answer") }
    }

    /// All rows.
    func rows(contents directory: String) throws(CatalogError) -> [PendingTable.Row] {
        var rows: [PendingTable.Row] = []
        try connection.use(.changes) { statement throws(CatalogError) in
            while try statement.step() {
                let change = statement.change(directory)
                if statement.integer(1) == 0 {
                    rows.append(PendingTable.Row(change: change))
                } else if let last = rows.indices.last, rows[last].change.id == change.id {
                    if statement.integer(1) == 1 { rows[last].unfinished = change } else { rows[last].before = change }
                }
            }
        }
        return rows
    }

    /// All conflicts, in the order in which they were noticed.
    func conflicts() throws(CatalogError) -> [ConflictRecord] {
        try connection.use(.conflicts) { statement throws(CatalogError) in
            var found: [ConflictRecord] = []
            while try statement.step() { found.append(statement.conflict()) }
            return found
        }
    }

    /// Uploads in parts that nobody goes on with.
    func abandoned() throws(CatalogError) -> [MultipartProgress] {
        try connection.use(.abandoned) { statement throws(CatalogError) in
            var found: [MultipartProgress] = []
            while try statement.step() {
                guard let uploadID = statement.text(0), let key = statement.text(1) else { continue }
                found.append(
                    MultipartProgress(
                        uploadID: uploadID, key: key, partSize: UInt64(bitPattern: statement.integer(2))))
            }
            return found
        }
    }

    /// A number that is kept; nil when it was never set.
    func number(_ key: String) throws(CatalogError) -> Int64? {
        try connection.use(.setting) { statement throws(CatalogError) in
            statement.bind(0, key)
            return try statement.step() ? statement.text(0).flatMap { Int64($0) } : nil
        }
    }
}
