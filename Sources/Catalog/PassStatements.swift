internal import SessionFormat

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

    /// The refuted row of a session that is gone.
    func refutation(_ fileName: String) throws(CatalogError) -> (id: Int64, facts: Int64)? {
        try use(.refutation) { statement throws(CatalogError) in
            statement.bind(0, fileName)
            return try statement.step() ? (statement.integer(0), statement.integer(1)) : nil
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
