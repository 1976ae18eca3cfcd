import JSON
import Testing

@testable import SessionFormat

/// A source that gives small pieces of some bytes.
private func source(_ bytes: [UInt8], piece: Int = 1 << 20) -> OverallMerger.Source {
    { offset, count in Array(bytes[min(Int(offset), bytes.count)...].prefix(min(count, piece))) }
}

private func merge(_ bytes: [UInt8], _ changes: [OverallChange], piece: Int = 1 << 20) throws -> [UInt8]? {
    let merger = OverallMerger(changes, lastUpdated: "2026-11-30T10:00:00.000001")
    let survey = try merger.survey(source(bytes, piece: piece))
    guard survey.isChanged else { return nil }
    var result: [UInt8] = []
    try merger.write(survey, source(bytes, piece: piece)) { result += $0 }
    return result
}

private func row(_ number: Int, checksum: ObjectChecksum = .etag("aa"), tags: [String] = []) -> OverallRow {
    OverallRow(
        fileName: "2025010100000\(number)_é \(number).fastshot", createdAt: "2026-11-21T02:05:32+00:00",
        fileSize: UInt64(number), checksum: checksum,
        metadata: SessionMetadata(name: "é \(number)", tags: tags, fileSize: UInt64(number)))
}

private func file(_ rows: [OverallRow]) -> [UInt8] {
    OverallFile.encode(rows, lastUpdated: "2026-01-01T00:00:00")
}

private func names(_ bytes: [UInt8]) throws -> [String] {
    try #require(try JSONValue.parse(bytes)["sessions"]?.array).map { $0["filename"]?.string ?? "-" }
}

