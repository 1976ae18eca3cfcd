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
    private let seconds: [[UInt8]: Int64]

    init(_ connection: Connection) throws(CatalogError) {
        seconds = try connection.use(.ownWriteTimes) { statement throws(CatalogError) in
            var seconds: [[UInt8]: Int64] = [:]
            while try statement.step() { seconds[Array((statement.text(0) ?? "").utf8)] = statement.integer(1) }
            return seconds
        }
    }

    /// Seconds since 1970; nil when it was not.
    subscript(fileName: String) -> Int64? { seconds.isEmpty ? nil : seconds[Array(fileName.utf8)] }
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
    func noteOwnWrite(_ id: Int64, _ fileName: String) throws(CatalogError) {
        try use(.noteOwnWrite) { statement throws(CatalogError) in
            statement.bind(0, id)
            statement.bind(1, fileName)
            statement.bind(2, Timestamp.now.seconds)
            _ = try statement.step()
        }
    }

    func forgetOldOwnWrites() throws(CatalogError) {
        try run(.forgetOwnWrites, Timestamp.now.seconds - Connection.longestPass)
    }
}
