internal import Digests
public import SessionFormat

/// A session that this process has just put into the bucket.
public struct PublishedSession: Sendable {
    /// The catalog's id, or one of ``Catalog/reserveID()``.
    public var id: Int64
    /// The file name that it has now.
    public var fileName: String
    /// The object.
    public var facts: ObjectFacts
    /// The SHA-256 of the contents in lower-case hex, where known.
    public var sha256: String?
    /// The metadata of its index; nil where it has none.
    public var metadata: SessionMetadata?
    /// The index object's tag.
    public var indexETag: String?
    /// The index object's bytes; nil where they are those that the metadata gives.
    public var indexBytes: [UInt8]?

    /// A published session by its parts.
    public init(
        id: Int64, fileName: String, facts: ObjectFacts, sha256: String? = nil, metadata: SessionMetadata? = nil,
        indexETag: String? = nil
    ) {
        self.id = id
        self.fileName = fileName
        self.facts = facts
        self.sha256 = sha256
        self.metadata = metadata
        self.indexETag = indexETag
    }
}

/// What this process writes to the bucket itself.
extension Catalog {
    /// Ids are taken from the database so many at a time: a new file must not wait for a refresh that is writing.
    private static let reservedAtOnce: Int64 = 64

    /// An id that no session has or will get, for a file that is not in the bucket yet.
    public func reserveID() throws(CatalogError) -> Int64 {
        if let id = takeReserved() { return id }
        let last = try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                try connection.advanceSequence(.advanceSequence, Catalog.reservedAtOnce)
            }
        }
        let first = last - Catalog.reservedAtOnce + 1
        reserved.withLock { $0 = first + 1..<last + 1 }
        return first
    }

    private func takeReserved() -> Int64? {
        reserved.withLock { range in
            guard let first = range.first else { return nil }
            range = first + 1..<range.upperBound
            return first
        }
    }

    /// Makes sure that ids given from now on are greater than one that is in use elsewhere, after a new catalog was made.
    public func reserveIDs(above id: Int64) throws(CatalogError) {
        _ = try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                try connection.advanceSequence(.raiseSequence, id)
            }
        }
        reserved.withLock { range in
            if range.lowerBound <= id { range = 0..<0 }
        }
    }

    /// Takes sessions that were put into the bucket, in one transaction. Another session of the same name goes; one of
    /// the same id and another name was renamed, which the delta shows as one that went and one that came. A refresh
    /// that began before does not undo it.
    public func published(_ sessions: [PublishedSession]) throws(CatalogError) -> CatalogDelta {
        if sessions.isEmpty { return CatalogDelta() }
        return try recordOwnWrites { connection throws(CatalogError) in
            var publication = Publication(connection)
            for session in sessions { try publication.leaveOldName(session) }
            for session in sessions { try publication.take(session) }
            return publication.delta
        }
    }

    /// Takes the removal of sessions from the bucket. A refresh that began before does not bring them back.
    /// - Parameter names: what was removed under names that no refresh may have met: an upload whose answer was lost.
    public func unpublished(
        _ ids: [Int64], under names: [CatalogDelta.Item] = []
    ) throws(CatalogError) -> CatalogDelta {
        if ids.isEmpty, names.isEmpty { return CatalogDelta() }
        return try recordOwnWrites { connection throws(CatalogError) in
            var publication = Publication(connection)
            for id in ids { try publication.remove(id) }
            for item in names { try connection.noteOwnWrite(item.id, item.fileName) }
            return publication.delta
        }
    }

    /// Gives a session another id, as its own is that of a file which has nothing to do with it any more.
    /// - Parameter new: of ``reserveID()``, or another that no session has.
    /// - Returns: nothing where there is no such session, or the new id is taken.
    public func renumber(_ id: Int64, as new: Int64) throws(CatalogError) -> CatalogDelta {
        try recordOwnWrites { connection throws(CatalogError) in
            guard var known = try connection.record(id: id)?.record, try connection.record(id: new) == nil else {
                return CatalogDelta()
            }
            try connection.run(.deleteSession, id)
            // A pass that is under way has met it by its other id.
            try connection.noteOwnWrite(new, known.fileName)
            known.id = new
            try connection.insertPublished(known)
            return CatalogDelta(
                added: [.init(id: new, fileName: known.fileName)], removed: [.init(id: id, fileName: known.fileName)])
        }
    }

    private func recordOwnWrites(
        _ body: (Connection) throws(CatalogError) -> CatalogDelta
    ) throws(CatalogError) -> CatalogDelta {
        try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                try connection.forgetOldOwnWrites()
                let delta = try body(connection)
                if !delta.isEmpty { try noteRevision(connection) }
                return delta
            }
        }
    }
}

