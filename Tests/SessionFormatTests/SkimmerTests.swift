import JSON
import SessionFormat
import TestSupport
import Testing

/// A skimmer answers what the whole object read at once answers, errors and their places included.
@Suite struct SkimmerTests {
    private let cover: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 1, 2]
    private let session: JSONValue = ["version": "1.0", "timestamp": "2025-01-02T03:04:05", "windows": [[:], [:]]]
    private let name = SessionName(fileName: "20240203040506_old one.fastshot")

    /// What either way of reading says.
    private enum Answer: Equatable {
        case facts(SessionMetadata)
        case failure(FormatError)
    }

    private func whole(_ bytes: [UInt8], _ key: String?, _ name: SessionName) -> Answer {
        do throws(FormatError) {
            return .facts(
                try SessionContainer.decode(bytes, key: key).metadata(name: name, fileSize: UInt64(bytes.count)))
        } catch { return .failure(error) }
    }

    /// - Parameter cuts: the lengths of the pieces; the last one takes the rest.
    private func skimmed(_ bytes: [UInt8], _ key: String?, _ name: SessionName, cuts: [Int]) -> Answer {
        let skimmer = SessionSkimmer(key: key)
        var start = 0
        for length in cuts where start < bytes.count {
            let end = min(bytes.count, start + length)
            skimmer.consume(bytes.span.extracting(start..<end).bytes)
            start = end
        }
        skimmer.consume(bytes.span.extracting(start...).bytes)
        do throws(FormatError) {
            return .facts(try skimmer.finish(name: name, fileSize: UInt64(bytes.count)))
        } catch { return .failure(error) }
    }

    /// Compares both ways, with the bytes in one piece, in many, and one by one.
    private func agree(
        _ bytes: [UInt8], _ key: String?, _ comment: String = "", location: SourceLocation = #_sourceLocation
    ) throws {
        let name = try #require(name)
        let expected = whole(bytes, key, name)
        var random = SeededGenerator(seed: UInt64(bytes.count))
        var cuts: [[Int]] = [[]]
        for longest in [3, 40, 3000] {
            cuts.append((0..<200).map { _ in Int.random(in: 0...longest, using: &random) })
        }
        if bytes.count < 2000 { cuts.append(Array(repeating: 1, count: bytes.count)) }
        for cuts in cuts {
            let found = skimmed(bytes, key, name, cuts: cuts)
            #expect(found == expected, "\(comment), pieces of \(cuts.prefix(8))", sourceLocation: location)
        }
    }

    @Test func everyFixture() throws {
        for name in try Fixture.names() {
            let bytes = try Fixture.read(name.bodyKey)
            for key in [Fixture.key, "wrong", nil] {
                let expected = whole(bytes, key, name)
                if key == Fixture.key {
                    guard case .facts(let facts) = expected else {
                        Issue.record("\(name) does not open")
                        continue
                    }
                    #expect(try MetadataIndex.decode(Fixture.read(name.indexKey)).metadata.name == facts.name)
                }
                #expect(skimmed(bytes, key, name, cuts: []) == expected, "\(name)")
                #expect(skimmed(bytes, key, name, cuts: [1, 3, 100, 8191, 8192, 1]) == expected, "\(name)")
            }
        }
    }

    @Test(arguments: [nil, "", "k", "demo-key-7391", "ключ 钥匙", String(repeating: "long", count: 9000)])
    func everyForm(key: String?) throws {
        let metadata: JSONValue = [
            "name": "é \u{1F600} FHDR", "desc": "\u{0}\"\\", "tags": ["a", 1, nil, "b"], "color": "red", "class": "c",
            "image_count": 7, "created_at": "2025-07-05T13:13:50.581279", "filename": "x", "thumbnail_collage": nil,
        ]
        let windows: JSONValue = [
            "windows": [
                ["image_data": .string(String(repeating: "iVBORw0KGgo=", count: 5000)), "scale": 1.5e3], -0.5,
            ],
            "timestamp": "2025-01-02T03:04:05",
        ]
        for session in [session, windows, [:], ["windows": 3, "timestamp": [1]]] {
            for metadata in [metadata, nil, [:], ["color": "red"], "none", ["tags": "solo", "image_count": -3]] {
                for form in [SessionContainer.Form.covered, .bare] {
                    let container = SessionContainer(
                        form: form, cover: cover, session: session, metadata: metadata == .null ? nil : metadata)
                    try agree(container.encode(key: key), key, "\(form)")
                    try agree(container.encode(key: nil), key, "\(form), plain")
                }
            }
        }
    }

    @Test func keysThatComeTwiceAndKeysInEscapes() throws {
        for text in [
            #"{"session": {"windows": [1,2]}, "metadata": {"name": "a", "desc": "d"}, "metadata": {"name": "b"}}"#,
            #"{"session": {"windows": [1,2], "timestamp": "t"}, "session": {"windows": [1,[2,3],{}]}}"#,
            #"{"session": {"windows": [1,2]}, "metadata": {"name": "a"}, "session": 5, "windows": [1]}"#,
            #"{"metadata": {"name": "a"}, "windows": [1], "timestamp": "u", "windows": {"a": 1}}"#,
            #"{"\u0073ession": {"wi\u006edows": [[], {}], "timestamp": "\u0074"}, "metadat\u0061": {"n\u0061me": "x"}}"#,
            #"{"session": {"windows": [1], "windows": 2}, "metadata": {"tags": ["a"], "tags": 1, "image_count": 2.0}}"#,
            #"{"session": {}, "metadata": {"name": "\ud83d\ude00 \ud83d", "created_at": "", "color": ""}}"#,
            #"{"session": {"a": {"windows": [1]}, "metadata": {"name": "inner"}}, "x": {"metadata": {"name": "y"}}}"#,
            #"{"session": {"windows": []}, "metadata": {"name": "a", "nested": {"name": "n"}}}  "#,
        ] {
            try agree(Array(text.utf8), nil, text)
            try agree([0xEF, 0xBB, 0xBF, 0x0A] + Array(text.utf8), nil, text)
            try agree(cover + Array("FHDR \n".utf8) + Array(text.utf8), "key", text)
        }
    }

    @Test func coversThatAlmostHoldTheMark() throws {
        let body = Array("FHDR{\"session\": {}}".utf8)
        for cover in ["F", "FF", "FH", "FHD", "FHFHD", "FFHDFHDF", "{F", " FHD", "{ x", "\u{FEFF}F"] {
            try agree(Array(cover.utf8) + body, nil, cover)
        }
        for text in ["", " ", "{", "{ ", "\u{FEFF}", "[1]", "FHDR", "xFHDR", "FHDR{", "FHDR ", "FHDR\u{FEFF}{}", "{}"] {
            for key in [nil, "k"] { try agree(Array(text.utf8), key, text) }
        }
    }

    /// Keys with which a plain text opens as another one, as far as it goes.
    @Test(arguments: ["*", "\u{0}", "[", "[\u{2}", "\u{7}\u{7}", "Y\u{0}"])
    func keysThatMisleadTheBeginning(key: String) throws {
        for text in [
            "{\"session\": {}}", "  \n  {\"a\": 1}", "{}", "    ", "\n\n\n\n{", "[[[[ [[", "{{{{\"\"", "*****",
        ] {
            try agree(cover + Array("FHDR".utf8) + Array(text.utf8), key, text)
        }
    }

    @Test(arguments: [nil, "demo-key"]) func everyTruncation(key: String?) throws {
        let metadata: JSONValue = [
            "name": "né\u{1F600}\u{8}", "tags": [1.5, -2e-3, true, false, nil], "image_count": 0,
        ]
        let container = SessionContainer(cover: cover, session: session, metadata: metadata)
        let whole = container.encode(key: key)
        for length in 0..<whole.count { try agree(Array(whole[..<length]), key, "cut at \(length)") }
        let escaped = cover + Array("FHDR".utf8) + Array(#"{"a": "\u00e9\ud83d\ude00\n", "b": -0.5E+7}"#.utf8)
        for length in 0..<escaped.count { try agree(Array(escaped[..<length]), key, "cut at \(length)") }
    }

    @Test(arguments: [nil, "demo-key"]) func everyKindOfDamage(key: String?) throws {
        let metadata: JSONValue = ["name": "né\u{1F600}\\", "tags": ["a", 1.5, -2e-3, true], "image_count": 2]
        let whole = SessionContainer(cover: cover, session: session, metadata: metadata).encode(key: key)
        var random = SeededGenerator(seed: 7)
        let bytes = Array(#"{}[]",:\ue0-.+tfn F"#.utf8) + [0x00, 0x1F, 0x7F, 0x80, 0xBF, 0xC3, 0xE0, 0xED, 0xF0, 0xFF]
        for round in 0..<3000 {
            var damaged = whole
            for _ in 0...Int.random(in: 0...2, using: &random) {
                let place = Int.random(in: 0..<damaged.count, using: &random)
                let byte = bytes.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<4, using: &random) {
                case 0: damaged[place] = byte
                case 1: damaged.insert(byte, at: place)
                case 2: damaged.remove(at: place)
                default: damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            let name = try #require(name)
            let cuts = (0..<damaged.count).map { _ in Int.random(in: 0...9, using: &random) }
            let expected = self.whole(damaged, key, name)
            #expect(skimmed(damaged, key, name, cuts: cuts) == expected, "round \(round)")
            #expect(skimmed(damaged, key, name, cuts: []) == expected, "round \(round)")
        }
    }

    @Test func nestingIsLimitedAlike() throws {
        for depth in [250, 254, 255, 256, 257, 300] {
            let text =
                "{\"session\": " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}"
            try agree(Array(text.utf8), nil, "depth \(depth)")
        }
    }

    @Test func onlyTheMetadataIsHeldAndItHasALimit() throws {
        let name = try #require(name)
        let image = JSONValue.string(String(repeating: "A", count: SessionSkimmer.metadataLimit + 100))
        let session: JSONValue = ["windows": [["image_data": image]], "timestamp": "t"]
        let picture = SessionContainer(
            cover: cover, session: session, metadata: ["name": "n", "thumbnail_collage": image])
        let bytes = picture.encode(key: "k")
        #expect(skimmed(bytes, "k", name, cuts: [1000, 100_000]) == whole(bytes, "k", name))
        let large = SessionContainer(cover: cover, session: session, metadata: ["name": "n", "desc": image])
        guard case .failure(let error) = skimmed(large.encode(key: "k"), "k", name, cuts: []) else {
            Issue.record("kept more than its limit")
            return
        }
        #expect(error.kind == .tooLarge)
    }

    @Test func errorsNeverNameTheKey() throws {
        let bytes = SessionContainer(cover: cover, session: session, metadata: nil).encode(key: "right")
        let skimmer = SessionSkimmer(key: "sesame-wrong-key")
        skimmer.consume(bytes.span.bytes)
        let name = try #require(name)
        do throws(FormatError) {
            _ = try skimmer.finish(name: name, fileSize: 1)
            Issue.record("opened with a wrong key")
        } catch {
            #expect(error.kind == .wrongKey)
            #expect(!"\(error) \(error.message)".contains("sesame"))
        }
    }
}
