internal import SessionFormat

/// Changes on their way into one transaction.
struct Pass {
    let connection: Connection
    var sighting: Sighting
    var delta = CatalogDelta()
    /// The greatest file name of the catalog: what is greater is new, without a look. Listings, and the overall files
    /// made from them, come in the order of names.
    private var greatest: [UInt8]?
    private let hasRefutations: Bool
    /// What this machine wrote since the pass began.
    private let own: OwnWrites
    /// When this machine last wrote or removed names; asked for when it matters.
    private var ownTimes: OwnTimes?

    /// Begin the transaction first.
    init(
        _ connection: Connection, _ sighting: Sighting, ownWritesSince number: Int64?
    ) throws(CatalogError) {
        self.connection = connection
        self.sighting = sighting
        greatest = try connection.greatestFileName().map { Array($0.utf8) }
        hasRefutations = try !connection.ids(.refutedIDs, 0).isEmpty
        own = try OwnWrites(connection, since: number)
    }

    mutating func apply(_ change: CatalogChange) throws(CatalogError) {
        switch change {
        case .row(let row, let etagIsContentMD5): try take(row, etagIsContentMD5: etagIsContentMD5)
        case .object(let fileName, let facts): try take(fileName, facts)
        case .index(let id, let finding):
            guard !own.contains(id), let known = try connection.record(id: id) else { return }
            try alter(known.record) { $0.take(finding) }
        case .listedIndex(let fileName, let etag):
            try takeListedIndex(fileName, etag)
        case .gone(let id): if !own.contains(id) { try drop(id) }
        }
    }

    private mutating func take(_ row: OverallRow, etagIsContentMD5: Bool) throws(CatalogError) {
        guard try accepts(row.fileName, .overall), try !isOwn(row.fileName) else { return }
        let marks = RowMarks(row)
        if !isGreatest(row.fileName), let known = try connection.marks(row.fileName) {
            sighting.sessions.insert(known.id)
            let isKnown = known.facts == marks.facts && (marks.metadata == nil || known.metadata == marks.metadata)
            if isKnown { return }
            guard let record = try connection.record(id: known.id)?.record else { return }
            if record.isContested(by: row), try isInDoubt(row) {
                // A client may have seen the version before this machine's. A listing tells which there is.
                if !sighting.followsListing {
                    sighting.rowsInDoubt += 1
                } else if try !isOwnVersion(record) {
                    // Another one than this machine's, of which an earlier row may have told the wrong sum.
                    try alter(record) { $0.doubt(row, marks) }
                }
                return
            }
            try alter(record) { $0.take(row, marks, etagIsContentMD5: etagIsContentMD5) }
            return
        }
        if hasRefutations, let refutation = try connection.refutation(row.fileName), refutation.facts == marks.facts {
            return sighting.refutations.insert(refutation.id)
        }
        guard row.fileSize != nil else {
            sighting.rowsWithoutSize += 1
            return
        }
        if try isInDoubt(row) {
            guard sighting.followsListing else {
                sighting.rowsInDoubt += 1
                return
            }
            try connection.refute(row.fileName, marks.facts)
            if let refutation = try connection.refutation(row.fileName) {
                sighting.refutations.insert(refutation.id)
            }
            return
        }
        var fresh = Record(fileName: row.fileName)
        fresh.take(row, marks, etagIsContentMD5: etagIsContentMD5)
        try add(&fresh)
    }

    private mutating func take(_ fileName: String, _ facts: ObjectFacts) throws(CatalogError) {
        guard try accepts(fileName, .listing), try !isOwn(fileName) else { return }
        if !isGreatest(fileName), let known = try connection.known(fileName) {
            sighting.sessions.insert(known.id)
            if known.agrees(with: facts) { return }
            guard let record = try connection.record(id: known.id)?.record else { return }
            try alter(record) { $0.take(facts) }
            return
        }
        var fresh = Record(fileName: fileName)
        fresh.take(facts)
        try add(&fresh)
    }

