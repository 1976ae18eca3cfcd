internal import Digests
internal import Platform
internal import SessionFormat

/// What a listing is compared with, without the metadata.
struct KnownObject {
    let id: Int64
    let size: UInt64
    let etag: String?
    let md5: [UInt8]?
    let uploaded: Timestamp?
    let listed: Bool
    let isNamed: Bool

    /// Whether there is nothing to learn. While the overall file names the session and says the same, it does not
    /// matter which of the two was heard. Upload times count by seconds, as some stores cut them in one of both.
    func agrees(with facts: ObjectFacts) -> Bool {
        guard listed || isNamed, facts.size == size, facts.etag == etag || facts.etag == nil else { return false }
        if let text = facts.contentMD5, Hex.decode(text) != md5 { return false }
        return facts.uploaded == nil || facts.uploaded?.seconds == uploaded?.seconds
    }
}

/// The small statements of a pass over the bucket.
extension Connection {
    /// Runs a statement that takes one id and gives nothing.
    func run(_ query: Query, _ id: Int64) throws(CatalogError) {
        try use(query) { statement throws(CatalogError) in
            statement.bind(0, id)
            _ = try statement.step()
        }
    }

    /// The ids that a statement finds behind one.
    func ids(_ query: Query, _ after: Int64) throws(CatalogError) -> [Int64] {
        try use(query) { statement throws(CatalogError) in
            statement.bind(0, after)
            var found: [Int64] = []
            while try statement.step() { found.append(statement.integer(0)) }
            return found
        }
    }

    /// The marks that a session's row left; nil when the session is not known.
    func marks(_ fileName: String) throws(CatalogError) -> (id: Int64, facts: Int64?, metadata: Int64?)? {
        try use(.marks) { statement throws(CatalogError) in
            statement.bind(0, fileName)
            guard try statement.step() else { return nil }
            return (statement.integer(0), statement.optionalInteger(1), statement.optionalInteger(2))
        }
    }

    /// What is known of an object by its file name.
    func known(_ fileName: String) throws(CatalogError) -> KnownObject? {
        try use(.known) { statement throws(CatalogError) in
            statement.bind(0, fileName)
            guard try statement.step() else { return nil }
            return KnownObject(
                id: statement.integer(0), size: UInt64(bitPattern: statement.integer(1)), etag: statement.text(2),
                md5: statement.blob(3), uploaded: statement.optionalInteger(4).map(Timestamp.init(nanoseconds:)),
                listed: statement.integer(5) != 0, isNamed: !statement.isNull(6))
        }
    }

    /// What is known of a session's index by the session's file name.
    func knownIndex(_ fileName: String) throws(CatalogError) -> (id: Int64, state: IndexState, etag: String?)? {
        try use(.knownIndex) { statement throws(CatalogError) in
            statement.bind(0, fileName)
            guard try statement.step() else { return nil }
            let state = IndexState(rawValue: Int(statement.integer(1))) ?? .unknown
            return (statement.integer(0), state, statement.text(2))
        }
    }

    /// The greatest file name in the order of UTF-8 bytes.
    func greatestFileName() throws(CatalogError) -> String? {
        try use(.greatestName) { statement throws(CatalogError) in try statement.step() ? statement.text(0) : nil }
    }

    /// The refuted row of a session that is gone.
    func refutation(_ fileName: String) throws(CatalogError) -> (id: Int64, facts: Int64)? {
        try use(.refutation) { statement throws(CatalogError) in
            statement.bind(0, fileName)
            return try statement.step() ? (statement.integer(0), statement.integer(1)) : nil
        }
    }

    /// Every refuted row.
    func refutedNames() throws(CatalogError) -> [(id: Int64, fileName: String)] {
        try use(.refutedNames) { statement throws(CatalogError) in
            var found: [(Int64, String)] = []
            while try statement.step() { found.append((statement.integer(0), statement.text(1) ?? "")) }
            return found
        }
    }

    /// Notes that a row names a session that is not there.
    func refute(_ fileName: String, _ facts: Int64) throws(CatalogError) {
        try use(.refute) { statement throws(CatalogError) in
            statement.bind(0, fileName)
            statement.bind(1, facts)
            _ = try statement.step()
        }
    }

    /// Notes a name that cannot be a file.
    func reject(
        _ key: String, _ problem: NameProblem, _ source: RejectionSource, pass: Int64
    ) throws(CatalogError) {
        try use(.reject) { statement throws(CatalogError) in
            statement.bind(0, key)
            statement.bind(1, source.rawValue)
            statement.bind(2, problem.rawValue)
            statement.bind(3, pass)
            _ = try statement.step()
        }
    }

    /// Forgets the names of one source that a complete pass did not meet.
    func forgetRejected(_ source: RejectionSource, except pass: Int64) throws(CatalogError) {
        try use(.forgetRejected) { statement throws(CatalogError) in
            statement.bind(0, source.rawValue)
            statement.bind(1, pass)
            _ = try statement.step()
        }
    }
}