/// Own writes on their way into one transaction.
private struct Publication {
    let connection: Connection
    var delta = CatalogDelta()
    /// What was known of the sessions that come under another name.
    private var renamed: [Int64: Record] = [:]

    init(_ connection: Connection) { self.connection = connection }

    /// Before any of them is written, so that names can be exchanged.
    mutating func leaveOldName(_ session: PublishedSession) throws(CatalogError) {
        guard let known = try connection.record(id: session.id)?.record,
            !known.fileName.utf8.elementsEqual(session.fileName.utf8)
        else { return }
        renamed[session.id] = known
        try remove(known)
    }

    mutating func take(_ session: PublishedSession) throws(CatalogError) {
        try connection.noteOwnWrite(session.id, session.fileName, etag: session.facts.etag)
        var known = try connection.record(fileName: session.fileName)?.record
        let refutation = try connection.refutation(session.fileName)
        if let refutation { try connection.run(.deleteRefuted, refutation.id) }
        // The row that the overall file last had for this name is none of the new session's. Should somebody write it
        // again, it is known for that.
        let (rowFacts, rowMetadata) = (known?.rowFacts ?? refutation?.facts, known?.rowMetadata)
        if let other = known, other.id != session.id {
            try connection.noteOwnWrite(other.id, other.fileName)
            try connection.run(.deleteSession, other.id)
            delta.removed.append(.init(id: other.id, fileName: other.fileName))
            known = nil
        }
        var next = known ?? renamed[session.id] ?? Record(fileName: session.fileName)
        next.id = session.id
        next.fileName = session.fileName
        next.take(session)
        next.rowFacts = rowFacts
        next.rowMetadata = rowMetadata
        next.settle()
        guard let known else {
            try connection.insertPublished(next)
            return delta.added.append(.init(id: next.id, fileName: next.fileName))
        }
        try connection.update(next)
        if !next.shows(sameAs: known) { delta.changed.append(next.id) }
    }

    mutating func remove(_ id: Int64) throws(CatalogError) {
        if let known = try connection.record(id: id)?.record { try remove(known) }
    }

    private mutating func remove(_ known: Record) throws(CatalogError) {
        try connection.noteOwnWrite(known.id, known.fileName)
        try connection.run(.deleteSession, known.id)
        if let facts = known.rowFacts { try connection.refute(known.fileName, facts) }
        delta.removed.append(.init(id: known.id, fileName: known.fileName))
    }
}

extension Record {
    /// Takes what this process wrote: object and index.
    fileprivate mutating func take(_ session: PublishedSession) {
        take(session.facts)
        if let text = session.sha256, let digest = Hex.decode(text), digest.count == 32 { sha256 = digest }
        reason = nil
        indexBytes = session.metadata == nil ? nil : session.indexBytes
        indexEtag = session.indexETag
        metadata = session.metadata
        source = session.metadata == nil ? .none : .object
        state = session.metadata != nil ? .known : session.indexETag == nil ? .missing : .unknown
    }
}

extension Connection {
    /// Raises the sequence that ids come from.
    /// - Returns: the last id of the sequence.
    fileprivate func advanceSequence(_ query: Query, _ number: Int64) throws(CatalogError) -> Int64 {
        let last = try use(query) { statement throws(CatalogError) in
            statement.bind(0, number)
            return try statement.step() ? statement.integer(0) : nil
        }
        if let last { return last }
        // No session was ever added.
        try run(.beginSequence, number)
        return number
    }

    /// Adds a settled record under the id that it has.
    fileprivate func insertPublished(_ record: Record) throws(CatalogError) {
        try use(.insertSessionByID) { statement throws(CatalogError) in
            statement.bind(0, record.fileName)
            statement.bindBrowse(record)
            statement.bind(5, record.id)
            _ = try statement.step()
        }
        try insertDetail(record)
    }
}