    private mutating func takeListedIndex(_ fileName: String, _ etag: String?) throws(CatalogError) {
        guard try !isOwn(fileName), let known = try connection.knownIndex(fileName) else { return }
        sighting.sessions.insert(known.id)
        var state = known.state
        if !(state == .known && known.etag == etag && etag != nil) {
            guard let record = try connection.record(id: known.id)?.record else { return }
            state = try alter(record) { $0.takeListedIndex(etag: etag) }.state
        }
        if state == .unknown { sighting.unknown.append(.init(id: known.id, fileName: fileName)) }
    }

    /// Whether a version is the one that this machine wrote last.
    private mutating func isOwnVersion(_ record: Record) throws(CatalogError) -> Bool {
        try ownWrite(record.fileName)?.etag.map { $0 == record.etag } ?? false
    }

    private mutating func ownWrite(_ fileName: String) throws(CatalogError) -> OwnTimes.Last? {
        let times: OwnTimes
        if let ownTimes { times = ownTimes } else { times = try OwnTimes(connection) }
        ownTimes = times
        return times[fileName]
    }

    /// Whether this machine has removed or replaced what a row tells of: a FastShot client lists the bucket and then
    /// writes the overall file, and what is removed or replaced in between comes into it.
    private mutating func isInDoubt(_ row: OverallRow) throws(CatalogError) -> Bool {
        guard let written = try ownWrite(row.fileName) else { return false }
        guard let uploaded = row.createdAt.flatMap(NaiveTime.init(iso8601:))?.timestamp else { return true }
        return uploaded.seconds <= written.seconds
    }

    /// Whether a name was written since the pass began, which then counts as met.
    private mutating func isOwn(_ fileName: String) throws(CatalogError) -> Bool {
        guard own.contains(fileName) else { return false }
        if let known = try connection.marks(fileName) { sighting.sessions.insert(known.id) }
        return true
    }

    /// Whether a name is a session's; notes why it is not.
    private mutating func accepts(_ fileName: String, _ source: RejectionSource) throws(CatalogError) -> Bool {
        if SessionName(fileName: fileName) != nil { return true }
        guard fileName.utf8.suffix(9).elementsEqual(SessionName.fileSuffix.utf8),
            let problem = SessionName.problem(withFileName: fileName)
        else {
            sighting.ignored += 1
            return false
        }
        sighting.rejected += 1
        try connection.reject(SessionName.bodyPrefix + fileName, problem, source, pass: sighting.pass)
        return false
    }

    private mutating func add(_ record: inout Record) throws(CatalogError) {
        record.settle()
        try connection.insert(&record)
        if isGreatest(record.fileName) { greatest = Array(record.fileName.utf8) }
        sighting.sessions.insert(record.id)
        delta.added.append(.init(id: record.id, fileName: record.fileName))
    }

    private func isGreatest(_ fileName: String) -> Bool {
        guard let greatest else { return true }
        return greatest.lexicographicallyPrecedes(fileName.utf8)
    }

    @discardableResult
    private mutating func alter(
        _ known: Record, _ body: (inout Record) -> Void
    ) throws(CatalogError) -> Record {
        var next = known
        body(&next)
        guard next != known else { return known }
        next.settle()
        try connection.update(next)
        if !next.shows(sameAs: known) { delta.changed.append(next.id) }
        return next
    }

    private mutating func drop(_ id: Int64) throws(CatalogError) {
        guard let known = try connection.record(id: id)?.record else { return }
        try connection.run(.deleteSession, id)
        if let facts = known.rowFacts { try connection.refute(known.fileName, facts) }
        delta.removed.append(.init(id: id, fileName: known.fileName))
    }
}

/// Who named what cannot be a file.
enum RejectionSource: Int64 {
    case overall = 0
    case listing = 1
}
