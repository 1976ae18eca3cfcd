public import Platform

/// Which bodies are in the cache. The files are the session cache's business; the catalog keeps the records.
extension Catalog {
    /// The record of a session's body; nil when it is not cached.
    public func body(id: Int64) throws(CatalogError) -> CachedBody? {
        try read { connection throws(CatalogError) in
            try connection.use(.bodyByID) { statement throws(CatalogError) in
                statement.bind(0, id)
                return try statement.step() ? statement.body() : nil
            }
        }
    }

    /// Records a verified body, over what was recorded before. Its `fileName` is taken from the session when that is
    /// in the catalog.
    public func recordBody(_ body: CachedBody) throws(CatalogError) {
        try write { connection throws(CatalogError) in
            try connection.use(.recordBody) { statement throws(CatalogError) in
                statement.bind(0, body.id)
                statement.bind(1, body.fileName)
                statement.bind(2, body.etag)
                statement.bind(3, Int64(bitPattern: body.size))
                statement.bind(4, body.digest)
                statement.bind(5, body.fileModified.nanoseconds)
                statement.bind(6, body.lastUsed.nanoseconds)
                statement.bind(7, body.pinned ? 1 : 0)
                _ = try statement.step()
            }
        }
    }

    /// Forgets a body; unknown is fine.
    public func removeBody(id: Int64) throws(CatalogError) {
        touches.withLock { $0[id] = nil }
        try write { connection throws(CatalogError) in
            try connection.use(.removeBody) { statement throws(CatalogError) in
                statement.bind(0, id)
                _ = try statement.step()
            }
        }
    }

    /// Notes that a body was used. Waits for nothing: uses are written together, before the records are listed and
    /// when the catalog is closed, so a crash can lose some.
    public func touchBody(id: Int64, at time: Timestamp) {
        touches.withLock { $0[id] = max($0[id] ?? .min, time.nanoseconds) }
    }

    /// Every record in the order of ids, those of sessions that are gone included.
    public func bodies() throws(CatalogError) -> [CachedBody] {
        try flushTouches()
        return try read { connection throws(CatalogError) in
            try connection.use(.bodies) { statement throws(CatalogError) in
                var found: [CachedBody] = []
                while try statement.step() { found.append(statement.body()) }
                return found
            }
        }
    }

    /// How many bodies are recorded, and their bytes.
    public var cachedBytes: (count: Int, bytes: UInt64) {
        get throws(CatalogError) {
            let totals = try read { connection throws(CatalogError) in
                try connection.use(.bodyTotals) { statement throws(CatalogError) in
                    _ = try statement.step()
                    return [statement.integer(0), statement.integer(1)]
                }
            }
            return (Int(totals[0]), UInt64(bitPattern: totals[1]))
        }
    }

    func flushTouches() throws(CatalogError) {
        let pending = touches.withLock { held in
            defer { held = [:] }
            return held
        }
        if pending.isEmpty { return }
        try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                try connection.use(.touchBody) { statement throws(CatalogError) in
                    for (id, time) in pending {
                        statement.bind(0, id)
                        statement.bind(1, time)
                        _ = try statement.step()
                        statement.reset()
                    }
                }
            }
        }
    }
}

extension Statement {
    /// The row of ``Query/bodyByID`` or ``Query/bodies``.
    fileprivate func body() -> CachedBody {
        CachedBody(
            id: integer(0), fileName: text(1) ?? "", etag: text(2), size: UInt64(bitPattern: integer(3)),
            digest: text(4) ?? "", fileModified: Timestamp(nanoseconds: integer(5)),
            lastUsed: Timestamp(nanoseconds: integer(6)), pinned: integer(7) != 0)
    }
}
