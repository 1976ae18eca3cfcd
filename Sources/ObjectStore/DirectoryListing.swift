internal import Glibc
internal import Platform

/// One page of a directory tree in the order of the keys' UTF-8 bytes.
///
/// Nothing is kept between pages: every page reads the directories on its way once and holds at most about twice the
/// page's limit of names, however many there are.
struct DirectoryListing {
    private let root: String
    private let prefix: [UInt8]
    private let limit: Int
    private(set) var objects: [ObjectInfo] = []
    /// Whether there is more behind the last object.
    private(set) var isTruncated = false

    /// - Parameter root: the real path of the store's directory.
    init(root: String, prefix: String, limit: Int) {
        self.root = root
        self.prefix = Array(prefix.utf8)
        self.limit = limit
    }

    /// Collects the page that begins behind a key.
    /// - Throws: `.cancelled`, or the failure of opendir(3) and lstat(2). A directory that goes away meanwhile is empty.
    mutating func collect(after: String) async throws(StoreError) {
        let stem = prefix.lastIndex(of: slash).map { Array(prefix[...$0]) } ?? []
        try await walk(stem, after: Array(after.utf8))
    }

    /// - Parameter stem: a directory's key with a slash at its end; empty for the root.
    private mutating func walk(_ stem: [UInt8], after: [UInt8]) async throws(StoreError) {
        var after = after
        while true {
            guard !Task.isCancelled else { throw StoreError(.cancelled, message: "listing was cancelled") }
            await Task.yield()
            let wanted = limit + 1 - objects.count
            let entries = DirectoryEntries(path: path(stem), stem: stem, prefix: prefix, after: after)
            let keys = try entries.smallest(wanted)
            for key in keys {
                if key.last == slash { try await walk(key, after: after) } else { try add(key) }
                if isTruncated { return }
            }
            guard keys.count == wanted, let last = keys.last else { return }
            // 0xff is in no UTF-8 text: this bound is behind everything in the directory.
            after = last.last == slash ? last + [0xff] : last
        }
    }

    private mutating func add(_ key: [UInt8]) throws(StoreError) {
        let name = String(decoding: key, as: UTF8.self)
        let path = path(key)
        let status = try onDirectory(name) { () throws(SystemError) in try Files.statusOfLink(path) }
        guard let status, status.kind == .regular else { return }
        guard objects.count < limit else {
            isTruncated = true
            return
        }
        objects.append(ObjectInfo(key: name, status))
    }

    private func path(_ key: [UInt8]) -> String {
        (root == "/" ? root : root + "/") + String(decoding: key, as: UTF8.self)
    }
}

/// The entries of one directory that a listing wants next.
struct DirectoryEntries {
    private let path: String
    private let stem: [UInt8]
    /// What an entry's name must begin with.
    private let namePrefix: [UInt8]
    /// Behind which name; nil where all entries are before the bound.
    private let nameBound: [UInt8]?

    /// - Parameters:
    ///   - stem: the directory's own key, with a slash at its end.
    ///   - prefix: of the wanted keys; either one begins with the other.
    ///   - after: the key behind which the wanted ones lie.
    init(path: String, stem: [UInt8], prefix: [UInt8], after: [UInt8]) {
        self.path = path
        self.stem = stem
        namePrefix = Array(prefix.dropFirst(stem.count))
        if after.starts(with: stem) {
            nameBound = Array(after.dropFirst(stem.count))
        } else {
            nameBound = after.lexicographicallyPrecedes(stem) ? [] : nil
        }
    }

    /// The `count` smallest keys in order; a directory's key has a slash at its end, by which it sorts. Names that are
    /// not UTF-8, the store's own files, links and devices are left out.
    func smallest(_ count: Int) throws(StoreError) -> [[UInt8]] {
        guard let nameBound else { return [] }
        guard let directory = opendir(path) else {
            let cause = SystemError.current("opendir", path)
            if cause.code == ENOENT || cause.code == ENOTDIR { return [] }
            throw StoreError(directory: cause)
        }
        defer { closedir(directory) }
        var kept: [[UInt8]] = []
        var ceiling: [UInt8]?
        while let entry = readdir(directory) {
            let type = Int(entry.pointee.d_type)
            let accepted: [UInt8]? = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    let name = UnsafeRawBufferPointer(start: text, count: strlen(text))
                    // Files, nearly all entries of a large directory, are sorted out before anything is allocated.
                    if type == DT_REG, !lies(name, after: nameBound, upTo: ceiling) { return nil }
                    return candidate(name, type)
                }
            }
            guard let accepted, lies(accepted, after: nameBound, upTo: ceiling) else { continue }
            kept.append(accepted)
            if kept.count >= 2 * count { ceiling = trim(&kept, to: count) }
        }
        _ = trim(&kept, to: count)
        return kept.map { stem + $0 }
    }

    /// The entry as part of a key, or nil when it is none.
    private func candidate(_ name: UnsafeRawBufferPointer, _ type: Int) -> [UInt8]? {
        if name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8) { return nil }
        if name.starts(with: DirectoryLayout.reserved.utf8) { return nil }
        guard let text = String(validating: name, as: UTF8.self) else { return nil }
        switch type {
        case DT_REG: break
        case DT_DIR: return within(Array(name) + [slash])
        case DT_UNKNOWN:  // This filesystem keeps no types in its directories.
            switch (try? Files.statusOfLink(path + "/" + text))?.kind {
            case .regular: break
            case .directory: return within(Array(name) + [slash])
            default: return nil
            }
        default: return nil
        }
        return within(Array(name))
    }

    private func within(_ key: [UInt8]) -> [UInt8]? { key.starts(with: namePrefix) ? key : nil }

    /// Whether a name is behind the bound and not behind the ceiling. A directory on the bound's own way counts as
    /// behind it, for part of its contents is.
    private func lies(_ name: some BidirectionalCollection<UInt8>, after bound: [UInt8], upTo ceiling: [UInt8]?) -> Bool
    {
        if let ceiling, ceiling.lexicographicallyPrecedes(name) { return false }
        if bound.lexicographicallyPrecedes(name) { return true }
        guard name.last == slash, bound.starts(with: name) else { return false }
        return !bound.elementsEqual(Array(name) + [0xff])
    }

    /// Keeps the `count` smallest, sorted.
    /// - Returns: the largest that is kept, when there are as many.
    private func trim(_ keys: inout [[UInt8]], to count: Int) -> [UInt8]? {
        keys.sort { $0.lexicographicallyPrecedes($1) }
        if keys.count > count { keys.removeLast(keys.count - count) }
        return keys.count == count ? keys.last : nil
    }
}

private let slash = UInt8(ascii: "/")

extension ObjectInfo {
    /// The facts of a file. Its tag is made of what changes when the file is replaced or written to.
    init(key: String, _ status: FileStatus) {
        let tag = [UInt64(bitPattern: status.modified.nanoseconds), status.size, status.inode]
        let etag = tag.map { String($0, radix: 16) }.joined(separator: "-")
        self.init(key: key, size: status.size, etag: etag, modified: status.modified)
    }
}
