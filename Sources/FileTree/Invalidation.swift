public import Catalog
internal import Platform

/// Something the kernel may have cached that is no longer so.
public enum Invalidation: Sendable, Equatable {
    /// A directory's listing.
    case listing(Inode)
    /// A name in a directory, with what it led to.
    case name(String, in: Inode)
    /// A file's attributes and pages.
    case contents(Inode)
    /// The same of all rows of a slot, from 1 to the last. A name of one that is gone is looked up again when the
    /// kernel finds it stale.
    case allContents(Inode.Slot, last: Int64)
}

extension FileTree {
    /// What a change of the catalog makes stale. The directories' own modification time moves on.
    public func invalidations(for delta: CatalogDelta) -> [Invalidation] {
        if !delta.isEmpty { listingChanged.withLock { $0 = .now } }
        if delta.reset {
            checkVersions { _ in true }
        } else if !delta.changed.isEmpty {
            let changed = Set(delta.changed)
            checkVersions { changed.contains($0) }
        }
        var stale: [Invalidation] = []
        stale.reserveCapacity(delta.removed.count * 2 + delta.changed.count * 2 + 2)
        for item in delta.removed {
            let fileName = item.fileName
            stale.append(.name(fileName, in: Inode(slot: .sessions)))
            if let index = indexName(ofBody: fileName) { stale.append(.name(index, in: Inode(slot: .metaIndexes))) }
        }
        for id in delta.changed {
            stale.append(.contents(Inode(slot: .body, row: id)))
            stale.append(.contents(Inode(slot: .index, row: id)))
        }
        // Nobody knows which: another process has made the change.
        if delta.reset, let last = try? sources.catalog.lastID(), last > 0 {
            stale.append(.allContents(.body, last: last))
            stale.append(.allContents(.index, last: last))
        }
        // A changed size or date is part of a cached listing too, and a new index adds a name to meta_indexes.
        if !delta.isEmpty {
            stale.append(.listing(Inode(slot: .sessions)))
            stale.append(.listing(Inode(slot: .metaIndexes)))
        }
        return stale
    }
}
