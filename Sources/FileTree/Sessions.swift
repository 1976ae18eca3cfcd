internal import Catalog
internal import Platform
internal import SessionCache

/// `sessions/`: every session under its own name.
struct SessionsDirectory: TreeDirectory {
    let view: SessionsView
    let changed: Guarded<Timestamp>

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes {
        .directory(
            .sessions, modified: changed.withLock { $0 }, permissions: view.staging == nil ? 0o555 : 0o755)
    }

    func lookup(_ name: String, in row: Int64) throws(FileSystemError) -> FileAttributes {
        guard let entry = try view.entry(fileName: name) else { throw FileSystemError(.notFound) }
        return view.attributes(entry)
    }

    func scan(_ row: Int64, after cookie: UInt64, _ emit: DirectoryEmitter) throws(FileSystemError) {
        let permissions = view.bodyPermissions
        try view.scan(after: Int64(bitPattern: cookie)) { session in
            let attributes = FileAttributes(
                inode: Inode(slot: .body, row: session.id), permissions: permissions, size: session.size,
                modifiedNanoseconds: session.modifiedNanoseconds)
            return session.withFileName { emit($0, attributes, UInt64(bitPattern: session.id)) }
        }
    }
}

/// A session's body, `sessions/<stem>.fastshot`.
struct BodyNode: TreeFile {
    let view: SessionsView
    let sources: FileTree.Sources

    func entry(_ row: Int64) throws(FileSystemError) -> SessionEntry {
        guard let entry = try view.entry(id: row) else { throw FileSystemError(.stale) }
        return entry
    }

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes { view.attributes(try entry(row)) }

    func open(_ row: Int64) throws(FileSystemError) -> any OpenFile {
        if let staging = view.staging,
            let local = try changing({ () throws(StagingError) in try staging.openContents(id: row) })
        {
            return SessionFile(local: local)
        }
        do throws(CacheError) {
            guard let staging = view.staging else { return SessionFile(body: try sources.cache.open(row), id: row) }
            let (body, moved) = try staging.openBody(id: row)
            return SessionFile(body: body, id: row, moved: moved)
        } catch {
            throw FileSystemError(error)
        }
    }
}
