import JSON
import ObjectStore
import Platform
import SessionFormat
import TestSupport
import Testing

@testable import Sync

@Suite(.timeLimit(.minutes(5))) struct RowWriterTests {
    private let key = SessionName.overallKey
    private let bucket = MemoryStore()
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func rows() throws -> [OverallRow] { try checkedRows(try #require(bucket.peek(key))) }
    private var leftovers: [String] { (try? Files.names(in: directory.path("scratch"))) ?? [] }

    @Test func aFileIsMadeAndChanged() async throws {
        let writer = RowWriter(bucket, directory)
        try await writer.apply([.set(row(1)), .set(row(2))])
        #expect(
            bucket.peek(key) == OverallFile.encode([row(1), row(2)], lastUpdated: "2026-11-30T10:00:00.000001"))
        try await writer.apply([.set(row(2, version: 1)), .remove(fileName: row(1).fileName, checksum: nil)])
        #expect(try rows() == [row(2, version: 1)])
        #expect(writer.writes == 2)
        #expect(leftovers.isEmpty)
    }

    @Test func whatTheFileShowsCostsNoWrite() async throws {
        let store = FaultyStore(bucket)
        let writer = RowWriter(store, directory)
        try await writer.apply([])
        try await writer.apply([.remove(fileName: "absent.fastshot", checksum: nil)])
        #expect(bucket.peek(key) == nil)
        try await writer.apply([.set(row(1))])
        try await writer.apply([.set(row(1)), .remove(fileName: "absent.fastshot", checksum: nil)])
        #expect(store.count(.put) == 1)
        #expect(writer.writes == 1)
    }

    @Test func whatSomebodyElseWroteStays() async throws {
        let text = """
            {"version": "1.1", "theirs": [1], "sessions": ["odd", {"filename": "a.fastshot", "checksum": "", "star": true}],
             "last_updated": "x", "checksum": "y", "more": {}}
            """
        bucket.set(key, Array(text.utf8))
        let writer = RowWriter(bucket, directory)
        try await writer.apply([
            .set(row(1)), .set(OverallRow(fileName: "a.fastshot", checksum: .sha256("00"))),
        ])
        #expect(try rows().map(\.fileName) == ["a.fastshot", row(1).fileName])
        let document = try JSONValue.parse(try #require(bucket.peek(key)))
        #expect(document.members?.map(\.0).contains("theirs") == true)
        #expect(document["more"] == [:])
        #expect(document["version"] == "1.1")
        #expect(document["sessions"]?.array?.first == "odd")
        #expect(document["sessions"]?.array?[1]["star"] == true)
        #expect(document["sessions"]?.array?[1]["checksum"] == "sha256:00")
    }

    // MARK: Reading ahead

    @Test func whatWasReadAheadIsUsed() async throws {
        let store = FaultyStore(bucket)
        let writer = RowWriter(store, directory)
        writer.readAhead()
        writer.readAhead()
        try await writer.apply([.set(row(1))])
        #expect(store.count(.get) == 1)
        writer.readAhead()
        try await eventually { store.count(.get) == 2 }
        try await writer.apply([.set(row(2))])
        #expect(store.count(.get) == 2)
        #expect(try rows() == [row(1), row(2)])
        #expect(leftovers.isEmpty)
    }

    @Test func whatWasWrittenAfterReadingAheadStays() async throws {
        let store = FaultyStore(bucket)
        let writer = RowWriter(store, directory)
        for number in 0..<3 {
            writer.readAhead()
            try await eventually { store.count(.get) > 0 && leftovers.isEmpty == (number == 0) }
            try await RowWriter(bucket, directory).apply([.set(row(number, of: 1))])
            try await writer.apply([.set(row(number, of: 2))])
            store.clearRequests()
        }
        #expect(try rows().count == 6)
        #expect(leftovers.isEmpty)
    }

    @Test func aReadingAheadThatFailsIsRepeated() async throws {
        let store = FaultyStore(bucket)
        let writer = RowWriter(store, directory)
        store.inject(.fail(.lost), verb: .get)
        writer.readAhead()
        try await eventually { store.count(.get) == 1 }
        try await writer.apply([.set(row(1))])
        #expect(try rows() == [row(1)])
    }

    @Test func whatWasReadAheadForNothingGoes() async throws {
        try await RowWriter(bucket, directory).apply([.set(row(1))])
        let writer = RowWriter(bucket, directory)
        writer.readAhead()
        writer.dropAhead()
        try await eventually { leftovers.isEmpty }
        // Where conditions do not hold, nothing that was read before is relied upon.
        let careless = FaultyStore(CarelessStore(bucket))
        let other = RowWriter(careless, directory, .none)
        other.readAhead()
        try await eventually { careless.count(.get) == 1 }
        try await RowWriter(bucket, directory).apply([.set(row(2))])
        try await other.apply([.set(row(3))])
        #expect(try rows() == [row(1), row(2), row(3)])
        try await eventually { leftovers.isEmpty }
    }

    // MARK: Others at the same time

    /// Writers with rows of their own, in turns of several rows, with removals and changes among them.
    private func compete(_ store: any ObjectStore, writers: Int, rounds: Int, support: ConditionSupport) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<writers {
                let writer = RowWriter(store, try TemporaryDirectory(below: directory.path), support)
                group.addTask {
                    for round in 0..<rounds {
                        var changes: [RowChange] = [.set(row(round, of: number)), .set(row(1000 + round, of: number))]
                        if round > 0 { changes.append(.set(row(round - 1, of: number, version: 1))) }
                        if round > 1 {
                            changes.append(.remove(fileName: row(998 + round, of: number).fileName, checksum: nil))
                        }
                        try await writer.apply(changes)
                        if support == .none {
                            // Who reads before a write and writes after its check is noticed by looking again.
                            let due = changes.compactMap { if case .set(let row) = $0 { row } else { nil } }
                            while case let lost = try await writer.missing(of: due), !lost.isEmpty {
                                try await writer.apply(changes)
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func expected(writers: Int, rounds: Int) -> Set<String> {
        var names: Set<String> = []
        for number in 0..<writers {
            for round in 0..<rounds {
                let version = round < rounds - 1 ? 1 : 0
                names.insert("\(row(round, of: number, version: version))")
                if round >= rounds - 2 { names.insert("\(row(1000 + round, of: number))") }
            }
        }
        return names
    }

    @Test func writersThatCompeteLoseNothing() async throws {
        bucket.set(key, Array(#"{"theirs": 1, "sessions": [{"filename": "a.fastshot", "star": 2}]}"#.utf8))
        try await compete(bucket, writers: 6, rounds: 8, support: .all)
        let found = try rows()
        #expect(Set(found.map { "\($0)" }).subtracting(expected(writers: 6, rounds: 8)).count == 1)
        #expect(Set(found.map { "\($0)" }).isSuperset(of: expected(writers: 6, rounds: 8)))
        #expect(found.count == expected(writers: 6, rounds: 8).count + 1)
        let document = try JSONValue.parse(try #require(bucket.peek(key)))
        #expect(document["theirs"] == 1)
        #expect(document["sessions"]?.array?.first?["star"] == 2)
    }

    @Test func writersThatCompeteForADirectoryLoseNothing() async throws {
        let store = LocalDirectoryStore(directory: directory.path("bucket"))
        try await store.createContainer()
        try await compete(store, writers: 4, rounds: 6, support: .all)
        let found = try checkedRows(try await store.bytes(key).bytes)
        #expect(Set(found.map { "\($0)" }) == expected(writers: 4, rounds: 6))
    }

    @Test func theFirstOfTwoFilesIsNotOverwritten() async throws {
        let store = CarelessStore(bucket, ignores: false)
        let (bucket, key) = (bucket, key)
        store.beforePut { bucket.set(key, OverallFile.encode([row(7)], lastUpdated: "x")) }
        store.beforePut { bucket.set(key, OverallFile.encode([row(7), row(8)], lastUpdated: "x")) }
        let writer = RowWriter(store, directory)
        try await writer.apply([.set(row(1))])
        #expect(try rows() == [row(7), row(8), row(1)])
        #expect(writer.writes == 1)
        store.beforePut { bucket.unset(key) }
        try await writer.apply([.set(row(2))])
        #expect(try rows() == [row(2)])
    }

    // MARK: Servers without conditions

    @Test func aLostWriteIsNoticed() async throws {
        let store = CarelessStore(bucket)
        let (bucket, key) = (bucket, key)
        bucket.set(key, OverallFile.encode([row(7)], lastUpdated: "x"))
        store.afterPut { bucket.set(key, OverallFile.encode([row(7), row(8)], lastUpdated: "x")) }
        let writer = RowWriter(store, directory, .none)
        try await writer.apply([.set(row(1)), .remove(fileName: row(7).fileName, checksum: nil)])
        #expect(try rows() == [row(8), row(1)])
        #expect(writer.writes == 2)
    }

    @Test func aWriteThatWasTakenUpIsNotRepeated() async throws {
        let store = CarelessStore(bucket)
        let (bucket, key) = (bucket, key)
        store.afterPut { bucket.set(key, OverallFile.encode([row(1), row(8)], lastUpdated: "x")) }
        let writer = RowWriter(store, directory, .none)
        try await writer.apply([.set(row(1))])
        #expect(try rows() == [row(1), row(8)])
        #expect(writer.writes == 1)
    }

    @Test func aRemovedFileIsWrittenAgain() async throws {
        let store = CarelessStore(bucket)
        let (bucket, key) = (bucket, key)
        store.afterPut { bucket.unset(key) }
        try await RowWriter(store, directory, .none).apply([.set(row(1))])
        #expect(try rows() == [row(1)])
    }

    @Test func writersThatCompeteWithoutConditionsLoseNothing() async throws {
        try await compete(CarelessStore(bucket), writers: 3, rounds: 3, support: .none)
        let missing = expected(writers: 3, rounds: 3).subtracting(try rows().map { "\($0)" })
        #expect(missing.isEmpty)
    }

    @Test func aServerThatRefusesConditionsIsWrittenToWithoutThem() async throws {
        let store = FaultyStore(bucket)
        store.inject(.fail(StoreError(.unsupported, message: "no such condition", status: 501)), verb: .put)
        let writer = RowWriter(store, directory)
        try await writer.apply([.set(row(1))])
        #expect(try rows() == [row(1)])
    }

    // MARK: Rows that were lost

    @Test func lostRowsAreFound() async throws {
        let writer = RowWriter(bucket, directory)
        #expect(try await writer.missing(of: []) == [])
        #expect(try await writer.missing(of: [row(1)]) == [row(1)])
        try await writer.apply([.set(row(1)), .set(row(2)), .set(row(3))])
        #expect(try await writer.missing(of: [row(1), row(2)]) == [])
        // A client that overwrote the file with the view it had: one row is gone, one is of the version before.
        bucket.set(
            key, OverallFile.encode([row(1, version: 4), OverallRow(fileName: row(3).fileName)], lastUpdated: "x"))
        #expect(try await writer.missing(of: [row(1), row(2), row(3)]) == [row(1), row(2)])
        let whole = OverallFile.encode([row(1), row(2)], lastUpdated: "x")
        bucket.set(key, Array(whole.prefix(whole.count / 2)))
        #expect(try await writer.missing(of: [row(1), row(2)]) == [row(2)])
        #expect(leftovers.isEmpty)
    }

    // MARK: Damage

    @Test func aMissingFileComesBackWithWhatIsKnown() async throws {
        let writer = RowWriter(bucket, directory, known: [row(1), row(2), row(3)])
        try await writer.apply([
            .set(row(2, version: 1)), .remove(fileName: row(3).fileName, checksum: nil), .set(row(9)),
        ])
        #expect(try rows() == [row(1), row(2, version: 1), row(9)])
        // Known rows are for files that are missing or damaged only.
        bucket.set(key, OverallFile.encode([row(5)], lastUpdated: "x"))
        try await writer.apply([.set(row(6))])
        #expect(try rows() == [row(5), row(6)])
    }

    @Test func aDamagedFileLosesNoRowThatCanBeRead() async throws {
        let whole = OverallFile.encode((1...5).map { row($0) }, lastUpdated: "x")
        let text = String(decoding: whole, as: UTF8.self)
        let middle = text.replacing("\"file_size\": 2,\n      \"checksum\"", with: "\"file_size\": 2,, \"checksum\"")
        for (damaged, kept) in [
            (Array(whole.prefix(whole.count - 30)), [1, 2, 3, 4, 5]), (Array(middle.utf8), [1, 3, 4, 5]),
            (Array(whole.prefix(whole.count * 9 / 20)), [1, 2]), ([], []), (Array("<html>".utf8), []),
        ] {
            bucket.set(key, damaged)
            let writer = RowWriter(bucket, directory, known: [row(2), row(8)])
            try await writer.apply([.set(row(9))])
            let found = try rows().map(\.fileName)
            #expect(Set(found) == Set((kept + [2, 8, 9]).map { row($0).fileName }))
            #expect(found.count == Set(found).count)
            #expect(found.last == row(9).fileName)
        }
        #expect(leftovers.isEmpty)
    }

    // MARK: Faults

    @Test func anAnswerThatIsLostDoesNoHarm() async throws {
        let store = FaultyStore(bucket)
        let writer = RowWriter(RetryingStore(store, sleep: { _ in }), directory)
        try await writer.apply([.set(row(1))])
        store.inject(.failAfterwards(StoreError(.temporary, message: "connection lost")), verb: .put)
        try await writer.apply([.set(row(2)), .remove(fileName: row(1).fileName, checksum: nil)])
        #expect(try rows() == [row(2)])
    }

    @Test func aFileThatBreaksOffOnItsWayIsNotWritten() async throws {
        let whole = OverallFile.encode((1...5).map { row($0) }, lastUpdated: "x")
        bucket.set(key, whole)
        let store = FaultyStore(bucket)
        store.inject(.shorten(to: 100), verb: .get)
        let writer = RowWriter(store, directory)
        let error = await #expect(throws: StoreError.self) { try await writer.apply([.set(row(9))]) }
        #expect(error?.kind == .temporary)
        #expect(bucket.peek(key) == whole)
        #expect(leftovers.isEmpty)
    }

    @Test func aStoreThatIsAwayIsAnError() async throws {
        let store = FaultyStore(bucket)
        store.setDown(StoreError(.offline, message: "away"))
        let writer = RowWriter(store, directory)
        let error = await #expect(throws: StoreError.self) { try await writer.apply([.set(row(9))]) }
        #expect(error?.kind == .offline)
    }

    @Test func whoIsAlwaysSlowerGivesUp() async throws {
        let store = CarelessStore(bucket, ignores: false)
        let (bucket, key) = (bucket, key)
        for turn in 0..<RowWriter.attempts {
            store.beforePut { bucket.set(key, OverallFile.encode([row(turn)], lastUpdated: "x")) }
        }
        let writer = RowWriter(
            store: store, scratch: directory.path("scratch"), support: { .all }, lastUpdated: { "x" },
            pause: { _ in })
        let error = await #expect(throws: StoreError.self) { try await writer.apply([.set(row(1000))]) }
        #expect(error?.kind == .temporary)
        #expect(writer.writes == 0)
    }

    // MARK: Size

    @Test func manyRowsNeedLittleMemory() async throws {
        let store = LocalDirectoryStore(directory: directory.path("bucket"))
        try await store.createContainer()
        let count = 15_000
        try makeLargeFile(directory.path("bucket/" + key), count)
        let writer = RowWriter(store, directory)
        let before = Memory.residentBytes
        let peak = Guarded<UInt64>(0)
        let watch = Task {
            while !Task.isCancelled {
                let now = Memory.residentBytes
                peak.withLock { $0 = max($0, now) }
                await Task.yield()
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
        let changes: [RowChange] = [
            .set(row(500, version: 1)), .set(row(1, of: 9)),
            .remove(fileName: row(14_999).fileName, checksum: .etag("14999v0")),
        ]
        try await writer.apply(changes)
        // Held in memory as values, the file would take many times its size.
        let lost = try await writer.missing(of: [row(500, version: 1), row(1, of: 9), row(14_999)])
        watch.cancel()
        #expect(lost == [row(14_999)])
        let growth = peak.withLock { $0 > before ? $0 - before : 0 }
        let size = try FileDescriptor.open(directory.path("bucket/" + key)).size()
        #expect(size > 5 << 20)
        #expect(growth < 8 << 20, "\(growth >> 20) MiB for a file of \(size >> 20) MiB")
    }

    private func makeLargeFile(_ path: String, _ count: Int) throws {
        let file = try FileDescriptor.open(path, [.write, .create])
        let writer = OverallWriter(totalSessions: count, lastUpdated: "x")
        var offset: UInt64 = 0
        for number in 0..<count {
            writer.append(row(number))
            if number == count - 1 { writer.finish() }
            guard writer.pendingBytes > 1 << 20 || number == count - 1 else { continue }
            let bytes = writer.take()
            try file.write(bytes, at: offset)
            offset += UInt64(bytes.count)
        }
    }
}
