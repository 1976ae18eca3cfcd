internal import SessionFormat

/// Learning from the bucket. Changes come in batches of at most a few thousand, each one transaction.
extension Catalog {
    /// Applies changes in one transaction: all or none. What is known already costs no write.
    /// - Returns: what became different.
    public func apply(_ changes: [CatalogChange]) throws(CatalogError) -> CatalogDelta {
        var sighting = Sighting()
        return try apply(changes, sighting: &sighting)
    }

    /// Applies changes in one transaction and notes which sessions they were about.
    public func apply(_ changes: [CatalogChange], sighting: inout Sighting) throws(CatalogError) -> CatalogDelta {
        if changes.isEmpty { return CatalogDelta() }
        let before = sighting
        let (delta, after) = try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                var pass = try Pass(connection, before, ownWritesSince: number(of: before.since))
                for change in changes { try pass.apply(change) }
                if !pass.delta.isEmpty { try noteRevision(connection) }
                return (pass.delta, pass.sighting)
            }
        }
        sighting = after
        return delta
    }

    /// Counts a change of sessions. A number that this process did not expect tells of another one's change.
    func noteRevision(_ connection: Connection) throws(CatalogError) {
        let next = try connection.number(.nextRevision)
        revision.withLock { state in
            if next != state.own + 1 { state.othersWrote = true }
            state.own = next
        }
    }

    /// An open or a HEAD learnt better facts of an object. Unknown ids are ignored.
    /// - Parameters:
    ///   - fileName: the name that was asked for: nothing is learnt of a session that has another by now.
    ///   - since: the mark from before the request, see ``Sighting/init(since:)``.
    public func update(
        id: Int64, facts: ObjectFacts, fileName: String? = nil, since mark: WriteMark? = nil
    ) throws(CatalogError) -> CatalogDelta {
        guard let known = try currentName(id, fileName) else { return CatalogDelta() }
        var sighting = Sighting(since: mark)
        return try apply([.object(fileName: known, facts)], sighting: &sighting)
    }

    /// The object turned out to be gone. A row of the overall file that still names it is not believed any more.
    /// - Parameters: as those of ``update(id:facts:fileName:since:)``.
    public func remove(
        id: Int64, fileName: String? = nil, since mark: WriteMark? = nil
    ) throws(CatalogError) -> CatalogDelta {
        guard try currentName(id, fileName) != nil else { return CatalogDelta() }
        var sighting = Sighting(since: mark)
        return try apply([.gone(id: id)], sighting: &sighting)
    }

    /// The name of a session, unless it is another than the one expected.
    private func currentName(_ id: Int64, _ expected: String?) throws(CatalogError) -> String? {
        guard let known = try entry(id: id)?.fileName else { return nil }
        if let expected, !expected.utf8.elementsEqual(known.utf8) { return nil }
        return known
    }

    // MARK: Ends of passes

    /// Ends a complete reading of the overall file: sessions that it named before and no longer does count as not
    /// named. They stay until a listing shows that they are gone.
    /// - Returns: how many there are.
    public func finishOverall(_ sighting: Sighting) throws(CatalogError) -> Int {
        try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                let own = try OwnWrites(connection, since: number(of: sighting.since))
                let vanished = try connection.ids(.namedIDs, 0).filter {
                    !sighting.sessions.contains($0) && !own.contains($0)
                }
                for id in vanished { try connection.run(.unname, id) }
                for refuted in try connection.refutedNames()
                where !sighting.refutations.contains(refuted.id) && !own.contains(refuted.fileName) {
                    try connection.run(.deleteRefuted, refuted.id)
                }
                try connection.forgetRejected(.overall, except: sighting.pass)
                return vanished.count
            }
        }
    }

    /// The greatest id so far: the bound for what a listing that begins now can refute.
    public func lastID() throws(CatalogError) -> Int64 {
        try read { connection throws(CatalogError) in try connection.integer("SELECT MAX(id) FROM session") }
    }

    /// Ends a complete listing of `sessions/`: drops what it did not show.
    /// - Parameter bound: ``lastID()`` from before the listing began; younger sessions may have come behind it.
    /// - Returns: what was dropped.
    public func finishListing(_ sighting: Sighting, bound: Int64) throws(CatalogError) -> CatalogDelta {
        let delta = try apply(try unseen(sighting, bound: bound).map { .gone(id: $0) }, of: sighting)
        try write { connection throws(CatalogError) in
            try connection.forgetRejected(.listing, except: sighting.pass)
        }
        return delta
    }

    /// Ends a complete listing of `meta_indexes/`: sessions whose index it did not show have none.
    /// - Parameter bound: ``lastID()`` from before the listing began.
    public func finishIndexListing(_ sighting: Sighting, bound: Int64) throws(CatalogError) -> CatalogDelta {
        try apply(try unseen(sighting, bound: bound).map { .index(id: $0, .missing) }, of: sighting)
    }

    /// Applies what the end of a pass has shown, in transactions of a bearable length.
    private func apply(_ changes: [CatalogChange], of sighting: Sighting) throws(CatalogError) -> CatalogDelta {
        var delta = CatalogDelta()
        var rest = changes[...]
        while !rest.isEmpty {
            var ending = Sighting(since: sighting.since)
            let batch = Array(rest.prefix(2000))
            delta.merge(try apply(batch, sighting: &ending))
            rest = rest.dropFirst(batch.count)
        }
        return delta
    }

    private func unseen(_ sighting: Sighting, bound: Int64) throws(CatalogError) -> [Int64] {
        var ids: [Int64] = []
        try scan(after: 0) { row in
            if row.id > bound { return false }
            if !sighting.sessions.contains(row.id) { ids.append(row.id) }
            return true
        }
        return ids
    }

    // MARK: Questions of a refresh

    /// Sessions whose index was not looked at yet, in the order of ids.
    public func unknownIndexes(after id: Int64, limit: Int) throws(CatalogError) -> [CatalogDelta.Item] {
        try read { connection throws(CatalogError) in
            try connection.use(.unknownIndexes) { statement throws(CatalogError) in
                statement.bind(0, id)
                statement.bind(1, Int64(limit))
                var found: [CatalogDelta.Item] = []
                while try statement.step() {
                    found.append(.init(id: statement.integer(0), fileName: statement.text(1) ?? ""))
                }
                return found
            }
        }
    }

    /// The name behind which new sessions appear in a listing; nil when that is everywhere.
    ///
    /// Clients name sessions by time, so new ones come behind the greatest name that begins with a digit. A few others
    /// behind those (copied in by hand) are listed along; where they would fill more than a page, new sessions are
    /// looked for behind all.
    public func listingStart() throws(CatalogError) -> String? {
        try read { connection throws(CatalogError) in
            let others = try connection.integer(
                "SELECT COUNT(*) FROM (SELECT 1 FROM session WHERE file_name >= ':' LIMIT 901)")
            if others > 900 { return try connection.greatestFileName() }
            let sql = "SELECT MAX(file_name) FROM session WHERE file_name < ':'"
            return try connection.once(sql) { statement throws(CatalogError) in
                try statement.step() ? statement.text(0) : nil
            }
        }
    }
}
