/// The database's layout. Listings read `session` only, whose rows are narrow and stand in the order of their ids;
/// everything else about a session is in `detail`.
enum Schema {
    /// `PRAGMA user_version` of a database that this program writes.
    static let version: Int64 = 3

    /// `PRAGMA application_id`: "sfsc".
    static let applicationID = 0x7366_7363

    /// Brings an empty or older database to ``version``, and switches it to write-ahead logging.
    /// - Parameter firstID: ids of a new database begin behind it.
    /// - Throws: `.newerSchema` when a newer program made it.
    static func prepare(_ connection: Connection, firstID: Int64) throws(CatalogError) {
        let found = try connection.integer("PRAGMA user_version")
        guard found <= version else {
            throw CatalogError(
                .newerSchema,
                "made by a newer sessionfs (schema \(found), known \(version)); use another cache directory")
        }
        guard found < version else { return }
        // Until the first checkpoint, which is durable again, a new database is a header and a log whose every page has
        // a checksum. A power cut before that leaves a file that is empty or no database, and it is made anew.
        if found == 0 { try connection.execute("PRAGMA synchronous=OFF") }
        defer { if found == 0 { try? connection.makeDurable() } }
        // The pragma answers with the mode it reached; where shared memory is not possible that is not WAL, and
        // readers then wait for the writer.
        _ = try connection.once("PRAGMA journal_mode=WAL") { statement throws(CatalogError) in try statement.step() }
        try connection.transaction { () throws(CatalogError) in
            for step in migrations[Int(found)...] { try connection.execute(step) }
            if found == 0, firstID > 0 {
                try connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('session', \(firstID))")
            }
            try connection.execute("PRAGMA application_id=\(applicationID); PRAGMA user_version=\(version)")
        }
    }

    /// One step per version: element `n` leads from version `n` to `n + 1`.
    private static let migrations = [
        """
        CREATE TABLE session (
          id INTEGER PRIMARY KEY AUTOINCREMENT,
          file_name TEXT NOT NULL UNIQUE,
          size INTEGER NOT NULL,
          mtime INTEGER NOT NULL,
          index_size INTEGER NOT NULL,
          state INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX unknown_index ON session (id) WHERE state = 0;
        CREATE TABLE detail (
          id INTEGER PRIMARY KEY,
          etag TEXT, md5 BLOB, sha256 BLOB, uploaded INTEGER,
          listed INTEGER NOT NULL, row_facts INTEGER, row_metadata INTEGER,
          index_etag TEXT, index_source INTEGER NOT NULL,
          name TEXT, desc TEXT, tags TEXT, color TEXT, class TEXT, image_count INTEGER, created_at TEXT,
          file_size INTEGER, index_bytes BLOB, reason TEXT,
          digest BLOB NOT NULL
        ) STRICT;
        CREATE TABLE tally (
          state INTEGER PRIMARY KEY, sessions INTEGER NOT NULL, bytes INTEGER NOT NULL
        ) STRICT;
        INSERT INTO tally VALUES (0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 0, 0);
        CREATE TRIGGER session_added AFTER INSERT ON session BEGIN
          UPDATE tally SET sessions = sessions + 1, bytes = bytes + new.size WHERE state = new.state;
        END;
        CREATE TRIGGER session_removed AFTER DELETE ON session BEGIN
          UPDATE tally SET sessions = sessions - 1, bytes = bytes - old.size WHERE state = old.state;
          DELETE FROM detail WHERE id = old.id;
        END;
        CREATE TRIGGER session_changed AFTER UPDATE OF size, state ON session
        WHEN old.size <> new.size OR old.state <> new.state BEGIN
          UPDATE tally SET sessions = sessions - 1, bytes = bytes - old.size WHERE state = old.state;
          UPDATE tally SET sessions = sessions + 1, bytes = bytes + new.size WHERE state = new.state;
        END;
        CREATE TABLE refuted (
          id INTEGER PRIMARY KEY, file_name TEXT NOT NULL UNIQUE, row_facts INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE rejected (
          key TEXT NOT NULL, source INTEGER NOT NULL, problem TEXT NOT NULL, pass INTEGER NOT NULL,
          PRIMARY KEY (key, source)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE body (
          id INTEGER PRIMARY KEY, file_name TEXT NOT NULL, etag TEXT, size INTEGER NOT NULL, digest TEXT NOT NULL,
          file_modified INTEGER NOT NULL, last_used INTEGER NOT NULL, pinned INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE revision (number INTEGER NOT NULL) STRICT;
        INSERT INTO revision VALUES (0);
        CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        """,
        """
        CREATE TABLE own_write (
          number INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL, file_name TEXT NOT NULL, time INTEGER NOT NULL
        ) STRICT;
        """,
        "ALTER TABLE own_write ADD COLUMN etag TEXT",
    ]
}

