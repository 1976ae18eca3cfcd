internal import Catalog
internal import Platform

private let bodySuffix = ".fastshot"
private let indexSuffix = ".meta.json"

/// The name under which a session's index is listed; nil for the name of no session.
func indexName(ofBody name: String) -> String? {
    name.hasSuffix(bodySuffix) ? name.dropLast(bodySuffix.utf8.count) + indexSuffix : nil
}

/// `meta_indexes/`: one small file for every session whose metadata is known.
struct IndexesDirectory: TreeDirectory {
    let view: SessionsView
    let changed: Guarded<Timestamp>

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes {
        .directory(.metaIndexes, modified: changed.withLock { $0 })
    }

    func lookup(_ name: String, in row: Int64) throws(FileSystemError) -> FileAttributes {
        guard name.hasSuffix(indexSuffix) else { throw FileSystemError(.notFound) }
        let fileName = name.dropLast(indexSuffix.utf8.count) + bodySuffix
        guard
            let entry = try reading({ () throws(CatalogError) in
                try view.catalog.entry(fileName: String(fileName))
            }), entry.indexSize > 0, try view.keepsName(entry)
        else { throw FileSystemError(.notFound) }
        return indexAttributes(entry)
    }

    func scan(_ row: Int64, after cookie: UInt64, _ emit: DirectoryEmitter) throws(FileSystemError) {
        // The longest stem that a file name allows, and the longer suffix.
        var name = [UInt8]()
        name.reserveCapacity(255 + indexSuffix.utf8.count)
        try view.scanIndexed(after: Int64(bitPattern: cookie)) { session in
            guard session.indexSize > 0 else { return true }
            session.withFileName { bytes in
                name.removeAll(keepingCapacity: true)
                bytes.withUnsafeBytes { name.append(contentsOf: $0.dropLast(bodySuffix.utf8.count)) }
            }
            name.append(contentsOf: indexSuffix.utf8)
            // A stem that is a file name with the short suffix only cannot be one with the long suffix.
            guard name.count <= 255 else { return true }
            let attributes = FileAttributes(
                inode: Inode(slot: .index, row: session.id), size: session.indexSize,
                modifiedNanoseconds: session.modifiedNanoseconds)
            return emit(name.span.bytes, attributes, UInt64(bitPattern: session.id))
        }
    }
}

func indexAttributes(_ entry: SessionEntry) -> FileAttributes {
    FileAttributes(
        inode: Inode(slot: .index, row: entry.id), size: entry.indexSize,
        modifiedNanoseconds: entry.modified.nanoseconds)
}

/// A metadata index, `meta_indexes/<stem>.meta.json`, from the catalog.
struct IndexNode: TreeFile {
    let view: SessionsView

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes {
        guard let entry = try reading({ () throws(CatalogError) in try view.catalog.entry(id: row) }),
            entry.indexSize > 0, try view.keepsName(entry)
        else { throw FileSystemError(.stale) }
        return indexAttributes(entry)
    }

    func open(_ row: Int64) throws(FileSystemError) -> any OpenFile {
        guard let bytes = try reading({ () throws(CatalogError) in try view.catalog.indexBytes(id: row) }) else {
            throw FileSystemError(.notFound)
        }
        return MemoryFile(bytes: bytes, caching: .keep)
    }
}
