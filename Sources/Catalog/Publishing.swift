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
    /// An id that no session has or will get, for a file that is not in the bucket yet.
    public func reserveID() throws(CatalogError) -> Int64 { fatalError("skeleton") }

    /// Makes sure that ids given from now on are greater than one that is in use elsewhere, after a new catalog was made.
    public func reserveIDs(above id: Int64) throws(CatalogError) { fatalError("skeleton") }

    /// Takes sessions that were put into the bucket, in one transaction. Another session of the same name goes; one of
    /// the same id and another name was renamed. A refresh that began before does not undo it.
    public func published(_ sessions: [PublishedSession]) throws(CatalogError) -> CatalogDelta { fatalError("skeleton") }

    /// Takes the removal of sessions from the bucket. A refresh that began before does not bring them back.
    public func unpublished(_ ids: [Int64]) throws(CatalogError) -> CatalogDelta { fatalError("skeleton") }
}