/// Every statement that is kept prepared.
enum Query: Int, DatabaseQuery {
    case begin, commit
    case scan, entryByID, entryByName, tally
    case recordByID, recordByName, records, insertSession, insertDetail, updateSession, replaceDetail, deleteSession
    case marks, known, knownIndex, greatestName, namedIDs, unname, unnamed, refutation, refutedIDs, refute,
        deleteRefuted, reject, forgetRejected, unknownIndexes
    case bodyByID, bodies, bodyTotals, recordBody, removeBody, touchBody
    case value, setValue, removeValue, revision, nextRevision
    case insertSessionByID, advanceSequence, raiseSequence, beginSequence
    case ownWrites, lastOwnWrite, noteOwnWrite, forgetOwnWrites, ownWriteTimes, refutedNames

    private static let entryColumns = """
        SELECT s.id, s.file_name, s.size, s.mtime, s.index_size, s.state, d.etag, d.md5, d.sha256, d.uploaded
        FROM session s LEFT JOIN detail d ON d.id = s.id
        """
    private static let recordColumns = """
        SELECT s.id, s.file_name, s.size, s.mtime, s.index_size, s.state, d.etag, d.md5, d.sha256, d.uploaded,
          d.listed, d.row_facts, d.row_metadata, d.index_etag, d.index_source, d.name, d.desc, d.tags, d.color,
          d.class, d.image_count, d.created_at, d.file_size, d.index_bytes, d.reason, d.digest
        FROM session s JOIN detail d ON d.id = s.id
        """
    private static let detailValues = """
         INTO detail (id, etag, md5, sha256, uploaded, listed, row_facts, row_metadata, index_etag, index_source,
          name, desc, tags, color, class, image_count, created_at, file_size, index_bytes, reason, digest)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
        """
    private static let bodyColumns =
        "SELECT id, file_name, etag, size, digest, file_modified, last_used, pinned FROM body"

