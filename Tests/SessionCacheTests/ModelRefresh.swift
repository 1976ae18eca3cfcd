import Catalog
import SessionFormat

@testable import SessionCache

/// A refresh as ``Sync`` does it, step by step, so that anything can happen between its requests: the overall file, a
/// complete listing where that is not enough, and the rows again that could not be believed without it.
struct ModelRefresh {
    private enum Step {
        case askForRows
        case takeRows([OverallRow])
        case askForObjects(Sighting, bound: Int64)
        case takeObjects([CatalogChange], Sighting, bound: Int64)
        case askForIndexes(Sighting, bound: Int64)
        case takeIndexes([CatalogChange], Sighting, bound: Int64)
        case takeRowsAgain
        case end
    }

    private let fixture: StagingFixture
    private let names: [String]
    private let alwaysLists: Bool
    private let mark: WriteMark
    private var step = Step.askForRows
    private var rows: [OverallRow] = []
    private var isUnsure = false

    var isOver: Bool { if case .end = step { true } else { false } }

    init(_ fixture: StagingFixture, names: [String], alwaysLists: Bool) throws {
        self.fixture = fixture
        self.names = names
        self.alwaysLists = alwaysLists
        mark = try fixture.base.catalog.writeMark()
    }

    /// - Returns: what it did, in a word.
    mutating func goOn() throws -> String {
        let catalog = fixture.base.catalog
        switch step {
        case .askForRows:
            step = .takeRows(fixture.rows.withLock { $0.values.sorted { $0.fileName < $1.fileName } })
            return "asks for rows"
        case .takeRows(let found):
            rows = found
            let vanished = try take(followsListing: false)
            let lists = alwaysLists || vanished > 0 || isUnsure
            step = lists ? .askForObjects(try begin(), bound: try catalog.lastID()) : .end
            return "takes rows \(found.map(\.fileName)), \(vanished) vanished"
        case .askForObjects(let sighting, let bound):
            let objects = names.compactMap { name in
                fixture.info(name).map {
                    CatalogChange.object(fileName: name, ObjectFacts(size: $0.size, etag: $0.etag))
                }
            }
            step = .takeObjects(objects, sighting, bound: bound)
            return "lists \(objects.count) objects"
        case .takeObjects(let objects, var sighting, let bound):
            _ = try catalog.apply(objects, sighting: &sighting)
            _ = try catalog.finishListing(sighting, bound: bound)
            step = .askForIndexes(try begin(), bound: try catalog.lastID())
            return "takes the objects"
        case .askForIndexes(let sighting, let bound):
            let indexes = names.compactMap { name in
                fixture.index(name).map { CatalogChange.listedIndex(fileName: name, etag: $0.etag) }
            }
            step = .takeIndexes(indexes, sighting, bound: bound)
            return "lists \(indexes.count) indexes"
        case .takeIndexes(let indexes, var sighting, let bound):
            _ = try catalog.apply(indexes, sighting: &sighting)
            _ = try catalog.finishIndexListing(sighting, bound: bound)
            step = isUnsure ? .takeRowsAgain : .end
            return "takes the indexes"
        case .takeRowsAgain:
            _ = try take(followsListing: true)
            step = .end
            return "takes the rows again"
        case .end: return "is over"
        }
    }

    private func begin() throws -> Sighting { Sighting(since: try fixture.base.catalog.writeMark()) }

    private mutating func take(followsListing: Bool) throws -> Int {
        let catalog = fixture.base.catalog
        var sighting = Sighting(since: mark)
        sighting.followsListing = followsListing
        _ = try catalog.apply(rows.map { .row($0, etagIsContentMD5: false) }, sighting: &sighting)
        isUnsure = sighting.rowsWithoutSize > 0 || sighting.rowsInDoubt > 0
        return try catalog.finishOverall(sighting)
    }
}
