import JSON
import Testing

private func parse(_ text: String) throws(JSONError) -> JSONValue { try JSONValue.parse(Array(text.utf8)) }

private func failure(_ bytes: [UInt8]) -> JSONError? {
    do throws(JSONError) {
        _ = try JSONValue.parse(bytes)
        return nil
    } catch {
        return error
    }
}

private func failure(_ text: String) -> JSONError? { failure(Array(text.utf8)) }

@Suite struct ParserTests {
    @Test func kindsOfValues() throws {
        let document: JSONValue = [
            "null": nil, "yes": true, "no": false, "int": -12, "big": .number("9223372036854775808"),
            "real": .number("1.50"), "text": "ü", "list": [1, [], [:]], "object": ["b": 1, "a": 2],
        ]
        let text = """
             {"null":null,"yes":true,"no":false,"int":-12,"big":9223372036854775808,"real":1.50,"text":"ü",
            \t"list":[1,[],{}],\r\n"object":{"b":1,"a":2}}\u{20}
            """
        #expect(try parse(text) == document)
        #expect(document["int"]?.integer == -12)
        #expect(document["real"]?.double == 1.5)
        #expect(document["text"]?.string == "ü")
        #expect(document["list"]?.array?.count == 3)
        #expect(document["object"]?.members?.map(\.0) == ["b", "a"])
        #expect(document["missing"] == nil)
    }

    @Test func limitsOfIntegers() throws {
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("-9223372036854775808") == .integer(.min))
        #expect(try parse("-9223372036854775809") == .number("-9223372036854775809"))
        #expect(try parse("18446744073709551616") == .number("18446744073709551616"))
        #expect(try parse("-0") == .integer(0))
        #expect(try parse("12.0").integer == 12)
        #expect(try parse("12.5").integer == nil)
    }

    @Test func escapes() throws {
        #expect(try parse(#""\"\\\/\b\f\n\r\t\u0041\u00e9\u8bc4\uD83D\uDE00""#) == "\"\\/\u{8}\u{c}\n\r\tAé评😀")
        #expect(try parse(#""\u0000""#) == "\0")
    }

    @Test(arguments: [#"\ud83d"#, #"\ude00"#, #"\ud83dx"#, #"\ud83d\n"#, #"\ud83d\u0041"#])
    func loneSurrogatesAreReplaced(escape: String) throws {
        let text = try #require(try parse("\"a\(escape)z\"").string)
        #expect(text.unicodeScalars.filter { $0 == "\u{FFFD}" }.count == 1)
        #expect(text.hasPrefix("a"))
        #expect(text.hasSuffix("z"))
    }

    @Test func stringsOfEveryLengthEndWhereTheyShould() throws {
        // The scan goes by words of eight bytes; each end must be found at each place in a word.
        for length in 0...40 {
            let plain = String(repeating: "x", count: length)
            #expect(try parse("\"\(plain)\"") == .string(plain))
            #expect(try parse("\"\(plain)\\n\(plain)é\"") == .string(plain + "\n" + plain + "é"))
            #expect(failure("\"\(plain)\u{1f}\"") == JSONError(.controlCharacter(0x1F), at: length + 1))
            #expect(failure("\"\(plain)") == JSONError(.unexpectedEnd, at: length + 1))
            #expect(try parse("\"\(plain)\u{7f} !#[]~\u{80}ÿ\"") == .string(plain + "\u{7f} !#[]~\u{80}ÿ"))
        }
    }

    @Test(arguments: [
        "", " ", "{", "[", "[1", "[1,", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "\"", "\"\\", "\"\\u12", "tru",
        "-", "1.",
        "1e", "1e+", "nul",
    ])
    func tornTextsEndUnexpectedly(text: String) {
        #expect(failure(text)?.kind == .unexpectedEnd, "of \(text)")
    }

    @Test(arguments: [
        "]", "}", ",", "[1,]", "{\"a\":1,}", "{a:1}", "{'a':1}", "[1 2]", "{\"a\" 1}", "{1:2}", "tRue", "NaN",
        "Infinity", "+1",
        ".5", "1.x", "01", "-01", "00", "1ex", "--1", "1]", "{} {}", "\"\\x41\"", "\"\\u00g0\"", "// c\n1", "[1}",
    ])
    func textsThatAreNoJSON(text: String) {
        let kind = failure(text)?.kind
        #expect(kind != nil && kind != .unexpectedEnd, "of \(text)")
    }

    @Test(
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], [0x22, 0x5C, 0x6E, 0xE8, 0xAF, 0x22],
        ] as [[UInt8]])
    func invalidUTF8IsAnErrorOfItsOwn(bytes: [UInt8]) {
        #expect(failure(bytes)?.kind == .invalidUTF8)
    }

    @Test func aByteOrderMarkIsSkippedOnce() throws {
        #expect(try parse("\u{FEFF}[1]") == [1])
        #expect(failure("\u{FEFF}\u{FEFF}[1]")?.kind == .unexpectedByte(0xEF))
        #expect(failure([0xEF, 0xBB]) == JSONError(.unexpectedByte(0xEF), at: 0))
    }

    @Test func depthIsLimited() throws {
        let limit = JSONValue.depthLimit
        let deepest = String(repeating: "[", count: limit) + String(repeating: "]", count: limit)
        #expect(throws: Never.self) { try parse(deepest) }
        #expect(failure("[" + deepest + "]")?.kind == .tooDeep)
        #expect(failure(String(repeating: "{\"a\":", count: 1_000_000))?.kind == .tooDeep)
    }

    @Test func keysAreComparedByBytes() throws {
        let document = try parse("{\"\u{e9}\":1,\"e\u{301}\":2}")
        #expect(document["\u{e9}"] == 1)
        #expect(document["e\u{301}"] == 2)
        #expect("\u{e9}" as JSONValue != "e\u{301}" as JSONValue)
    }

    @Test func aPartOfMemoryIsParsedInPlace() throws {
        let bytes = Array("xx[1,2]yy".utf8)
        #expect(try JSONValue.parse(bytes.span.extracting(2..<7).bytes) == [1, 2])
    }

    @Test func anyByteCanBeWrongWithoutACrash() {
        let text = Array(#"{"a": [1, -2.5e3, "x\u00e9\ud83d\ude00\n", null, true], "é评": {"": {}}}"#.utf8)
        for place in text.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[place] = byte
                // Whatever is accepted must be written so that it reads the same.
                if let value = try? JSONValue.parse(changed) {
                    #expect((try? JSONValue.parse(value.serialized(.compact))) == value)
                }
            }
        }
    }
}

