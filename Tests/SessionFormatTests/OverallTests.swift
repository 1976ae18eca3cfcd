import JSON
import Testing

@testable import SessionFormat

@Suite(.timeLimit(.minutes(3))) struct OverallTests {
    private static func rows(_ count: Int) -> [OverallRow] {
        (0..<count).map { index in
            OverallRow(
                fileName: "20250705131350_s\(index) 评\"\\é.fastshot", createdAt: "2026-11-21T02:05:32+00:00",
                fileSize: UInt64(index), checksum: index.isMultiple(of: 2) ? .etag("11b6") : .sha256("22c7"),
                metadata: index.isMultiple(of: 3)
                    ? nil
                    : SessionMetadata(
                        name: "s\(index)", tags: ["a", "{\"[b"], imageCount: index, fileSize: UInt64(index)))
        }
    }

    @Test func rowsWithMetadataAreReadAsWritten() throws {
        let rows = Self.rows(10)
        let bytes = OverallFile.encode(rows, lastUpdated: "2026-01-02T03:04:05")
        var found: [OverallRow] = []
        let summary = try read(bytes) { found.append($0) }
        #expect(found == rows)
        #expect(summary.checksum == .valid)
        #expect(summary.totalSessions == 10)
        #expect(summary.lastUpdated == "2026-01-02T03:04:05")
        // FastShot itself reads it so.
        let document = try JSONValue.parse(bytes)
        #expect(document.serialized(.pretty) == bytes)
        #expect(document["checksum"]?.string == document["sessions"].map { MetadataIndex.checksum(of: $0) })
    }

    @Test func aFileWithoutSessions() throws {
        let bytes = OverallFile.encode([], lastUpdated: "2026-01-02T03:04:05")
        #expect(try JSONValue.parse(bytes).serialized(.pretty) == bytes)
        let summary = try read(bytes, piece: 1) { _ in }
        #expect(summary.checksum == .valid)
        #expect(summary.rowCount == 0)
    }

    @Test func everySplitReadsAsTheWhole() throws {
        let file = [0xEF, 0xBB, 0xBF] + OverallFile.encode(Self.rows(4), lastUpdated: "2026-01-02T03:04:05")
        var whole: [OverallRow] = []
        let summary = try read(file) { whole.append($0) }
        #expect(whole.count == 4)
        for split in 0...file.count {
            let reader = OverallReader()
            var rows: [OverallRow] = []
            try reader.consume(file.span.extracting(..<split).bytes) { rows.append($0) }
            try reader.consume(file.span.extracting(split...).bytes) { rows.append($0) }
            #expect(rows == whole, "split at \(split)")
            #expect(try reader.finish() == summary, "split at \(split)")
        }
        for piece in [1, 2, 3, 7, 64] {
            var rows: [OverallRow] = []
            #expect(try read(file, piece: piece) { rows.append($0) } == summary)
            #expect(rows == whole)
        }
    }

    @Test func aTornFileIsAnErrorAfterTheRowsBefore() throws {
        let rows = Self.rows(4)
        let file = OverallFile.encode(rows, lastUpdated: "2026-01-02T03:04:05")
        var most = 0
        for length in 0..<file.count {
            let reader = OverallReader()
            var found: [OverallRow] = []
            try reader.consume(file.span.extracting(..<length).bytes) { found.append($0) }
            #expect(found == Array(rows.prefix(found.count)))
            #expect(found.count >= most)
            most = found.count
            #expect(kind { () throws(FormatError) in try reader.finish() } == .truncated, "cut at \(length)")
        }
        #expect(most == 4)
    }

    @Test func garbageAfterSomeRows() throws {
        let file = Array(
            #"{"sessions": [{"filename": "a.fastshot"}, {"filename": "b.fastshot"}, {"filename" oops}]}"#.utf8)
        for piece in [1, 10, .max] {
            var names: [String] = []
            let error = #expect(throws: FormatError.self) { try read(file, piece: piece) { names.append($0.fileName) } }
            #expect(error?.kind == .notJSON)
            #expect(error?.offset == 82)
            #expect(names == ["a.fastshot", "b.fastshot"])
        }
    }

    @Test(arguments: [
        ("", FormatError.Kind.truncated), ("[]", .notJSON), ("<?xml version=\"1.0\"?>", .notJSON),
        ("{\"a\" 1}", .notJSON),
        ("{\"a\": }", .notJSON), ("{\"sessions\": [1,]}", .notJSON), ("{\"sessions\": [,1]}", .notJSON),
        ("{,}", .notJSON),
        ("{\"a\": 1,}", .notJSON), ("{} {}", .notJSON), ("{\"a\": 1 2}", .notJSON), ("{\"sessions\": [1 2]}", .notJSON),
        ("{\"sessions\": [1}", .notJSON), ("{\"a\": 01}", .notJSON),
        ("{\"sessions\": [], \"sessions\": []}", .unexpectedShape),
        ("{\"a\": \"\u{1}\"}", .notJSON), ("{a: 1}", .notJSON), ("{\"a\": nul}", .notJSON),
        ("{\"sessions\": [\"\\x\"]}", .notJSON),
    ])
    func filesThatAreNoOverallFile(text: String, expected: FormatError.Kind) {
        for piece in [1, .max] {
            let error = #expect(throws: FormatError.self) { try read(Array(text.utf8), piece: piece) { _ in } }
            #expect(error?.kind == expected, "of \(text)")
        }
    }

    @Test func anErrorStays() throws {
        let reader = OverallReader()
        let bad = Array("{]".utf8)
        let good = OverallFile.encode([], lastUpdated: "")
        #expect(throws: FormatError.self) { try reader.consume(bad.span.bytes) { _ in } }
        #expect(throws: FormatError.self) { try reader.consume(good.span.bytes) { _ in } }
        #expect(throws: FormatError.self) { try reader.finish() }
    }

    @Test func aTextWithoutRowsIsReadForWhatItSays() throws {
        let summary = try read(
            Array(#" {"sessions": null, "version": 2, "total_sessions": "x", "checksum": ""} "#.utf8)
        ) { _ in
            Issue.record("no row is there")
        }
        #expect(summary == OverallSummary())
    }

    @Test func elementsThatAreNoRowsCountAndBelongToTheChecksum() throws {
        let sessions: JSONValue = [
            1, nil, ["filename": ""], ["file_size": 3],
            ["filename": "a.fastshot", "file_size": -1, "checksum": "md5:x", "x": [1.50]],
        ]
        let file: JSONValue = ["checksum": .string(MetadataIndex.checksum(of: sessions)), "sessions": sessions]
        var rows: [OverallRow] = []
        let summary = try read(file.serialized(.compact), piece: 5) { rows.append($0) }
        #expect(rows == [OverallRow(fileName: "a.fastshot")])
        #expect(summary.badRows == 4)
        #expect(summary.checksum == .valid)
    }

    @Test func aChangedRowIsAMismatchAndAMissingChecksumIsAbsent() throws {
        let text = String(decoding: OverallFile.encode(Self.rows(2), lastUpdated: ""), as: UTF8.self)
        let changed = text.replacing("\"file_size\": 1,", with: "\"file_size\": 2,")
        #expect(changed != text)
        #expect(try read(Array(changed.utf8)) { _ in }.checksum == .mismatch)
        let renamed = text.replacing("\n  \"checksum\"", with: "\n  \"other\"")
        #expect(try read(Array(renamed.utf8)) { _ in }.checksum == .absent)
    }

    @Test func whatARowThrowsIsThrownOn() {
        struct Stop: Error {}
        let file = OverallFile.encode(Self.rows(2), lastUpdated: "")
        #expect(throws: Stop.self) { try read(file) { _ in throw Stop() } }
    }

    @Test func anElementWithoutEndIsRefusedBeforeItFillsTheMemory() {
        let reader = OverallReader()
        let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 20)
        let error = #expect(throws: FormatError.self) {
            try reader.consume(Array("{\"sessions\": [\"".utf8).span.bytes) { _ in }
            for _ in 0..<64 { try reader.consume(piece.span.bytes) { _ in } }
        }
        #expect(error?.kind == .tooLarge)
    }

    @Test func aHundredThousandRowsNeedNoMoreMemoryThanAFew() throws {
        let count = 100_000
        let batch = 500
        let row = Self.rows(2)[1].json.serialized(.pretty)
        let piece = Array(repeating: row, count: batch).joined(separator: Array(",\n".utf8))
        let reader = OverallReader()
        var rows = 0
        var received = 0
        for start in stride(from: 0, to: count, by: batch) {
            let bytes = Array((start == 0 ? "{\"sessions\": [" : ",").utf8) + piece
            received += bytes.count
            try reader.consume(bytes.span.bytes) { _ in rows += 1 }
            try #require(reader.heldBytes < 3 * bytes.count)
        }
        let end = Array("]}".utf8)
        try reader.consume(end.span.bytes) { _ in rows += 1 }
        #expect(try reader.finish().rowCount == count)
        #expect(rows == count)
        #expect(received > 100 * reader.heldBytes)
    }
}
