internal import Platform

/// Decides which listings bring attributes along.
///
/// A READDIRPLUS entry with attributes makes the kernel build an inode: of a cold listing of 100,000 sessions that is
/// three quarters of the time, and a plain `ls` needs none of it. A listing without them costs a LOOKUP for each file
/// when the reader stats them after all, which is six times slower than bringing them along. So:
/// - The first listing of a directory begins with a short page of bare names. When lookups in the directory follow,
///   the reader stats what it lists (`ls -l`, file managers), and the following pages bring attributes.
/// - A tree walker says so when it opens the directory (`O_NOFOLLOW`: fts(3), hence `find`, `du`, `grep -r`) and gets
///   attributes from the start.
/// - The kernel may keep every listing. One of bare names serves the next plain `ls` at once. When lookups tell that
///   its reader wants more, the kernel is told to drop it, and what follows comes with attributes.
struct ListingPolicy {
    /// Bare names on the first page, where it is not known yet what the reader wants.
    static let firstPage = 64
    /// Lookups in the directory, since it was opened, that tell a reader who stats. File managers look for a few
    /// special names in every directory.
    static let tellingLookups: UInt64 = 8

    private struct Directory {
        /// A reader has seen the end of a listing, or lookups told that attributes are wanted.
        var listed = false
        var lookups: UInt64 = 0
        /// The listing that the kernel may hold has bare names beyond the first page; how many lookups there had been
        /// when it was given.
        var keptBareAt: UInt64?
    }
    private struct Reader {
        var directory: UInt64
        /// Nil when every page brings attributes.
        var lookupsAtOpen: UInt64?
        var bareEntries = 0
    }

    private var directories: [UInt64: Directory] = [:]
    private var readers: [UInt64: Reader] = [:]
    private var nextReader: UInt64 = 1

    /// A directory is opened.
    /// - Returns: the reader's handle, and whether the kernel may serve it from the listing it holds.
    mutating func open(_ inode: UInt64, treeWalker: Bool) -> (handle: UInt64, keepsListing: Bool) {
        var directory = directories[inode, default: Directory()]
        let bare = !directory.listed && !treeWalker
        let keeps = directory.keptBareAt == nil || !treeWalker
        if !keeps { directory.keptBareAt = nil }
        directories[inode] = directory
        let handle = nextReader
        nextReader += 1
        readers[handle] = Reader(directory: inode, lookupsAtOpen: bare ? directory.lookups : nil)
        return (handle, keeps)
    }

    /// A name was looked up in a directory.
    /// - Returns: whether the kernel has to drop the listing that it holds.
    mutating func lookup(in inode: UInt64) -> Bool {
        var directory = directories[inode, default: Directory()]
        defer { directories[inode] = directory }
        directory.lookups += 1
        guard let keptAt = directory.keptBareAt, directory.listed,
            directory.lookups >= keptAt + ListingPolicy.tellingLookups
        else { return false }
        directory.keptBareAt = nil
        return true
    }

    /// How the next page is filled.
    /// - Returns: nil for attributes with every entry; else at most so many bare names.
    mutating func page(_ handle: UInt64) -> Int? {
        guard var reader = readers[handle], let atOpen = reader.lookupsAtOpen else { return nil }
        if directories[reader.directory, default: Directory()].lookups >= atOpen + ListingPolicy.tellingLookups {
            reader.lookupsAtOpen = nil
            readers[handle] = reader
            return nil
        }
        return reader.bareEntries == 0 ? ListingPolicy.firstPage : .max
    }

    /// A page was sent.
    /// - Parameter bare: how many entries it had without attributes.
    mutating func sent(_ handle: UInt64, bare: Int, atEnd: Bool) {
        guard var reader = readers[handle] else { return }
        reader.bareEntries += bare
        readers[handle] = reader
        guard var directory = directories[reader.directory] else { return }
        if bare > 0, reader.bareEntries > ListingPolicy.firstPage { directory.keptBareAt = directory.lookups }
        if atEnd { directory.listed = true }
        directories[reader.directory] = directory
    }

    /// The reader closed the directory.
    mutating func close(_ handle: UInt64) { readers.removeValue(forKey: handle) }
}
