internal import Catalog
internal import Platform
internal import SessionCache

/// Turns a failure of the catalog into one of the tree.
func reading<Result>(_ body: () throws(CatalogError) -> Result) throws(FileSystemError) -> Result {
    do throws(CatalogError) {
        return try body()
    } catch {
        throw FileSystemError(.inputOutput, "catalog: \(error)")
    }
}

/// Turns a refusal of a change into one of the tree.
func changing<Result>(_ body: () throws(StagingError) -> Result) throws(FileSystemError) -> Result {
    do throws(StagingError) {
        return try body()
    } catch {
        throw FileSystemError(error)
    }
}

/// The sessions that the tree shows: the catalog's, with the pending changes over them where the tree can be written.
struct SessionsView: Sendable {
    let catalog: Catalog
    let staging: Staging?

    /// Permission bits of a session's body.
    var bodyPermissions: UInt16 { staging == nil ? 0o444 : 0o644 }

    func entry(fileName: String) throws(FileSystemError) -> SessionEntry? {
        try reading { () throws(CatalogError) in
            if let staging { return try staging.entry(fileName: fileName) }
            return try catalog.entry(fileName: fileName)
        }
    }

    func entry(id: Int64) throws(FileSystemError) -> SessionEntry? {
        try reading { () throws(CatalogError) in
            if let staging { return try staging.entry(id: id) }
            return try catalog.entry(id: id)
        }
    }

    func scan(after id: Int64, _ body: (borrowing CatalogRow) -> Bool) throws(FileSystemError) {
        try reading { () throws(CatalogError) in
            if let staging { return try staging.scan(after: id, body) }
            try catalog.scan(after: id, body)
        }
    }

    func attributes(_ entry: SessionEntry) -> FileAttributes {
        FileAttributes(
            inode: Inode(slot: .body, row: entry.id), permissions: bodyPermissions, size: entry.size,
            modifiedNanoseconds: entry.modified.nanoseconds)
    }

    /// Whether a session of the catalog is shown under the name that its index goes by.
    func keepsName(_ entry: SessionEntry) throws(FileSystemError) -> Bool {
        guard staging != nil else { return true }
        return try self.entry(id: entry.id)?.fileName.utf8.elementsEqual(entry.fileName.utf8) ?? false
    }

    /// Sessions of the catalog that are shown under the names that their indexes go by.
    func scanIndexed(after id: Int64, _ body: (borrowing CatalogRow) -> Bool) throws(FileSystemError) {
        try reading { () throws(CatalogError) in
            if let staging { return try staging.scanUnmoved(after: id, body) }
            try catalog.scan(after: id, body)
        }
    }
}

extension FileSystemError {
    /// A refused change in the tree's words.
    init(_ error: StagingError) {
        let kind: Kind =
            switch error.kind {
            case .notFound: .notFound
            case .exists: .exists
            case .notPermitted: .notPermitted
            case .readOnly: .readOnly
            case .busy: .busy
            case .crossDevice: .crossDevice
            case .invalidName: .invalidArgument
            case .nameTooLong: .nameTooLong
            case .diskFull: .diskFull
            case .tooLarge: .tooLarge
            case .offline: .offline
            case .denied: .denied
            case .changed: .changed
            case .corrupt: .corrupt
            case .interrupted: .interrupted
            case .io: .inputOutput
            }
        self.init(kind, error.message)
    }

    /// The cache's failures in the tree's words.
    init(_ error: CacheError) { self.init(StagingError(error)) }
}
