public import ObjectStore
public import Platform

/// A version of a session's object, as far as it is known: what a change replaces or removes.
public struct ObjectVersion: Sendable, Equatable {
    /// The version's tag without quotes; nil where the catalog did not know it.
    public var etag: String?
    /// In bytes.
    public var size: UInt64
    /// The MD5 of the contents in lower-case hex, where known.
    public var contentMD5: String?
    /// A removal of ours may have taken it away already: not to find it is no conflict.
    public var mayBeGone: Bool

    /// A version by its parts.
    public init(etag: String?, size: UInt64, contentMD5: String? = nil, mayBeGone: Bool = false) {
        self.etag = etag
        self.size = size
        self.contentMD5 = contentMD5
        self.mayBeGone = mayBeGone
    }
}

/// Contents that wait for upload: a whole, durable file in the state directory that does not change any more.
public struct StagedContent: Sendable, Equatable {
    /// Absolute; `<state>/staging/<n>`.
    public var path: String
    /// In bytes.
    public var size: UInt64
    /// The modification time that programs see until the upload.
    public var modified: Timestamp

    /// Contents by their parts.
    public init(path: String, size: UInt64, modified: Timestamp) {
        self.path = path
        self.size = size
        self.modified = modified
    }
}

/// What tells contents apart for good: length and MD5.
public struct ContentFingerprint: Sendable, Equatable, Hashable {
    /// In bytes.
    public var size: UInt64
    /// Lower-case hex.
    public var md5: String

    /// A fingerprint by its parts.
    public init(size: UInt64, md5: String) {
        self.size = size
        self.md5 = md5
    }
}

/// One session whose wanted state is not yet the bucket's: what is to be, and what the bucket was last known to hold.
///
/// | wanted name | contents | remote name | it is |
/// |---|---|---|---|
/// | x | c | nil | a new session |
/// | x | c | x | an edit |
/// | nil | nil | x | a removal |
/// | y | nil | x | a rename |
/// | y | c | x | an edit that was renamed |
public struct PendingChange: Sendable, Equatable {
    /// What keeps a change from being sent.
    public enum State: String, Sendable, CaseIterable {
        /// Nothing: it is sent as soon as it can.
        case ready
        /// A program has the file open for writing.
        case open
        /// Its name is none of a session (`.part`, `~`, dot-files): it lives here and is never sent.
        case local
        /// The contents are no FastShot session, and the store is configured to refuse those.
        case refused
        /// The store refused it for good; `reason` says why. Tried again by `flush` and at the next mount.
        case failed
        /// It waits for the user's decision on a conflict.
        case conflict
        /// It belongs to a batch that was begun and not committed.
        case held
    }

    /// The session's id: the catalog's, or one reserved there.
    public var id: Int64
    /// Rises with every change of what is wanted; tells a finished upload from the change that came meanwhile.
    public var generation: Int64
    /// The order in which changes were made.
    public var sequence: Int64
    /// The file name that the session shall have; nil to be removed.
    public var name: String?
    /// New contents; nil where those of the bucket stay.
    public var content: StagedContent?
    /// The file name that the object has in the bucket; nil where there is none yet.
    public var remoteName: String?
    /// What the bucket holds under ``remoteName``.
    public var remote: ObjectVersion?
    /// A session that this one takes the place of, by a rename over it or by a new file after a removal: its version
    /// under ``name``, which the upload expects there. Nil expects nothing there.
    public var replaces: ObjectVersion?
    /// That session's id.
    public var replacedID: Int64?
    /// Contents that earlier generations may have sent to the bucket: found there, they are ours and no conflict.
    public var attempted: [ContentFingerprint]
    /// An upload in parts that was begun for ``content``.
    public var multipart: MultipartProgress?
    /// What keeps it from being sent.
    public var state: State
    /// Why it is not sent, for the user; empty when there is nothing to say.
    public var reason: String
    /// When the user made the change last.
    public var changed: Timestamp
    /// The batch that it belongs to.
    public var batch: Int64?
    /// The conflict that it waits for or came from.
    public var conflict: Int64?

    /// A change by its parts.
    public init(
        id: Int64, generation: Int64 = 1, sequence: Int64, name: String?, content: StagedContent? = nil,
        remoteName: String? = nil, remote: ObjectVersion? = nil, replaces: ObjectVersion? = nil,
        replacedID: Int64? = nil, attempted: [ContentFingerprint] = [], multipart: MultipartProgress? = nil,
        state: State = .ready, reason: String = "", changed: Timestamp = .now, batch: Int64? = nil,
        conflict: Int64? = nil
    ) {
        self.id = id
        self.generation = generation
        self.sequence = sequence
        self.name = name
        self.content = content
        self.remoteName = remoteName
        self.remote = remote
        self.replaces = replaces
        self.replacedID = replacedID
        self.attempted = attempted
        self.multipart = multipart
        self.state = state
        self.reason = reason
        self.changed = changed
        self.batch = batch
        self.conflict = conflict
    }

    /// What the user did, in a word for lists.
    public enum Kind: String, Sendable, CaseIterable { case create, edit, remove, rename }

    /// What the user did.
    public var kind: Kind {
        if name == nil { return .remove }
        if remoteName == nil { return replaces == nil ? .create : .edit }
        return name.hasSameBytes(as: remoteName) ? .edit : .rename
    }

    /// The name to call it by: the wanted one, for removals the one that goes.
    public var subject: String { name ?? remoteName ?? "" }
}
