import Foundation
import JSON
import MountHarness
import Platform
import SessionFormat
import Testing

/// Buckets that older or careless clients left: everything in them is shown, as well as the facts allow.
@Suite(.timeLimit(.minutes(3))) struct LegacyTests {
    /// What an overall file may be instead of whole.
    enum Overall: String, CaseIterable, CustomTestStringConvertible {
        case missing, empty, garbage, torn, anotherDocument, namesGoneSessions, lacksSessions, wrongChecksum
        var testDescription: String { rawValue }

        func bytes(_ whole: [UInt8]) throws -> [UInt8]? {
            let rows = try JSONValue.parse(whole)["sessions"]?.array?.compactMap(OverallRow.init(json:)) ?? []
            switch self {
            case .missing: return nil
            case .empty: return []
            case .garbage: return (0..<5000).map { _ in UInt8.random(in: 0...255) }
            case .torn: return Array(whole.prefix(whole.count / 2))
            case .anotherDocument: return Array(#"{"sessions": {"a": 1}, "version": 7}"#.utf8)
            case .namesGoneSessions:
                let gone = (0..<5).map { number in
                    var row = rows[0]
                    row.fileName = "2020010100000\(number)_gone.fastshot"
                    return row
                }
                return OverallFile.encode(gone + rows, lastUpdated: "2025-08-01T00:00:00")
            case .lacksSessions: return OverallFile.encode(Array(rows.prefix(10)), lastUpdated: "2025-08-01T00:00:00")
            case .wrongChecksum:
                return Array(
                    String(decoding: whole, as: UTF8.self).replacingOccurrences(
                        of: "\"file_size\": 1", with: "\"file_size\": 2"
                    ).utf8)
            }
        }
    }

    @Test(arguments: Overall.allCases) func overallFileMayBe(_ overall: Overall) throws {
        try MountWorld.with(.directory, .fixture) { world in
            let whole = try Fixture.read("overall_meta.json")
            if let bytes = try overall.bytes(whole) {
                try world.bucket.put("overall_meta.json", bytes)
            } else {
                try world.bucket.remove("overall_meta.json")
            }
            try world.mount()
            try expectEverything(world)
            #expect(try world.status().number("sessions.indexed") == 37)
            let shown = Posix.read(world.point + "/overall_meta.json")
            if let bytes = try overall.bytes(whole), overall != .garbage {
                #expect(shown.bytes == bytes && shown.error == 0)
            } else if overall == .missing {
                #expect(shown.error == ENOENT)
            }
            // The next start sees the same, from the catalog.
            try world.unmount()
            try world.mount(learnt: false)
            #expect(try world.sessions() == Fixture.names())
        }
    }

    /// Sizes, bodies, indexes and attributes are those of the fixture.
    private func expectEverything(_ world: MountWorld) throws {
        #expect(try world.sessions() == Fixture.names())
        for key in try Fixture.keys() where key != "overall_meta.json" {
            #expect(try Noise.same(Files.read(world.point + "/" + key), Fixture.read(key)), "\(key)")
        }
        let name = "20250705131350_release dashboard 设计评审.fastshot"
        let index = try MetadataIndex.decode(
            Fixture.read("meta_indexes/20250705131350_release dashboard 设计评审.meta.json"))
        #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(name)) == index.metadata.name)
        let status = try #require(try Files.status(world.body(name)))
        #expect(status.modified.nanoseconds == naiveLocal(try #require(index.metadata.createdAt)))
    }

    /// FastShot rebuilds the overall file from one page of a listing.
    @Test func overallFileCutAtAThousand() throws {
        try MountWorld.with { world in
            var rows: [OverallRow] = []
            for number in 0..<1300 {
                let name = "2025\(1000 + number)120000_n\(number).fastshot"
                let body = Array("{\"session\": {\"n\": \(number)}}".utf8)
                try world.bucket.put("sessions/" + name, body)
                rows.append(
                    OverallRow(
                        fileName: name, createdAt: "2025-08-01T00:00:00+00:00", fileSize: UInt64(body.count),
                        checksum: nil, metadata: nil))
            }
            try world.bucket.put(
                "overall_meta.json", OverallFile.encode(Array(rows.prefix(1000)), lastUpdated: "2025-08-01T00:00:00"))
            try world.mount()
            #expect(try world.sessions() == rows.map(\.fileName).sorted())
            #expect(try Files.read(world.body(rows[1299].fileName)) == Array("{\"session\": {\"n\": 1299}}".utf8))
            #expect(try Files.status(world.body(rows[7].fileName))?.size == rows[7].fileSize)
        }
    }

    @Test func sessionsWithoutAnIndexAreShown() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let names = try Fixture.names()
            for name in names.prefix(5) {
                try world.bucket.remove(try #require(SessionName(fileName: name)).indexKey)
            }
            try world.mount()
            #expect(try world.sessions() == names)
            #expect(try world.status().number("sessions.indexed") == 32)
            #expect(try Files.names(in: world.point + "/meta_indexes").count == 32)
            let name = try #require(SessionName(fileName: names[0]))
            #expect(try Noise.same(Files.read(world.point + "/" + name.bodyKey), Fixture.read(name.bodyKey)))
            #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(names[0])) == nil)
            try world.eventually("it is cached") {
                ExtendedAttributes.value("user.sessionfs.state", of: world.body(names[0])) == "cached"
            }
            // The stamp in the name tells when it was made.
            let status = try #require(try Files.status(world.body(names[1])))
            let digits = Array(names[1].prefix(14)).map(String.init)
            let stamp =
                digits[0...3].joined() + "-" + digits[4...5].joined() + "-" + digits[6...7].joined() + "T"
                + digits[8...9].joined() + ":" + digits[10...11].joined() + ":" + digits[12...13].joined()
            #expect(status.modified.nanoseconds == naiveLocal(stamp))
        }
    }

    /// An index as some version wrote it, and what the attributes then say.
    struct LegacyIndex: CustomTestStringConvertible {
        var testDescription: String
        var text: String
        /// Nil where nothing can be learnt from it.
        var attributes: [String: String]?
    }

    static let legacyIndexes = [
        LegacyIndex(
            testDescription: "fields at top level",
            text:
                #"{"version": "0.9", "filename": "S", "name": "old", "desc": "d", "tags": ["a", "b"], "color": "red", "class": "c", "image_count": 3, "created_at": "2025-01-02T03:04:05"}"#,
            attributes: [
                "name": "old", "desc": "d", "tags": "a,b", "color": "red", "class": "c", "image_count": "3",
                "created_at": "2025-01-02T03:04:05",
            ]),
        LegacyIndex(
            testDescription: "no checksum",
            text: #"{"version": "1.0", "metadata": {"name": "n", "tags": ["x,y"], "color": "green"}}"#,
            attributes: ["name": "n", "tags": #"x\,y"#, "color": "green", "class": ""]),
        LegacyIndex(
            testDescription: "missing fields", text: #"{"metadata": {}}"#,
            attributes: ["desc": "", "tags": "", "color": "blue", "class": "", "image_count": "0"]),
        LegacyIndex(
            testDescription: "checksum of other keys",
            text: #"{"version": "1.0", "metadata": {"name": "n"}, "checksum": "00ff"}"#, attributes: ["name": "n"]),
        LegacyIndex(
            testDescription: "nulls and wrong types",
            text: #"{"metadata": {"name": null, "tags": "single", "color": 7, "image_count": "4", "created_at": 5}}"#,
            attributes: ["color": "blue"]),
        LegacyIndex(
            testDescription: "byte order mark", text: "\u{feff}" + #"{"metadata": {"name": "bom"}}"#,
            attributes: ["name": "bom"]),
        LegacyIndex(testDescription: "empty", text: "", attributes: nil),
        LegacyIndex(testDescription: "torn", text: #"{"version": "1.0", "metadata": {"name": "#, attributes: nil),
        LegacyIndex(testDescription: "a list", text: "[1, 2]", attributes: nil),
    ]

    @Test(arguments: legacyIndexes) func indexOfKind(_ legacy: LegacyIndex) throws {
        try MountWorld.with { world in
            let name = "20250102030405_legacy.fastshot"
            try world.bucket.put("sessions/" + name, "{\"session\": {}}")
            try world.bucket.put("sessions/20250102030406_other.fastshot", "{}")
            try world.bucket.put("meta_indexes/20250102030405_legacy.meta.json", legacy.text)
            try world.bucket.put("meta_indexes/20250102030406_other.meta.json", #"{"metadata": {"name": "other"}}"#)
            try world.mount()
            #expect(try world.sessions() == [name, "20250102030406_other.fastshot"])
            for (key, value) in legacy.attributes ?? [:] {
                #expect(ExtendedAttributes.value("user.fastshot." + key, of: world.body(name)) == value, "\(key)")
            }
            if legacy.attributes == nil {
                #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(name)) == nil)
            } else {
                let shown = try Files.read(world.point + "/meta_indexes/20250102030405_legacy.meta.json")
                #expect(shown == Array(legacy.text.utf8))
            }
            #expect(try Files.read(world.body(name)) == Array("{\"session\": {}}".utf8))
            #expect(
                ExtendedAttributes.value("user.fastshot.name", of: world.body("20250102030406_other.fastshot"))
                    == "other")
        }
    }

    /// Whatever an index without a session is, it does not make one.
    @Test func indexWithoutASessionIsNotASession() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let name = try #require(SessionName(fileName: Fixture.names()[3]))
            try world.bucket.remove(name.bodyKey)
            try world.bucket.put("quicknotes/note.json", "{}")
            try world.mount()
            #expect(try world.sessions() == Fixture.names().filter { $0 != name.fileName })
            #expect(Posix.open(world.point + "/quicknotes") == ENOENT)
        }
    }
}
