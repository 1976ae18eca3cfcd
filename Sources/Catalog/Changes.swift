/// One thing learnt about the bucket.
public enum CatalogChange: Sendable {
    /// The store said this of `sessions/<file name>`: a listing, HEAD or GET.
    case object(fileName: String, ObjectFacts)
    /// The object is gone.
    case gone(id: Int64)
}

extension Catalog {
    /// Applies changes in one transaction: all or none. What is known already costs no write.
    /// - Returns: what became different.
    public func apply(_ changes: [CatalogChange]) throws(CatalogError) -> CatalogDelta {
        if changes.isEmpty { return CatalogDelta() }
        return try write { connection throws(CatalogError) in
            try connection.transaction { () throws(CatalogError) in
                var delta = CatalogDelta()
                for change in changes {
                    switch change {
                    case .object(let fileName, let facts): try connection.take(fileName, facts, &delta)
                    case .gone(let id): try connection.drop(id, &delta)
                    }
                }
                return delta
            }
        }
    }

    /// An open or a HEAD learnt better facts of an object. Unknown ids are ignored.
    public func update(id: Int64, facts: ObjectFacts) throws(CatalogError) -> CatalogDelta {
        guard let fileName = try entry(id: id)?.fileName else { return CatalogDelta() }
        return try apply([.object(fileName: fileName, facts)])
    }

    /// The object turned out to be gone.
    public func remove(id: Int64) throws(CatalogError) -> CatalogDelta {
        try apply([.gone(id: id)])
    }
}

extension Connection {
    fileprivate func take(_ fileName: String, _ facts: ObjectFacts, _ delta: inout CatalogDelta) throws(CatalogError) {
        if var known = try record(fileName: fileName) {
            let shown = (known.size, known.modified)
            guard known.take(facts) else { return }
            try update(known)
            if shown != (known.size, known.modified) { delta.changed.append(known.id) }
        } else {
            var fresh = Record(fileName: fileName)
            _ = fresh.take(facts)
            delta.added.append(.init(id: try insert(fresh), fileName: fileName))
        }
    }

    fileprivate func drop(_ id: Int64, _ delta: inout CatalogDelta) throws(CatalogError) {
        guard let known = try record(id: id) else { return }
        try deleteSession(id)
        delta.removed.append(.init(id: id, fileName: known.fileName))
    }
}
