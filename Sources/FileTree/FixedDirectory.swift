internal import Platform

/// A directory whose entries are part of the program.
struct FixedDirectory: TreeDirectory {
    let slot: Inode.Slot
    let started: Timestamp
    let entries: [(name: StaticString, node: any TreeNode)]

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes { .directory(slot, modified: started) }

    func lookup(_ name: String, in row: Int64) throws(FileSystemError) -> FileAttributes {
        for entry in entries where entry.name.description == name { return try entry.node.attributes(0) }
        throw FileSystemError(.notFound)
    }

    func scan(_ row: Int64, after cookie: UInt64, _ emit: DirectoryEmitter) throws(FileSystemError) {
        for (position, entry) in entries.enumerated().dropFirst(Int(min(cookie, UInt64(entries.count)))) {
            // An entry that does not exist yet, such as the overall file before the first refresh, is left out.
            guard let attributes = try? entry.node.attributes(0) else { continue }
            guard emitName(entry.name, attributes, next: UInt64(position) + 1, emit) else { return }
        }
    }
}

/// `overall_meta.json`: the bucket's overall file, byte for byte, as the last refresh saw it.
struct OverallNode: TreeFile {
    let path: String

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes {
        guard let status = try? Files.status(path) else {
            throw FileSystemError(.notFound, "the bucket has no overall_meta.json, or it was not seen yet")
        }
        return FileAttributes(
            inode: Inode(slot: .overall), size: status.size, modifiedNanoseconds: status.modified.nanoseconds,
            isDynamic: true)
    }

    func open(_ row: Int64) throws(FileSystemError) -> any OpenFile {
        do throws(SystemError) {
            let file = try FileDescriptor.open(path)
            return LocalFile(file: file, size: try file.size())
        } catch {
            throw FileSystemError(.notFound, error.description)
        }
    }
}

/// `.sessionfs/status.json`: the daemon's status at the moment of the open.
struct StatusNode: TreeFile {
    let text: @Sendable () -> [UInt8]

    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes {
        FileAttributes(
            inode: Inode(slot: .status), size: UInt64(text().count), modifiedNanoseconds: Timestamp.now.nanoseconds,
            isDynamic: true)
    }

    func open(_ row: Int64) throws(FileSystemError) -> any OpenFile {
        MemoryFile(bytes: text(), caching: .direct)
    }
}