@Suite struct WriterTests {
    @Test func compactKeepsOrderAndNumbers() {
        let document: JSONValue = ["b": [1, .number("1.50")], "a": "é\u{7f}\u{1}\"\\", "n": nil, "t": true]
        #expect(document.text == "{\"b\":[1,1.50],\"a\":\"é\u{7f}\\u0001\\\"\\\\\",\"n\":null,\"t\":true}")
    }

    @Test func prettyInsideAnotherDocument() {
        var bytes = Array("x".utf8)
        (["a": [1]] as JSONValue).serialize(.pretty, indent: 1, into: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == "x{\n    \"a\": [\n      1\n    ]\n  }")
    }

    @Test func initialisers() {
        #expect(JSONValue(nil as String?) == .null)
        #expect(JSONValue("x" as String?) == "x")
        #expect(JSONValue(UInt64.max).text == "18446744073709551615")
        #expect(JSONValue(["a", "b"]).text == #"["a","b"]"#)
        #expect(JSONValue.double(1) == .number("1.0"))
        #expect(JSONValue.double(.nan) == .null)
        #expect((2.5 as JSONValue).double == 2.5)
    }
}

@Suite struct PrefixTests {
    private func prefix(_ text: String) throws(JSONError) -> (value: JSONValue, length: Int) {
        try JSONValue.parsePrefix(Array(text.utf8).span.bytes)
    }

    @Test func whatFollowsIsNotLookedAt() throws {
        let object = try prefix(#"{"a": [1]}, garbage"#)
        #expect(object.value == ["a": [1]])
        #expect(object.length == 10)
        #expect(try prefix("12,").length == 2)
        #expect(try prefix("true]").length == 4)
        #expect(try prefix("\"é\"x").length == 4)
    }

    @Test func whatIsNotCompleteEndsUnexpectedly() {
        for text in ["{\"a\": [1", "\"abc", "tr", ""] {
            #expect(throws: JSONError.self) { try prefix(text) }
        }
        let error = #expect(throws: JSONError.self) { try prefix("[1, x") }
        #expect(error == JSONError(.unexpectedByte(UInt8(ascii: "x")), at: 4))
    }
}
