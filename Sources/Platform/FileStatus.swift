internal import CSystem
internal import Glibc

/// What stat(2) says of a file.
public struct FileStatus: Sendable, Equatable {
    /// What kind of file it is.
    public enum Kind: Sendable { case regular, directory, symbolicLink, other }
    /// What kind of file it is.
    public let kind: Kind
    /// Length in bytes.
    public let size: UInt64
    /// Bytes that the disk holds for it; less than the size for a sparse file.
    public let allocated: UInt64
    /// Permission bits, 0 to 0o7777.
    public let permissions: UInt32
    /// The user id of the owner.
    public let owner: UInt32
    /// When the contents last changed.
    public let modified: Timestamp
    /// When it was last read, as far as the filesystem keeps that.
    public let accessed: Timestamp
    /// The number within its filesystem.
    public let inode: UInt64
    /// Which filesystem it lies on.
    public let device: UInt64

    init(_ raw: stat) {
        kind =
            switch raw.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        size = UInt64(max(0, raw.st_size))
        allocated = UInt64(max(0, raw.st_blocks)) * 512
        permissions = UInt32(raw.st_mode & 0o7777)
        owner = raw.st_uid
        modified = Timestamp(seconds: Int64(raw.st_mtim.tv_sec), nanoseconds: Int64(raw.st_mtim.tv_nsec))
        accessed = Timestamp(seconds: Int64(raw.st_atim.tv_sec), nanoseconds: Int64(raw.st_atim.tv_nsec))
        inode = UInt64(raw.st_ino)
        device = UInt64(raw.st_dev)
    }
}
