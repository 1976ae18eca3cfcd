import Catalog
import Foundation
import Platform
import SessionFormat
import Testing

/// Damage to the file and to rows, and other hands on the database.
@Suite struct RecoveryTests {
    let directory = TemporaryDirectory()

    private func filled(_ count: Int = 3000) throws {
        let catalog = try Catalog.open(directory: directory.path)
        _ = try catalog.apply(objects(0..<count))
        catalog.close()
    }

    private var asides: [String] { directory.names.filter { $0.hasPrefix("catalog.sqlite.corrupt-") } }

    private func overwrite(_ range: Range<Int>) throws {
        let file = try FileDescriptor.open(directory.database, .readWrite)
        try file.write((range).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }, at: UInt64(range.lowerBound))
    }

    @Test func fileThatIsNoDatabaseIsMovedAside() throws {
        try Files.makePrivateDirectory(directory.path)
        try Files.replace(directory.database, with: Array("this is no database, whatever its name says".utf8))
        let catalog = try Catalog.open(directory: directory.path)
        #expect(catalog.recovered != nil)
        #expect(asides.count == 1)
        #expect(try catalog.counts.sessions == 0)
        #expect(try catalog.apply(objects(0..<1)).added.count == 1)
    }

    @Test func onlyAFewDamagedFilesAreKept() throws {
        try Files.makePrivateDirectory(directory.path)
        for second in 0..<5 {
            for suffix in ["", "-wal"] {
                try Files.replace(directory.database + ".corrupt-20200101T00000\(second)Z" + suffix, with: [1])
            }
        }
        try Files.replace(directory.database, with: Array("no database".utf8))
        _ = try Catalog.open(directory: directory.path)
        let mains = asides.filter { !$0.hasSuffix("-wal") }.sorted()
        #expect(mains.count == 3)
        #expect(mains.first == "catalog.sqlite.corrupt-20200101T000003Z")
        #expect(asides.count == 5)
    }

    @Test func damagedHeaderIsMovedAsideAtOpen() throws {
        try filled()
        try overwrite(0..<100)
        let catalog = try Catalog.open(directory: directory.path)
        #expect(catalog.recovered?.contains("corrupt-") == true)
        #expect(try catalog.scanned().isEmpty)
    }

    @Test func truncatedFileIsMovedAsideAtOpen() throws {
        try filled()
        try FileDescriptor.open(directory.database, .readWrite).truncate(to: 4096 * 30)
        let catalog = try Catalog.open(directory: directory.path)
        #expect(catalog.recovered?.contains("corrupt-") == true)
        #expect(try catalog.scanned().isEmpty)
    }

    @Test(arguments: ["truncated", "garbage"]) func damageFoundInUseIsReportedAndReplaced(_ kind: String) throws {
        try filled()
        let size = Int(try #require(try Files.status(directory.database)).size)
        if kind == "garbage" { try overwrite(4096 * 20..<size) }
        let catalog = try Catalog.open(directory: directory.path)
        if kind == "truncated" {
            try FileDescriptor.open(directory.database, .readWrite).truncate(to: 4096 * 30)
        }
        #expect(catalog.recovered == nil)
        let events = Guarded<[CatalogEvent]>([])
        catalog.observe { event in events.withLock { $0.append(event) } }
        let error = #expect(throws: CatalogError.self) { try catalog.scanned() }
        #expect(error?.kind == .corrupt)
        #expect(asides.count == 1)
        #expect(catalog.generation == 1)
        let told = events.withLock { $0 }
        guard case .reset(_, .some) = told.first else {
            Issue.record("no reset was told: \(told)")
            return
        }
        #expect(told.count == 1)
        // It goes on empty, with ids that the old database cannot have given.
        #expect(try catalog.scanned().isEmpty)
        let id = try #require(try catalog.apply(objects(0..<1)).added.first?.id)
        #expect(id > 1_000_000_000)
        #expect(try catalog.entry(id: id)?.fileName == name(0))
        // The next start finds it sound.
        catalog.close()
        let again = try Catalog.open(directory: directory.path)
        #expect(again.recovered == nil)
        #expect(try again.counts.sessions == 1)
    }

    @Test func validationFindsADamagedFile() throws {
        try filled()
        let size = try #require(try Files.status(directory.database)).size
        try overwrite(Int(size) - 4096 * 4..<Int(size))
        let catalog = try Catalog.open(directory: directory.path)
        let found = try catalog.validate()
        #expect(!found.isSound)
        #expect(!found.problems.isEmpty)
        #expect(asides.count == 1)
        #expect(try catalog.validate().isSound)
    }

    @Test func newerSchemaIsLeftAlone() throws {
        try filled(3)
        try runSQL(directory.database, "PRAGMA user_version=99")
        let error = #expect(throws: CatalogError.self) { try Catalog.open(directory: directory.path) }
        #expect(error?.kind == .newerSchema)
        #expect(asides.isEmpty)
    }

    @Test func removedDatabaseIsMadeAnew() throws {
        let catalog = try Catalog.open(directory: directory.path)
        _ = try catalog.apply(objects(0..<5))
        try FileManager.default.removeItem(atPath: directory.path)
        try Files.makePrivateDirectory(directory.path)
        let added = try catalog.apply(objects(5..<7)).added
        #expect(added.count == 2)
        #expect(catalog.generation == 1)
        #expect(try catalog.scanned().map(\.name) == [name(5), name(6)])
        #expect(Files.exists(directory.database))
    }

    // MARK: Rows

    @Test(arguments: [
        "UPDATE detail SET name = 'another' WHERE id = 2", "UPDATE session SET size = size + 1 WHERE id = 2",
        "UPDATE detail SET etag = 'x' WHERE id = 2", "UPDATE detail SET tags = '[\"zz\"]' WHERE id = 2",
        "UPDATE detail SET digest = zeroblob(16) WHERE id = 2",
    ])
    func damagedRowIsFoundAndLearntAgain(_ damage: String) throws {
        let metadata = SessionMetadata(name: "n", tags: ["a", "b"], createdAt: "2025-01-01T00:00:00", fileSize: 1)
        let changes = [row(1, md5: hex("a"), metadata: metadata), row(2, md5: hex("b"), metadata: metadata)]
        let catalog = try Catalog.open(directory: directory.path)
        _ = try catalog.apply(changes)
        #expect(try catalog.validate().isSound)
        try runSQL(directory.database, damage)
        let events = Guarded<[CatalogEvent]>([])
        catalog.observe { event in events.withLock { $0.append(event) } }

        #expect(try catalog.metadata(id: 1) == metadata)
        #expect(try catalog.metadata(id: 2) == nil)
        #expect(events.withLock { $0 } == [.damagedRows([2])])
        let entry = try #require(try catalog.entry(id: 2))
        #expect(entry.indexState == .unknown)
        #expect(entry.indexSize == 0)
        #expect(try catalog.value(Catalog.listingNeededKey) != nil)
        #expect(try catalog.unknownIndexes(after: 0, limit: 5).map(\.id) == [2])

        // The same row of the overall file, which was unchanged, teaches it again.
        _ = try catalog.apply(changes)
        #expect(try catalog.metadata(id: 2) == metadata)
        #expect(try catalog.entry(id: 2)?.size == 100)
        let validated = try catalog.validate()
        #expect(validated.isSound && validated.checked == 2)
    }

    @Test func validationNamesDamagedRows() throws {
        try filled(2500)
        try runSQL(directory.database, "UPDATE session SET mtime = 5 WHERE id IN (7, 2400)")
        let catalog = try Catalog.open(directory: directory.path)
        let found = try catalog.validate()
        #expect(found.checked == 2500)
        #expect(found.damaged == [7, 2400])
        #expect(found.problems.isEmpty)
        #expect(try catalog.validate().isSound)
    }

    // MARK: Others

    @Test func changesOfOthersAreSeenAndTold() throws {
        let mine = try Catalog.open(directory: directory.path)
        let other = try Catalog.open(directory: directory.path)
        #expect(try !mine.othersChangedSessions())
        _ = try mine.apply(objects(0..<2))
        #expect(try !mine.othersChangedSessions())
        #expect(try other.othersChangedSessions())
        #expect(try !other.othersChangedSessions())
        #expect(try other.scanned().count == 2)
        _ = try other.apply(objects(2..<3))
        _ = try mine.apply(objects(3..<4))
        #expect(try mine.othersChangedSessions())
        #expect(try mine.counts.sessions == 4)
        // What is no session is nobody's business.
        try other.setValue("k", "v")
        #expect(try !mine.othersChangedSessions())
    }

    @Test func replacementByAnotherIsFollowed() throws {
        try filled(10)
        let mine = try Catalog.open(directory: directory.path)
        #expect(try mine.counts.sessions == 10)
        try Files.rename(directory.database, to: directory.path + "/elsewhere")
        let other = try Catalog.open(directory: directory.path)
        _ = try other.apply(objects(50..<51))
        _ = try mine.apply(objects(60..<61))
        #expect(try mine.scanned().map(\.name) == [name(50), name(60)])
        #expect(try other.counts.sessions == 2)
        #expect(asides.isEmpty)
    }

    @Test(.timeLimit(.minutes(2))) func manyThreadsReadWhileBatchesAreWritten() async throws {
        let catalog = try Catalog.open(directory: directory.path)
        _ = try catalog.apply(objects(0..<500))
        try await withThrowingTaskGroup { group in
            group.addTask {
                for batch in 1..<10 { _ = try catalog.apply(objects(batch * 500..<(batch + 1) * 500)) }
            }
            for reader in 0..<6 {
                group.addTask {
                    for round in 0..<40 {
                        let rows = try catalog.scanned()
                        // Batches are seen whole.
                        try #require(rows.count.isMultiple(of: 500) && rows.count >= 500)
                        let row = rows[(round * 97 + reader) % rows.count]
                        try #require(try catalog.entry(fileName: row.name)?.id == row.id)
                        try #require(try catalog.entry(id: row.id)?.size == row.size)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try catalog.counts.sessions == 5000)
    }

    @Test(.timeLimit(.minutes(2))) func manyOpenTheSameNewCatalogAtOnce() async throws {
        let path = directory.path
        let totals = try await withThrowingTaskGroup { group in
            for number in 0..<8 {
                group.addTask {
                    let catalog = try Catalog.open(directory: path)
                    return try catalog.apply(objects(number..<number + 1)).added.count
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(totals == 8)
        let catalog = try Catalog.open(directory: path)
        #expect(try catalog.counts.sessions == 8)
        #expect(try catalog.validate().isSound)
        #expect(asides.isEmpty)
    }
}
