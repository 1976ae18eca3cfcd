internal import CSQLite
public import Platform

/// Why the catalog could not answer: a kind that decides what to do next, and SQLite's own words.
public struct CatalogError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What a caller can do about it.
    public enum Kind: String, Sendable, CaseIterable {
        /// The database is damaged. It was moved aside, and an empty one is in place: ask again after a refresh.
        case corrupt
        /// Another process held the write lock for longer than the busy timeout.
        case busy
        /// The disk or the quota is full.
        case full
        /// The disk failed, or the file cannot be reached.
        case io
        /// A newer sessionfs made it. Nothing was changed.
        case newerSchema
        /// The catalog was closed.
        case closed
        /// A statement is wrong: a defect of this program.
        case misuse
    }

    /// What a caller can do about it.
    public let kind: Kind
    /// What was being done, and what the library said.
    public let message: String
    /// SQLite's extended result code (sqlite.org/rescode.html); 0 when it was not SQLite that failed.
    public let code: Int32
    /// The system call behind it, where there is one.
    public let system: SystemError?

    init(_ kind: Kind, _ message: String, code: Int32 = 0, system: SystemError? = nil) {
        self.kind = kind
        self.message = message
        self.code = code
        self.system = system
    }

    init(_ system: SystemError) {
        self.init(.io, system.description, system: system)
    }

    /// The error of a SQLite call.
    init(code: Int32, _ message: String) {
        let kind: Kind =
            switch code & 0xff {
            case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
            case SQLITE_BUSY, SQLITE_LOCKED: .busy
            case SQLITE_FULL: .full
            case SQLITE_IOERR, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM, SQLITE_NOMEM: .io
            default: .misuse
            }
        self.init(kind, message, code: code)
    }

    /// `catalog: what was being done: what the library said (SQLite code)`.
    public var description: String {
        code == 0 ? "catalog: \(message)" : "catalog: \(message) (SQLite \(code))"
    }
}
