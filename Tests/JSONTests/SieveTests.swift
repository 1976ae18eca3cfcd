import JSON
import Testing

/// The sieve accepts what the parser accepts and refuses the rest with the parser's error, however the text is cut.
@Suite struct SieveTests {
    private func whole(_ bytes: [UInt8]) -> JSONError? {
        do throws(JSONError) {
            _ = try JSONValue.parse(bytes)
            return nil
        } catch { return error }
    }

    private func sieved(_ bytes: [UInt8], pieces: Int) -> JSONError? {
        var sieve = JSONSieve(limit: 100)
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + pieces)
            sieve.consume(bytes.span.extracting(start..<end).bytes)
            start = end
        }
        do throws(JSONError) {
            try sieve.finish()
            return nil
        } catch { return error }
    }

    @Test(arguments: [
        "", " ", "null", "nul", "nulx", "true ", "false,", "0", "-", "-0", "01", "-01", "1.", "1.5", "1.x", "1e", "1e+",
        "1E5",
        "1e+x", "12 ", "\"\"", "\"a", "\"\\", "\"\\x\"", "\"\\u", "\"\\u12", "\"\\u12G4\"", "\"\\uD83D\\u00\"", "[",
        "[]",
        "[1", "[1,", "[1,]", "[,]", "{", "{}", "{\"", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
        "{1:2}",
        "{\"a\" 1}", "[1 2]", "[1}", "{\"a\":1]", "{} {}", "\u{FEFF}", "\u{FEFF}{}", "\u{FEFF}\u{FEFF}{}", "]", "}",
        ":",
        "\"a\nb\"", "[\"\u{0}\"]", "\"é\u{1F600}\"", "{\"é\": [\"\u{10FFFF}\"]}",
    ])
    func agreesWithTheParser(text: String) {
        let bytes = Array(text.utf8)
        for length in 0...bytes.count {
            let cut = Array(bytes[..<length])
            for pieces in [1, 2, 3, 1000] { #expect(sieved(cut, pieces: pieces) == whole(cut), "\(cut)") }
        }
    }

    @Test func agreesOnEveryPairAndManyTriplesOfHighBytes() {
        func check(_ bytes: [UInt8]) {
            let text = [0x22] + bytes + [0x22]
            #expect(sieved(text, pieces: 2) == whole(text), "\(bytes)")
        }
        for first in UInt8(0x7E)...0xFF {
            for second in [0x41, 0x5C, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF0] as [UInt8] {
                check([first, second])
                for third in [0x41, 0x7F, 0x80, 0xBF, 0xC2] as [UInt8] {
                    check([first, second, third])
                    check([first, second, third, 0x80])
                    check([0x41, first, second, 0x6E, third, 0xBF, 0xBF])
                }
            }
        }
    }

    @Test func keepsWhatItIsAskedFor() throws {
        var sieve = JSONSieve(limit: 1000)
        let name = sieve.place("a", "name", keeping: .value)
        let list = sieve.place("a", "list", keeping: .count)
        let object = sieve.place("a", keeping: .kind)
        let other = sieve.place("b", keeping: .value)
        let absent = sieve.place("c", keeping: .value)
        let text = Array(
            #"{"a": {"x": [9], "list": [[1, 2], {"name": 3}, 4], "name": {"k": [1, "}"]}}, "b": -12.50 }"#.utf8)
        for byte in text { sieve.consume([byte].span.bytes) }
        try sieve.finish()
        #expect(sieve.value(name) == ["k": [1, "}"]])
        #expect(sieve.count(list) == 3)
        #expect(sieve.isObject(object))
        #expect(sieve.value(other) == .number("-12.50"))
        #expect(sieve.value(absent) == nil)
        #expect(sieve.count(other) == nil)
        #expect(!sieve.isObject(other))
        #expect(!sieve.isOverfull)
    }

    @Test func theLastOfSeveralValuesCountsAndOnlyItIsHeld() throws {
        var sieve = JSONSieve(limit: 10)
        let name = sieve.place("a", "name", keeping: .value)
        sieve.consume(Array(#"{"a": {"name": "123456"}, "a": {"name": "1234567890"}, "#.utf8).span.bytes)
        #expect(sieve.isOverfull)
        sieve.consume(Array(#""a": {"name": "12345678"}}"#.utf8).span.bytes)
        try sieve.finish()
        #expect(!sieve.isOverfull)
        #expect(sieve.value(name) == "12345678")
        var emptied = JSONSieve(limit: 10)
        let gone = emptied.place("a", "name", keeping: .value)
        emptied.consume(Array(#"{"a": {"name": "x"}, "a": 1}"#.utf8).span.bytes)
        try emptied.finish()
        #expect(emptied.value(gone) == nil)
    }
}
