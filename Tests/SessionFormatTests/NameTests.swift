import SessionFormat
import Testing

@Suite struct SessionNameTests {
    @Test func partsOfAName() throws {
        let name = try #require(SessionName(fileName: "20250705131350_release dashboard 设计评审.fastshot"))
        #expect(name.stem == "20250705131350_release dashboard 设计评审")
        #expect(name.fileName == "20250705131350_release dashboard 设计评审.fastshot")
        #expect(name.bodyKey == "sessions/20250705131350_release dashboard 设计评审.fastshot")
        #expect(name.indexKey == "meta_indexes/20250705131350_release dashboard 设计评审.meta.json")
        #expect(name.title == "release dashboard 设计评审")
        #expect(name.stamp == NaiveTime(year: 2025, month: 7, day: 5, hour: 13, minute: 13, second: 50))
        #expect(SessionName(indexFileName: "20250705131350_release dashboard 设计评审.meta.json") == name)
    }

    @Test(arguments: ["", ".fastshot", "x", "x.FASTSHOT", "x.fastshot.tmp", "a/b.fastshot", "x\0.fastshot", "..", "."])
    func whatIsNoSessionsName(fileName: String) {
        #expect(SessionName(fileName: fileName) == nil)
    }

    @Test func suffixesAreComparedByBytes() throws {
        // U+0600 takes the dot into its own character, so that a comparison by characters would miss the suffix.
        let name = try #require(SessionName(fileName: "x\u{600}.fastshot"))
        #expect(name.stem == "x\u{600}")
        let composed = SessionName(fileName: "\u{e9}.fastshot")
        let decomposed = SessionName(fileName: "e\u{301}.fastshot")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }

    @Test func namesThatCannotBeFiles() {
        #expect(SessionName.problem(withFileName: "") == .empty)
        #expect(SessionName.problem(withFileName: ".") == .dots)
        #expect(SessionName.problem(withFileName: "..") == .dots)
        #expect(SessionName.problem(withFileName: "...") == nil)
        #expect(SessionName.problem(withFileName: "a/b") == .slash)
        #expect(SessionName.problem(withFileName: "a\0b") == .nul)
        #expect(SessionName.problem(withFileName: String(repeating: "x", count: 255)) == nil)
        #expect(SessionName.problem(withFileName: String(repeating: "x", count: 256)) == .tooLong)
        #expect(SessionName.problem(withFileName: String(repeating: "评", count: 86)) == .tooLong)
        // Strange, but Linux takes them.
        #expect(SessionName.problem(withFileName: "a\nb\u{7f}\u{1b} .fastshot") == nil)
    }

    @Test(arguments: [
        "2025070513135", "20250705131350x", "20251305131350_x", "20250230131350_x", "20250705241350_x",
        "x20250705131350_x",
        "２0250705131350_x", "",
    ])
    func stemsWithoutAStamp(stem: String) {
        let name = SessionName(fileName: stem + ".fastshot")
        #expect(name?.stamp == nil)
        if let name { #expect(name.title == stem) }
    }

    @Test func stemsThatFastShotMakes() throws {
        let stamp = try #require(NaiveTime(year: 2025, month: 8, day: 1, hour: 4, minute: 28, second: 52))
        let long = "diff_diff_trace_dashboard_api_and more"
        #expect(SessionName(stamp: stamp, title: long).stem == "20250801042852_diff_diff_trace_dashboard_api_")
        #expect(SessionName(stamp: stamp, title: "").stem == "20250801042852")
        #expect(SessionName(stamp: stamp, title: "a/b\0c").stem == "20250801042852_a_b_c")
        #expect(SessionName(stamp: stamp, title: String(repeating: "评", count: 40)).title.unicodeScalars.count == 30)
        #expect(SessionName(fileName: "20250801042852.fastshot")?.stamp == stamp)
        #expect(SessionName(fileName: "20250801042852.fastshot")?.title == "")
    }
}

@Suite struct NaiveTimeTests {
    @Test(arguments: [
        ("2025-07-05T13:13:50.581279", 581_279_000, nil as Int?),
        ("2025-07-05T13:13:50", 0, nil),
        ("2025-07-05 13:13:50.5", 500_000_000, nil),
        ("2025-07-05T13:13:50,123456789012", 123_456_789, nil),
        ("2025-07-05T13:13:50Z", 0, 0),
        ("2025-07-05T13:13:50.000001+00:00", 1000, 0),
        ("2025-07-05T13:13:50+05:30", 0, 19_800),
        ("2025-07-05T13:13:50-0330", 0, -12_600),
        ("2025-07-05T13:13:50-03", 0, -10_800),
        ("2025-07-05T13:13:50+00:00:30", 0, 30),
    ])
    func datesWithATimeOfDay(text: String, nanoseconds: Int64, offset: Int?) throws {
        let time = try #require(NaiveTime(iso8601: text))
        #expect(
            time
                == NaiveTime(
                    year: 2025, month: 7, day: 5, hour: 13, minute: 13, second: 50, nanoseconds: nanoseconds,
                    offsetSeconds: offset))
    }

    @Test func partsThatMayBeMissing() {
        #expect(NaiveTime(iso8601: "2025-07-05") == NaiveTime(year: 2025, month: 7, day: 5))
        #expect(NaiveTime(iso8601: "2025-07-05T13:13") == NaiveTime(year: 2025, month: 7, day: 5, hour: 13, minute: 13))
        #expect(NaiveTime(iso8601: "2016-12-31T23:59:60Z")?.second == 59)
    }

    @Test(arguments: [
        "", "2025", "2025-7-5", "2025-13-01", "2025-02-29", "1900-02-29", "2025-04-31", "2025-07-05T",
        "2025-07-05T24:00:00",
        "2025-07-05T13:60:00", "2025-07-05T13:13:61", "2025-07-05T13:13:50.", "2025-07-05T13:13:50+",
        "2025-07-05T13:13:50+25:00",
        "2025-07-05T13:13:50 ", "2025-07-05T13:13:50ZZ", "not a date", "0000-01-01",
    ])
    func whatIsNoDate(text: String) {
        #expect(NaiveTime(iso8601: text) == nil)
    }

    @Test(arguments: [
        "2025-07-05T13:13:50.581279", "2024-02-29T00:00:00", "2000-02-29T23:59:59+00:00",
        "2026-11-21T02:05:37.263399-03:30",
    ])
    func writtenAsPythonWritesIt(text: String) {
        #expect(NaiveTime(iso8601: text)?.iso8601 == text)
    }
}
