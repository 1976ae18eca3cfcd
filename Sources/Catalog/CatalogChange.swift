public import SessionFormat

/// One thing learnt about the bucket.
public enum CatalogChange: Sendable {
    /// A row of the overall file.
    /// - etagIsContentMD5: whether the store's tags of small objects are MD5 sums, so that the row's is the tag.
    case row(OverallRow, etagIsContentMD5: Bool)
    /// The store said this of `sessions/<file name>`: a listing, HEAD or GET.
    case object(fileName: String, ObjectFacts)
    /// This was found under the key of a session's index.
    case index(id: Int64, IndexFinding)
    /// A listing shows the index of `<file name>`.
    case listedIndex(fileName: String, etag: String?)
    /// The object is gone.
    case gone(id: Int64)
}

/// What was found under the key of a session's index.
public enum IndexFinding: Sendable, Equatable {
    /// An index, the object's bytes and its version.
    case known(MetadataIndex, bytes: [UInt8], etag: String?)
    /// Nothing.
    case missing
    /// Something that cannot be read, and why.
    case corrupt(reason: String, etag: String?)
}

/// What a pass over the overall file or a listing met.
public struct Sighting: Sendable {
    /// Sessions of the catalog, new ones included.
    public internal(set) var sessions = IDSet()
    /// Rows of sessions that a listing has refuted, by the id of the refutation.
    var refutations = IDSet()
    /// Sessions of listed indexes that are unknown.
    var unknown: [CatalogDelta.Item] = []
    /// Tells the rejections of this pass from older ones.
    let pass = Int64.random(in: .min ... .max)
    /// Rows that were left out because they name no size and the store was not heard yet.
    public internal(set) var rowsWithoutSize = 0
    /// Rows that were left out because this machine removed their sessions after the time that they name: whoever wrote
    /// them may not have noticed. A listing tells.
    public internal(set) var rowsInDoubt = 0
    /// A complete listing came before: sessions that it did not show are not there, whatever the rows say.
    public var followsListing = false
    /// Keys and rows that are no session (their name does not end in `.fastshot`).
    public internal(set) var ignored = 0
    /// Names that cannot be files.
    public internal(set) var rejected = 0

    /// The mark from before the pass began.
    let since: WriteMark?

    /// Nothing met yet.
    /// - Parameter since: ``Catalog/writeMark()`` from before the first request of the pass: what this machine has
    ///   written to the bucket since then, the pass neither drops nor changes nor brings back. Nil where everything
    ///   that it says is true now.
    public init(since: WriteMark? = nil) { self.since = since }

    /// The sessions whose index was listed and is unknown, since the last call.
    public mutating func takeUnknown() -> [CatalogDelta.Item] {
        defer { unknown = [] }
        return unknown
    }
}

/// A name in the bucket that cannot be a file.
public struct RejectedName: Sendable, Equatable {
    /// The key, or `sessions/` and the name in the overall file's row.
    public var key: String
    /// Why it cannot be a file.
    public var problem: NameProblem
}
