internal import Platform

/// A moment in the order of what is written to the bucket by this machine. Taken before a request goes out, it tells
/// whether the answer may be older than a write.
public struct WriteMark: Sendable, Equatable {
    /// Of the database, see ``Catalog/generation``.
    let generation: Int
    let number: Int64
}

/// Sessions that were written to the bucket since a moment, under their names and ids. What a pass that began before
/// says of them may be the state from before the write, and is not heard. In the database, so that it holds for other
/// processes with the same catalog, too.
struct OwnWrites {
    private let names: Set<[UInt8]>
    private let ids: Set<Int64>

    static let none = OwnWrites(names: [], ids: [])

    private init(names: Set<[UInt8]>, ids: Set<Int64>) {
        self.names = names
        self.ids = ids
    }

    /// - Parameter number: of the pass's mark; nil where it has none, as what is applied at once.
    init(_ connection: Connection, since number: Int64?) throws(CatalogError) {
        guard let number else {
            self = .none
            return
        }
        (names, ids) = try connection.use(.ownWrites) { statement throws(CatalogError) in
            statement.bind(0, number)
            var names: Set<[UInt8]> = []
            var ids: Set<Int64> = []
            while try statement.step() {
                ids.insert(statement.integer(0))
                names.insert(Array((statement.text(1) ?? "").utf8))
            }
            return (names, ids)
        }
    }

    func contains(_ fileName: String) -> Bool { !names.isEmpty && names.contains(Array(fileName.utf8)) }
    func contains(_ id: Int64) -> Bool { !ids.isEmpty && ids.contains(id) }
}

/// When names were last written or removed by this machine, as far back as own writes are kept.
struct OwnTimes {
    /// The last write of a name.
    struct Last {
        /// Since 1970.
        var seconds: Int64
        /// Of what was written, where it is known.
        var etag: String?
    }
    private let last: [[UInt8]: Last]

    init(_ connection: Connection) throws(CatalogError) {
        last = try connection.use(.ownWriteTimes) { statement throws(CatalogError) in
            var last: [[UInt8]: Last] = [:]
            while try statement.step() {
                last[Array((statement.text(0) ?? "").utf8)] = Last(
                    seconds: statement.integer(1), etag: statement.text(2))
            }
            return last
        }
    }

    /// Nil when it was not.
    subscript(fileName: String) -> Last? { last.isEmpty ? nil : last[Array(fileName.utf8)] }
}

extension Catalog {
    /// The mark of now. See ``Sighting/init(since:)``.
    public func writeMark() throws(CatalogError) -> WriteMark {
        let generation = generation
        let number = try read { connection throws(CatalogError) in try connection.number(.lastOwnWrite) }
        return WriteMark(generation: generation, number: number)
    }

    /// The number behind which own writes count for a pass; nil when none does.
    func number(of mark: WriteMark?) -> Int64? {
        guard let mark else { return nil }
        // The database was made anew meanwhile, and counts from 1 again.
        return mark.generation == generation ? mark.number : 0
    }
}

extension Connection {
    /// Seconds after which no pass can be under way any more that began before a write.
    private static let longestPass: Int64 = 6 * 3600

    /// Notes that a session's object was written or removed.
    /// - Parameter etag: of what was written; nil after a removal.
    func noteOwnWrite(_ id: Int64, _ fileName: String, etag: String? = nil) throws(CatalogError) {
        try use(.noteOwnWrite) { statement throws(CatalogError) in
            statement.bind(0, id)
            statement.bind(1, fileName)
            statement.bind(2, Timestamp.now.seconds)
            statement.bind(3, etag)
            _ = try statement.step()
        }
    }

    func forgetOldOwnWrites() throws(CatalogError) {
        try run(.forgetOwnWrites, Timestamp.now.seconds - Connection.longestPass)
    }
}