@Suite struct OverallMergerTests {
    @Test func whatIsWrittenIsWhatFastShotWouldWrite() throws {
        let result = try #require(
            try merge(file((0..<4).map { row($0) }), [.set(row(9)), .remove(fileName: row(1).fileName, checksum: nil)]))
        let expected = OverallFile.encode(
            [row(0), row(2), row(3), row(9)], lastUpdated: "2026-11-30T10:00:00.000001")
        #expect(result == expected)
    }

    @Test func fromNothingAndToNothing() throws {
        let first = try #require(try merge(file([]), [.set(row(1))]))
        #expect(first == OverallFile.encode([row(1)], lastUpdated: "2026-11-30T10:00:00.000001"))
        let last = try #require(try merge(first, [.remove(fileName: row(1).fileName, checksum: .etag("aa"))]))
        #expect(last == OverallFile.encode([], lastUpdated: "2026-11-30T10:00:00.000001"))
    }

    @Test func everyChecksumIsPythons() throws {
        let text = #"""
            {"version": "1.0", "zusatz é": {"b": [1.50, 1e22], "a": null}, "last_updated": 5, "total_sessions": "many",
             "sessions": [{"filename": "a.fastshot", "x": 1.0, "checksum": "", "file_size": 1}, "no row \ud83d\ude00", 7,
              {"no": "name"}, {"checksum": "etag:1", "filename": "b.fastshot", "created_at": null, "é": "\u007f\u2028"}],
             "behind": true, "checksum": "0"}
            """#
        let changes: [OverallChange] = [
            .set(OverallRow(fileName: "b.fastshot", createdAt: "c", fileSize: 3, checksum: .etag("2"))), .set(row(3)),
        ]
        for piece in [1, 7, 1 << 20] {
            let result = try #require(try merge(Array(text.utf8), changes, piece: piece))
            let lines = try pythonLines(
                #"""
                import base64, hashlib, json, sys
                text = base64.b64decode(sys.argv[1]).decode("utf-8")
                d = json.loads(text)
                print(hashlib.sha256(json.dumps(d["sessions"], sort_keys=True).encode()).hexdigest() == d["checksum"])
                print(json.dumps(d, indent=2, ensure_ascii=False) == text)
                print(list(d) == ["version", "zusatz é", "last_updated", "total_sessions", "sessions", "behind", "checksum"])
                s = d["sessions"]
                print(d["total_sessions"] == len(s) == 6 and d["last_updated"] == "2026-11-30T10:00:00.000001")
                print(s[:4] == [{"filename": "a.fastshot", "x": 1.0, "checksum": "", "file_size": 1}, "no row \U0001F600", 7, {"no": "name"}])
                print(list(s[4].items()) == [("checksum", "etag:2"), ("filename", "b.fastshot"), ("created_at", "c"), ("é", "\x7f\u2028"), ("file_size", 3)])
                print(d["zusatz é"] == {"b": [1.5, 1e22], "a": None} and d["behind"] is True)
                """#, arguments: [base64(result)])
            #expect(lines == Array(repeating: "True", count: 7))
        }
    }

    @Test func changesThatTheFileShowsAreNone() throws {
        let bytes = file([row(1), row(2)])
        #expect(try merge(bytes, []) == nil)
        #expect(try merge(bytes, [.set(row(2)), .remove(fileName: "x.fastshot", checksum: nil)]) == nil)
        let other = OverallRow(fileName: row(1).fileName, checksum: .etag("bb"))
        #expect(try merge(bytes, [.set(other), .set(row(1))]) == nil)
        #expect(try merge(bytes, [.set(row(2, tags: ["new"]))]) != nil)
    }

    @Test func aRowOfSomebodyElseIsNotRemoved() throws {
        let bytes = file([row(1), row(2, checksum: .sha256("cc"))])
        #expect(try merge(bytes, [.remove(fileName: row(1).fileName, checksum: .etag("other"))]) == nil)
        // Digests of two kinds contradict each other in nothing.
        #expect(
            try names(merge(bytes, [.remove(fileName: row(1).fileName, checksum: .sha256("x"))]) ?? []) == [
                row(2).fileName
            ])
        #expect(
            try names(merge(bytes, [.remove(fileName: row(1).fileName, checksum: .etag("aa"))]) ?? []) == [
                row(2).fileName
            ])
    }

    @Test func theLastChangeOfANameCounts() throws {
        let bytes = file([row(1), row(2)])
        let gone = OverallChange.remove(fileName: row(1).fileName, checksum: nil)
        #expect(try names(merge(bytes, [.set(row(1, tags: ["t"])), gone]) ?? []) == [row(2).fileName])
        let back = try #require(try merge(bytes, [gone, .set(row(1, tags: ["t"]))]))
        #expect(try names(back) == [row(1).fileName, row(2).fileName])
    }

    @Test func aRowThatComesTwiceComesOnce() throws {
        let bytes = file([row(1), row(2), row(1)])
        let set = try #require(try merge(bytes, [.set(row(1))]))
        #expect(try names(set) == [row(1).fileName, row(2).fileName])
        let removed = try #require(try merge(bytes, [.remove(fileName: row(1).fileName, checksum: nil)]))
        #expect(try names(removed) == [row(2).fileName])
    }

    @Test func namesThatOnlyLookAlikeAreTwo() throws {
        let composed = OverallRow(fileName: "\u{E9}.fastshot")
        let decomposed = OverallRow(fileName: "e\u{301}.fastshot")
        let result = try #require(try merge(file([composed]), [.set(decomposed)]))
        #expect(try names(result).map { Array($0.utf8) } == [composed, decomposed].map { Array($0.fileName.utf8) })
        let one = try #require(try merge(result, [.remove(fileName: composed.fileName, checksum: nil)]))
        #expect(try names(one).map { Array($0.utf8) } == [Array(decomposed.fileName.utf8)])
    }

    @Test func foreignKeysOfAMovedRowGoWithIt() throws {
        var text = String(decoding: file([row(1), row(2), row(3)]), as: UTF8.self)
        text = text.replacing(
            "\"file_size\": 1,\n      \"checksum\"", with: "\"file_size\": 1,\n \"star\": 5, \"checksum\"")
        let old = row(1).fileName
        for changes: [OverallChange] in [
            [.move(from: old, checksum: nil, to: row(7))],
            [.move(from: old, checksum: nil, to: row(8)), .move(from: row(8).fileName, checksum: nil, to: row(7))],
            [.move(from: old, checksum: nil, to: row(7, tags: ["x"])), .set(row(7))],
        ] {
            let result = try #require(try merge(Array(text.utf8), changes))
            #expect(try names(result) == [row(2), row(3), row(7)].map(\.fileName))
            let moved = try JSONValue.parse(result)["sessions"]?.array?.last
            #expect(moved?["star"] == 5)
            #expect(moved.flatMap { OverallRow(json: $0) } == row(7))
            // An answer that was lost makes it come a second time.
            #expect(try merge(result, changes) == nil)
        }
        // Over a row that is there: that one is of another session.
        let over = try #require(try merge(Array(text.utf8), [.move(from: row(3).fileName, checksum: nil, to: row(1))]))
        #expect(try names(over) == [row(2), row(1)].map(\.fileName))
        #expect(try JSONValue.parse(over)["sessions"]?.array?.last?["star"] == nil)
    }

    @Test func foreignKeysOfMetadataStay() throws {
        let text = #"{"sessions": [{"filename": "a.fastshot", "metadata": {"mood": "fine", "name": "old"}}]}"#
        let new = OverallRow(fileName: "a.fastshot", metadata: SessionMetadata(name: "new"))
        let result = try #require(try merge(Array(text.utf8), [.set(new)]))
        let read = try JSONValue.parse(result)
        #expect(read["sessions"]?.array?.first?["metadata"]?["mood"] == "fine")
        #expect(read["sessions"]?.array?.first?["metadata"]?["name"] == "new")
        #expect(read["total_sessions"] == 1)
        #expect(read["version"] == "1.0")
        // Without metadata of its own a row keeps none that tells of other contents.
        let bare = try #require(try merge(Array(text.utf8), [.set(OverallRow(fileName: "a.fastshot"))]))
        #expect(try JSONValue.parse(bare)["sessions"]?.array?.first?["metadata"] == nil)
    }

    @Test(arguments: [
        #"{"sessions": []}"#, #"{"checksum": "x", "sessions": [], "version": "2.0"}"#,
        #"{"a": 1, "sessions": [], "b": 2}"#,
    ])
    func membersThatAreMissing(text: String) throws {
        let result = try #require(try merge(Array(text.utf8), [.set(row(1))]))
        let document = try JSONValue.parse(result)
        #expect(document.serialized(.pretty) == result)
        var wanted = ["version", "last_updated", "total_sessions", "sessions", "checksum"]
        wanted.removeAll { document[$0] != nil }
        #expect(wanted.isEmpty)
        #expect(document["checksum"]?.string == document["sessions"].map { MetadataIndex.checksum(of: $0) })
        #expect(try merge(result, [.set(row(1))]) == nil)
    }

    @Test func damagedFilesAreErrors() throws {
        let bytes = file([row(1), row(2)])
        for length in 0..<bytes.count {
            #expect(throws: FormatError.self) { try merge(Array(bytes[..<length]), [.set(row(1))]) }
        }
        for text in ["[]", "<html>", #"{"sessions": {}}"#, #"{"sessions": null}"#, "{} {}"] {
            #expect(throws: FormatError.self) { try merge(Array(text.utf8), [.set(row(1))]) }
        }
    }
}

@Suite struct OverallSalvageTests {
    private final class Output {
        var bytes: [UInt8] = []
    }

    private func salvage(
        _ bytes: [UInt8]?, known: [OverallRow] = [], piece: Int = 1 << 20
    ) throws -> (OverallSalvage.Outcome, [UInt8]) {
        let output = Output()
        let outcome = try OverallSalvage.write(
            bytes.map { source($0, piece: piece) },
            known: { deliver in for row in known { try deliver(row) } },
            into: { output.bytes += $0 })
        return (outcome, output.bytes)
    }

    @Test func aMissingFileIsMadeOfWhatIsKnown() throws {
        let (outcome, bytes) = try salvage(nil, known: [row(1), row(2), row(1)])
        #expect(outcome == OverallSalvage.Outcome(added: 2))
        let merged = try #require(try merge(bytes, [.set(row(3))]))
        #expect(merged == OverallFile.encode([row(1), row(2), row(3)], lastUpdated: "2026-11-30T10:00:00.000001"))
    }

    @Test func everyTruncationKeepsTheRowsBefore() throws {
        let rows = (1...4).map { row($0) }
        let bytes = file(rows)
        var most = 0
        for length in 0..<bytes.count {
            let (outcome, rebuilt) = try salvage(Array(bytes[..<length]))
            let found = try names(rebuilt)
            #expect(found == rows.prefix(found.count).map(\.fileName))
            #expect(found.count >= most && outcome.kept == found.count && outcome.damage != nil)
            most = found.count
        }
        #expect(most == 4)
    }

    @Test func everyBrokenByteCostsOneRowAtMost() throws {
        let rows = (1...4).map { row($0, tags: ["t{\"filename\": \"no\", \"checksum\": 1}"]) }
        let bytes = file(rows)
        for place in bytes.indices {
            var damaged = bytes
            let byte = [0x00, UInt8(ascii: "x"), UInt8(ascii: "\"")][place % 3]
            damaged[place] = byte
            let (_, rebuilt) = try salvage(damaged, piece: place.isMultiple(of: 2) ? 1 << 20 : 100)
            let found = try names(rebuilt)
            let kept = rows.filter { row in found.contains { $0 == row.fileName } }.count
            #expect(kept >= 3, "byte \(byte) at \(place)")
            // What was made of it is whole.
            _ = try merge(rebuilt, [])
        }
    }

    @Test(arguments: ["{}", #"{"sessions": null}"#, #"{"other": [{"filename": "a.fastshot", "checksum": ""}]}"#])
    func aFileWithoutAListIsDamaged(text: String) throws {
        #expect(throws: FormatError.self) { try merge(Array(text.utf8), [.set(row(1))]) }
        let (outcome, rebuilt) = try salvage(Array(text.utf8), known: [row(1)])
        #expect(outcome.damage != nil)
        let merged = try #require(try merge(rebuilt, [.set(row(2))]))
        #expect(try names(merged).suffix(2) == [row(1), row(2)].map(\.fileName))
        #expect(try names(merged).contains("a.fastshot") == text.contains("a.fastshot"))
        #expect(try JSONValue.parse(merged).serialized(.pretty) == merged)
    }

    @Test func rowsBehindGarbageAndOutsideOfAnyList() throws {
        let text = """
            <html>{"x": {"filename": "meta.fastshot"}} {{{ [{"filename": "a.fastshot", "checksum": ""}
            {"filename": "b.fastshot", "checksum": "", "own": 1},{"filename": "a.fastshot", "checksum": ""}
            """
        let (outcome, rebuilt) = try salvage(Array(text.utf8), known: [OverallRow(fileName: "b.fastshot"), row(1)])
        #expect(try names(rebuilt) == ["a.fastshot", "b.fastshot", row(1).fileName])
        #expect(outcome.kept == 2 && outcome.added == 1)
        #expect(try JSONValue.parse(rebuilt)["sessions"]?.array?[1]["own"] == 1)
    }

    @Test func foreignMembersOfADamagedFileStayAsFarAsTheyCanBeRead() throws {
        let text = #"{"mine": 1, "sessions": ["odd", {"filename": "a.fastshot"}], "later": [2], "checksum": "12"#
        let (_, rebuilt) = try salvage(Array(text.utf8), known: [row(1)])
        let document = try JSONValue.parse(rebuilt)
        #expect(document.members?.map(\.0) == ["mine", "sessions", "later"])
        #expect(document["sessions"]?.array?.first == "odd")
        #expect(try names(rebuilt) == ["-", "a.fastshot", row(1).fileName])
    }
}
