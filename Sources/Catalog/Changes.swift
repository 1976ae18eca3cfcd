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
                var pass = try Pass(connection, before)
                for change in changes { try pass.apply(change) }
                if !pass.delta.isEmpty { try noteRevision(connection) }
                return (pass.delta, pass.sighting)
            }
        }
        sighting = after
        return delta
    }

    /// Counts a change of sessions. A number that this process did not expect tells of another one's change.
    private func noteRevision(_ connection: Connection) throws(CatalogError) {
        let next = try connection.number(.nextRevision)
        revision.withLock { state in
            if next != state.own + 1 { state.othersWrote = true }
            state.own = next
        }
    }

    /// An open or a HEAD learnt better facts of an object. Unknown ids are ignored.
    public func update(id: Int64, facts: ObjectFacts) throws(CatalogError) -> CatalogDelta {
        guard let fileName = try entry(id: id)?.fileName else { return CatalogDelta() }
        return try apply([.object(fileName: fileName, facts)])
    }

    /// The object turned out to be gone. A row of the overall file that still names it is not believed any more.
    public func remove(id: Int64) throws(CatalogError) -> CatalogDelta {
        try apply([.gone(id: id)])
    }

    // MARK: Ends of passes

    /// Ends a complete reading of the overall file: sessions that it named before and no longer does count as not
    /// named. They stay until a listing shows that they are gone.
    /// - Returns: how many there are.
    public func finishOverall(_ sighting: Sighting) throws(CatalogError) -> Int {
        try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                let vanished = try connection.ids(.namedIDs, 0).filter { !sighting.sessions.contains($0) }
                for id in vanished { try connection.run(.unname, id) }
                let stale = try connection.ids(.refutedIDs, 0).filter { !sighting.refutations.contains($0) }
                for id in stale { try connection.run(.deleteRefuted, id) }
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
        var delta = CatalogDelta()
        var gone: [CatalogChange] = []
        for id in try unseen(sighting, bound: bound) {
            gone.append(.gone(id: id))
            if gone.count == 2000 {
                delta.merge(try apply(gone))
                gone = []
            }
        }
        delta.merge(try apply(gone))
        try write { connection throws(CatalogError) in
            try connection.forgetRejected(.listing, except: sighting.pass)
        }
        return delta
    }

    /// Ends a complete listing of `meta_indexes/`: sessions whose index it did not show have none.
    /// - Parameter bound: ``lastID()`` from before the listing began.
    public func finishIndexListing(_ sighting: Sighting, bound: Int64) throws(CatalogError) -> CatalogDelta {
        var delta = CatalogDelta()
        var missing: [CatalogChange] = []
        for id in try unseen(sighting, bound: bound) {
            missing.append(.index(id: id, .missing))
            if missing.count == 2000 {
                delta.merge(try apply(missing))
                missing = []
            }
        }
        delta.merge(try apply(missing))
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
