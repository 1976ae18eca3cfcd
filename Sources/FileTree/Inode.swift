/// An inode number: a catalog row and, in the low four bits, the slot of the node that answers for it. Fixed nodes
/// have row 0, so the root is 1, as FUSE wants it. Row ids are never reused, hence inode numbers are stable across
/// remounts and never come back for another session.
public struct Inode: Sendable, Hashable {
    /// The number the kernel sees.
    public let number: UInt64

    /// An inode as it came from the kernel.
    public init(number: UInt64) { self.number = number }

    /// The inode of a row in a slot.
    public init(slot: Slot, row: Int64 = 0) { number = UInt64(bitPattern: row) << 4 | UInt64(slot.rawValue) }

    /// The root directory, `FUSE_ROOT_ID`.
    public static let root = Inode(slot: .root)

    /// The catalog row; 0 for fixed nodes.
    public var row: Int64 { Int64(bitPattern: number >> 4) }
    /// The slot's index, 0 to 15.
    public var slotIndex: Int { Int(number & 15) }

    /// Which node answers. A new view takes a free number and registers itself in ``FileTree``. The bridge gives bodies
    /// further inodes of the kernel with the numbers from 10.
    public enum Slot: UInt8, Sendable, CaseIterable {
        case root = 1
        case sessions = 2
        case metaIndexes = 3
        case control = 4
        case overall = 5
        case status = 6
        case body = 8
        case index = 9
    }
}
