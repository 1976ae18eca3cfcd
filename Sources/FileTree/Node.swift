public import Platform

/// What stat(2) shows of a node.
public struct FileAttributes: Sendable, Equatable {
    /// What kind of file it is.
    public enum Kind: Sendable { case regular, directory, symbolicLink }
    /// The node.
    public var inode: Inode
    /// What kind of file it is.
    public var kind: Kind
    /// Permission bits.
    public var permissions: UInt16
    /// Length in bytes.
    public var size: UInt64
    /// mtime in nanoseconds since the epoch.
    public var modifiedNanoseconds: Int64
    /// The node may change without a notice to the kernel: it must ask again each time.
    public var isDynamic: Bool
    /// False for a file that is open and has no name any more.
    public var hasName = true

    /// Attributes of a node; by default a read-only regular file that changes only with a notice.
    public init(
        inode: Inode, kind: Kind = .regular, permissions: UInt16 = 0o444, size: UInt64, modifiedNanoseconds: Int64,
        isDynamic: Bool = false
    ) {
        self.inode = inode
        self.kind = kind
        self.permissions = permissions
        self.size = size
        self.modifiedNanoseconds = modifiedNanoseconds
        self.isDynamic = isDynamic
    }

    static func directory(
        _ slot: Inode.Slot, modified: Timestamp, permissions: UInt16 = 0o555
    ) -> FileAttributes {
        FileAttributes(
            inode: Inode(slot: slot), kind: .directory, permissions: permissions, size: 0,
            modifiedNanoseconds: modified.nanoseconds)
    }
}

/// A kind of node; one object answers for all rows of its slot.
protocol TreeNode: Sendable {
    /// - Throws: `.stale` when the row is gone.
    func attributes(_ row: Int64) throws(FileSystemError) -> FileAttributes
    /// Names of the extended attributes, all in the `user.` namespace.
    func attributeNames(_ row: Int64) throws(FileSystemError) -> [String]
    /// - Throws: `.noAttribute` when it is not set.
    func attribute(_ name: String, _ row: Int64) throws(FileSystemError) -> [UInt8]
}

extension TreeNode {
    func attributeNames(_ row: Int64) throws(FileSystemError) -> [String] { [] }
    func attribute(_ name: String, _ row: Int64) throws(FileSystemError) -> [UInt8] {
        throw FileSystemError(.noAttribute)
    }
}

/// Receives entries of a listing: name bytes, attributes, and the cookie by which the listing goes on behind this
/// entry. Answers false when it has no more room; that entry was then not taken.
public typealias DirectoryEmitter = (_ name: RawSpan, _ attributes: FileAttributes, _ next: UInt64) -> Bool

/// A directory.
protocol TreeDirectory: TreeNode {
    /// - Throws: `.notFound`.
    func lookup(_ name: String, in row: Int64) throws(FileSystemError) -> FileAttributes
    /// Entries behind a cookie of this directory; 0 begins. Without `.` and `..`.
    func scan(_ row: Int64, after cookie: UInt64, _ emit: DirectoryEmitter) throws(FileSystemError)
}

/// A regular file.
protocol TreeFile: TreeNode {
    func open(_ row: Int64) throws(FileSystemError) -> any OpenFile
}

/// How the kernel may cache an open file's pages.
public enum PageCaching: Sendable {
    /// Pages stay valid until an invalidation: contents of one inode change only with a notice.
    case keep
    /// Every read comes here: contents are made anew at each open.
    case direct
    /// The file is whole on a local disk: the kernel may read it there itself.
    case local(FileDescriptor)
}

/// What a read gives.
public enum ReadBytes: Sendable {
    /// Bytes `offset..<offset+count` of a local file, which are there.
    case file(FileDescriptor, offset: UInt64, count: Int)
    case memory([UInt8], Range<Int>)
}

/// The outcome of a read; delivered once, on any thread.
public typealias ReadReply = @Sendable (Result<ReadBytes, FileSystemError>) -> Void

/// An open file.
public protocol OpenFile: Sendable {
    var caching: PageCaching { get }
    /// Whether pages that the kernel has of the inode hold what this file reads.
    var keepsPages: Bool { get }
    /// Whether the kernel was last given this version of the file; its size may be another one's otherwise.
    var isSameVersion: Bool { get }
    /// Reads up to `count` bytes; fewer only at the end of the file. Never waits: where bytes are still to come, the
    /// reply follows when they have.
    func read(at offset: UInt64, count: Int, reply: @escaping ReadReply)
    /// Called once, when the last descriptor is closed. Of a file that is open for writing it waits for the disk.
    func close()
}

extension OpenFile {
    /// Contents of one inode change only with a notice.
    public var keepsPages: Bool { true }
    /// As long as nothing else is known.
    public var isSameVersion: Bool { true }
}

/// A file whose bytes are in memory for as long as it is open.
struct MemoryFile: OpenFile {
    let bytes: [UInt8]
    let caching: PageCaching

    func read(at offset: UInt64, count: Int, reply: @escaping ReadReply) {
        let start = Int(min(offset, UInt64(bytes.count)))
        reply(.success(.memory(bytes, start..<min(bytes.count, start + count))))
    }

    func close() {}
}

/// A local file that is read as it was when it was opened.
struct LocalFile: OpenFile {
    let file: FileDescriptor
    let size: UInt64
    var caching: PageCaching { .direct }

    func read(at offset: UInt64, count: Int, reply: @escaping ReadReply) {
        let start = min(offset, size)
        reply(.success(.file(file, offset: start, count: Int(min(UInt64(count), size - start)))))
    }

    func close() {}
}
