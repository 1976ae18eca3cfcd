internal import Catalog
internal import Platform
internal import SessionCache
internal import SessionFormat
internal import Synchronization

/// Turns a failure of the catalog into one of the tree.
func reading<Result>(_ body: () throws(CatalogError) -> Result) throws(FileSystemError) -> Result {
    do throws(CatalogError) {
        return try body()
    } catch {
        throw FileSystemError(.inputOutput, "catalog: \(error)")
    }
}

/// `sessions/`: every session of the bucket under its own name.
struct SessionsDirectory: TreeDirectory {
    let catalog: Catalog
    let changed: Guarded<Timestamp>

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes {
        .directory(.sessions, modified: changed.withLock { $0 })
    }

    func lookup(_ name: String, in row: Int64) throws(FileSystemError) -> FileAttributes {
        guard let entry = try reading({ () throws(CatalogError) in try catalog.entry(fileName: name) }) else {
            throw FileSystemError(.notFound)
        }
        return bodyAttributes(entry)
    }

    func scan(_ row: Int64, after cookie: UInt64, _ emit: DirectoryEmitter) throws(FileSystemError) {
        try reading { () throws(CatalogError) in
            try catalog.scan(after: Int64(bitPattern: cookie)) { session in
                let attributes = FileAttributes(
                    inode: Inode(slot: .body, row: session.id), size: session.size,
                    modifiedNanoseconds: session.modifiedNanoseconds)
                return session.withFileName { emit($0, attributes, UInt64(bitPattern: session.id)) }
            }
        }
    }
}

func bodyAttributes(_ entry: SessionEntry) -> FileAttributes {
    FileAttributes(
        inode: Inode(slot: .body, row: entry.id), size: entry.size,
        modifiedNanoseconds: entry.modified.nanoseconds)
}

/// A session's body, `sessions/<stem>.fastshot`.
struct BodyNode: TreeFile {
    let catalog: Catalog
    let cache: SessionCache

    private func entry(_ row: Int64) throws(FileSystemError) -> SessionEntry {
        guard let entry = try reading({ () throws(CatalogError) in try catalog.entry(id: row) }) else {
            throw FileSystemError(.stale)
        }
        return entry
    }

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes { bodyAttributes(try entry(row)) }

    func open(_ row: Int64) throws(FileSystemError) -> any OpenFile {
        do throws(CacheError) {
            return BodyFile(body: try cache.open(row))
        } catch {
            throw FileSystemError(error)
        }
    }

    func attributeNames(_ row: Int64) throws(FileSystemError) -> [String] {
        let hasMetadata = try reading { () throws(CatalogError) in try catalog.metadata(id: row) } != nil
        return (hasMetadata ? SessionAttribute.allCases.map(\.rawValue) : []) + [stateAttribute]
    }

    func attribute(_ name: String, _ row: Int64) throws(FileSystemError) -> [UInt8] {
        if name == stateAttribute {
            _ = try entry(row)
            return Array(cache.state(row).description.utf8)
        }
        guard let known = SessionAttribute(rawValue: name),
            let metadata = try reading({ () throws(CatalogError) in try catalog.metadata(id: row) })
        else { throw FileSystemError(.noAttribute) }
        return Array(known.value(metadata).utf8)
    }
}

/// The extended attribute by which a file's state is seen (M8).
let stateAttribute = "user.sessionfs.state"

/// The extended attributes that carry a session's metadata (M6).
enum SessionAttribute: String, CaseIterable {
    case name = "user.fastshot.name"
    case desc = "user.fastshot.desc"
    case tags = "user.fastshot.tags"
    case color = "user.fastshot.color"
    case sessionClass = "user.fastshot.class"
    case imageCount = "user.fastshot.image_count"
    case createdAt = "user.fastshot.created_at"

    /// The value as text. Tags are joined by commas; a comma or backslash inside a tag has a backslash before it.
    func value(_ metadata: SessionMetadata) -> String {
        switch self {
        case .name: metadata.name
        case .desc: metadata.desc
        case .tags: metadata.tags.map(escapingCommas).joined(separator: ",")
        case .color: metadata.color
        case .sessionClass: metadata.sessionClass
        case .imageCount: String(metadata.imageCount)
        case .createdAt: metadata.createdAt ?? ""
        }
    }

    private func escapingCommas(_ tag: String) -> String {
        var text = ""
        for character in tag {
            if character == "," || character == "\\" { text.append("\\") }
            text.append(character)
        }
        return text
    }
}

/// An open body: the cache's, in the tree's words.
final class BodyFile: OpenFile {
    let body: OpenBody
    private let isSuperseded = Atomic<Bool>(false)

    init(body: OpenBody) { self.body = body }

    var caching: PageCaching {
        if let file = body.complete { .local(file) } else { .keep }
    }

    /// The kernel's pages of an inode are shared by all who have it open: once the catalog names another version, reads
    /// of this one would fill them with bytes that later readers take for the new one's.
    func checkVersion(_ catalog: Catalog) {
        guard let entry = try? catalog.entry(id: body.id), !body.isCurrent(for: entry) else { return }
        isSuperseded.store(true, ordering: .releasing)
    }

    func read(at offset: UInt64, count: Int, reply: @escaping ReadReply) {
        body.read(at: offset, count: count) { [self] result in
            switch result {
            case .success(.file(let file, let offset, let count)):
                if isSuperseded.load(ordering: .acquiring) {
                    reply(.failure(FileSystemError(.changed, "the session was replaced since it was opened")))
                } else {
                    reply(.success(.file(file, offset: offset, count: count)))
                }
            case .failure(let error): reply(.failure(FileSystemError(error)))
            }
        }
    }

    func close() { body.close() }
}

extension FileSystemError {
    /// The cache's failures in the tree's words.
    init(_ error: CacheError) {
        let kind: Kind =
            switch error.kind {
            case .notFound: .notFound
            case .changed: .changed
            case .offline: .offline
            case .denied: .denied
            case .corrupt: .corrupt
            case .diskFull: .diskFull
            case .interrupted: .interrupted
            case .io: .inputOutput
            }
        self.init(kind, error.message)
    }
}
