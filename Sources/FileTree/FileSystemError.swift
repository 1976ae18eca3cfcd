/// Why a call on the tree failed: a kind that the bridge maps to an errno, and words for the log.
public struct FileSystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The meanings; `FuseBridge/ErrnoTable.swift` holds the one mapping to errno values.
    public enum Kind: String, Sendable, CaseIterable {
        /// No such name, or the session has gone from the bucket.
        case notFound
        case notDirectory
        case isDirectory
        /// An inode of a session that the catalog no longer holds.
        case stale
        /// The name is taken.
        case exists
        /// Writing where nothing can be written.
        case readOnly
        /// Not possible in `sessions/`, whatever the rights: directories, links, another owner.
        case notPermitted
        /// The name is still needed by a change that is on its way to the bucket.
        case busy
        /// Only copying does it, as between filesystems.
        case crossDevice
        case tooLarge
        /// A way of writing that does not exist here, such as punching holes.
        case unsupported
        case invalidArgument
        case nameTooLong
        /// The extended attribute is not set.
        case noAttribute
        /// The attribute's namespace does not exist here (only `user.` does).
        case attributesUnsupported
        /// The caller's buffer is too small for the attribute.
        case bufferTooSmall
        /// The store cannot be reached and the bytes are not cached.
        case offline
        /// The store refused the credentials.
        case denied
        /// The object was replaced while it was being read.
        case changed
        /// The bytes do not have the checksum that they should.
        case corrupt
        /// The disk of the cache or of the state directory is full.
        case diskFull
        /// The caller, or an operator, cancelled it.
        case interrupted
        case inputOutput
    }

    /// The meaning.
    public let kind: Kind
    /// What failed, on which object, in words; no credentials.
    public let message: String

    /// A failure by its meaning and words.
    public init(_ kind: Kind, _ message: String = "") {
        self.kind = kind
        self.message = message
    }

    /// `offline: sessions/x.fastshot: connection refused`.
    public var description: String { message.isEmpty ? kind.rawValue : "\(kind.rawValue): \(message)" }
}