    var sql: String {
        switch self {
        case .begin: "BEGIN IMMEDIATE"
        case .commit: "COMMIT"
        case .scan: "SELECT id, file_name, size, mtime, index_size FROM session WHERE id > ?1 ORDER BY id"
        case .entryByID: Query.entryColumns + " WHERE s.id = ?1"
        case .entryByName: Query.entryColumns + " WHERE s.file_name = ?1"
        case .tally: "SELECT state, sessions, bytes FROM tally"
        case .recordByID: Query.recordColumns + " WHERE s.id = ?1"
        case .recordByName: Query.recordColumns + " WHERE s.file_name = ?1"
        case .records: Query.recordColumns + " WHERE s.id > ?1 ORDER BY s.id"
        case .insertSession:
            "INSERT INTO session (file_name, size, mtime, index_size, state) VALUES (?1, ?2, ?3, ?4, ?5)"
        case .insertDetail: "INSERT" + Query.detailValues
        case .replaceDetail: "REPLACE" + Query.detailValues
        case .updateSession: "UPDATE session SET size = ?2, mtime = ?3, index_size = ?4, state = ?5 WHERE id = ?1"
        case .deleteSession: "DELETE FROM session WHERE id = ?1"
        case .marks:
            """
            SELECT s.id, d.row_facts, d.row_metadata FROM session s JOIN detail d ON d.id = s.id WHERE s.file_name = ?1
            """
        case .known:
            """
            SELECT s.id, s.size, d.etag, d.md5, d.uploaded, d.listed, d.row_facts
            FROM session s JOIN detail d ON d.id = s.id WHERE s.file_name = ?1
            """
        case .knownIndex:
            "SELECT s.id, s.state, d.index_etag FROM session s JOIN detail d ON d.id = s.id WHERE s.file_name = ?1"
        case .greatestName: "SELECT MAX(file_name) FROM session"
        case .namedIDs: "SELECT id FROM detail WHERE id > ?1 AND row_facts IS NOT NULL"
        case .unname: "UPDATE detail SET row_facts = NULL, row_metadata = NULL WHERE id = ?1"
        case .unnamed:
            """
            SELECT s.id, s.file_name, d.etag FROM (SELECT * FROM detail ORDER BY id DESC LIMIT ?2) d
            JOIN session s ON s.id = d.id WHERE d.row_facts IS NULL AND d.uploaded > ?1 AND s.state = 1
            """
        case .refutation: "SELECT id, row_facts FROM refuted WHERE file_name = ?1"
        case .refutedIDs: "SELECT id FROM refuted WHERE id > ?1"
        case .refute: "INSERT OR REPLACE INTO refuted (file_name, row_facts) VALUES (?1, ?2)"
        case .deleteRefuted: "DELETE FROM refuted WHERE id = ?1"
        case .reject: "REPLACE INTO rejected (key, source, problem, pass) VALUES (?1, ?2, ?3, ?4)"
        case .forgetRejected: "DELETE FROM rejected WHERE source = ?1 AND pass <> ?2"
        case .unknownIndexes:
            "SELECT id, file_name FROM session WHERE state = 0 AND id > ?1 ORDER BY id LIMIT ?2"
        case .bodyByID: Query.bodyColumns + " WHERE id = ?1"
        case .bodies: Query.bodyColumns + " ORDER BY id"
        case .bodyTotals: "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM body"
        case .recordBody:
            """
            INSERT OR REPLACE INTO body (id, file_name, etag, size, digest, file_modified, last_used, pinned)
            SELECT ?1, COALESCE((SELECT file_name FROM session WHERE id = ?1), ?2), ?3, ?4, ?5, ?6, ?7, ?8
            """
        case .removeBody: "DELETE FROM body WHERE id = ?1"
        case .touchBody: "UPDATE body SET last_used = MAX(last_used, ?2) WHERE id = ?1"
        case .revision: "SELECT number FROM revision"
        case .nextRevision: "UPDATE revision SET number = number + 1 RETURNING number"
        case .value: "SELECT value FROM setting WHERE key = ?1"
        case .setValue: "INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)"
        case .removeValue: "DELETE FROM setting WHERE key = ?1"
        case .insertSessionByID:
            "INSERT INTO session (id, file_name, size, mtime, index_size, state) VALUES (?6, ?1, ?2, ?3, ?4, ?5)"
        case .advanceSequence: "UPDATE sqlite_sequence SET seq = seq + ?1 WHERE name = 'session' RETURNING seq"
        case .raiseSequence: "UPDATE sqlite_sequence SET seq = MAX(seq, ?1) WHERE name = 'session' RETURNING seq"
        case .beginSequence: "INSERT INTO sqlite_sequence (name, seq) VALUES ('session', ?1)"
        case .ownWrites: "SELECT id, file_name FROM own_write WHERE number > ?1"
        case .ownWriteTimes: "SELECT file_name, time, etag, MAX(number) FROM own_write GROUP BY file_name"
        case .lastOwnWrite: "SELECT MAX(number) FROM own_write"
        case .noteOwnWrite: "INSERT INTO own_write (id, file_name, time, etag) VALUES (?1, ?2, ?3, ?4)"
        case .forgetOwnWrites: "DELETE FROM own_write WHERE time < ?1"
        case .refutedNames: "SELECT id, file_name FROM refuted"
        }
    }
}
