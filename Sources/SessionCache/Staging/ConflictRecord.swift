public import Platform

/// What collided.
public enum ConflictKind: String, Sendable, CaseIterable {
    /// Two clients made a session of one name.
    case created
    /// Edited here and there.
    case edited
    /// Edited here, removed there.
    case editedRemoved = "edited_removed"
    /// Removed here, edited there.
    case removedEdited = "removed_edited"
    /// Renamed here; there its object was replaced or removed, or the new name was taken.
    case renamed
}

/// How conflicts are decided.
public enum ConflictStrategy: String, Sendable, CaseIterable {
    /// The later change wins: the local file's time against the object's upload time.
    case lastWriteWins = "last_write_wins"
    /// The bucket's version stays.
    case serverPreferred = "server_preferred"
    /// This machine's version is sent.
    case localPreferred = "local_preferred"
    /// Both versions stay readable until the user decides. The default.
    case manual
}

/// Which version a conflict is decided for.
public enum ConflictChoice: String, Sendable, CaseIterable {
    /// This machine's: it replaces the bucket's.
    case mine
    /// The bucket's: this machine's contents are kept aside, see ``ConflictRecord/keptPath``.
    case theirs
    /// Both: this machine's is sent under the name that it is shown by.
    case both
}

/// A conflict, pending or decided.
public struct ConflictRecord: Sendable, Equatable {
    /// Unique in the state directory; part of the local version's name.
    public var id: Int64
    /// What collided.
    public var kind: ConflictKind
    /// The file name that both sides wanted.
    public var name: String
    /// The file name by which the local version is shown until decided; nil where the local side is a removal or a
    /// rename, which has no contents of its own.
    public var localName: String?
    /// The change that is in conflict; nil once decided, or where the local side has no contents.
    public var changeID: Int64?
    /// What the local change had expected in the bucket; nil: nothing.
    public var expected: ObjectVersion?
    /// What it found there; nil: nothing.
    public var found: ObjectVersion?
    /// When the found version was written, where the store said so.
    public var foundModified: Timestamp?
    /// For `.renamed`, and `.removedEdited`: what the user wanted to happen to ``name``: the new name, nil to remove it.
    public var wantedName: String?
    /// For `.renamed`, where ``name`` is the new name and was taken: the name of the session that was to get it.
    public var sourceName: String?
    /// When it was noticed.
    public var opened: Timestamp
    /// When it was decided; nil while pending.
    public var decided: Timestamp?
    /// The decision.
    public var choice: ConflictChoice?
    /// Who decided: `user`, or the strategy.
    public var decidedBy: String?
    /// Where the losing local contents are kept, absolute; nil where there are none.
    public var keptPath: String?

    /// A record by its parts.
    public init(
        id: Int64, kind: ConflictKind, name: String, localName: String? = nil, changeID: Int64? = nil,
        expected: ObjectVersion? = nil, found: ObjectVersion? = nil, foundModified: Timestamp? = nil,
        wantedName: String? = nil, sourceName: String? = nil, opened: Timestamp = .now, decided: Timestamp? = nil,
        choice: ConflictChoice? = nil,
        decidedBy: String? = nil, keptPath: String? = nil
    ) {
        self.id = id
        self.kind = kind
        self.name = name
        self.localName = localName
        self.changeID = changeID
        self.expected = expected
        self.found = found
        self.foundModified = foundModified
        self.wantedName = wantedName
        self.sourceName = sourceName
        self.opened = opened
        self.decided = decided
        self.choice = choice
        self.decidedBy = decidedBy
        self.keptPath = keptPath
    }
}
