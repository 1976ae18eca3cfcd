import Testing

@testable import JSON

/// What FastShot's checksums are taken over is what Python writes; so Python itself is asked.
@Suite(.timeLimit(.minutes(3))) struct PythonParityTests {
    private static let generator = #"""
        import base64, json, random, struct, sys
        random.seed(int(sys.argv[1]))
        alphabet = ([chr(c) for c in range(0x80)] + list('"\\/\u0080\u00e9e\u0301\u4e2d\u8bc4\u2028\u2029\ufeff\uffff')
                    + ["\U0001F600", "\U0010FFFF", "\ud7ff", "\ue000"])
        def text():
            return "".join(random.choice(alphabet) for _ in range(random.choice([0, 1, 2, 5, 9, 17, 40])))
        def real():
            kind = random.randrange(6)
            if kind == 0: return random.uniform(-1e3, 1e3)
            if kind == 1: return random.choice([0.0, -0.0, 1e15, 1e16, 1e17, 1e-4, 1e-5, 5e-324, 1.7976931348623157e308, 0.1, 100.0])
            if kind == 2: return float(random.randrange(-10**18, 10**18))
            if kind == 3: return random.random() * 10.0 ** random.randrange(-20, 25)
            value = struct.unpack("<d", random.randbytes(8))[0]
            return value if value == value and abs(value) != float("inf") else 1.5
        def value(depth):
            kind = random.randrange(9 if depth < 5 else 7)
            if kind == 0: return None
            if kind == 1: return random.random() < 0.5
            if kind == 2: return random.choice([0, 1, -1, 2**63 - 1, -2**63, 2**63, 10**30, random.randrange(-10**6, 10**6)])
            if kind == 3: return real()
            if kind <= 6: return text()
            if kind == 7: return [value(depth + 1) for _ in range(random.choice([0, 1, 2, 4, 30]) if depth < 3 else 2)]
            return {text(): value(depth + 1) for _ in range(random.choice([0, 1, 3, 6, 40]) if depth < 3 else 2)}
        def line(*parts):
            print(*(base64.b64encode(p.encode("utf-8")).decode() for p in parts))
        for _ in range(int(sys.argv[2])):
            x = value(0)
            source = random.choice([
                lambda: json.dumps(x), lambda: json.dumps(x, ensure_ascii=False),
                lambda: json.dumps(x, indent="\t", ensure_ascii=False), lambda: json.dumps(x, separators=(",", ":"))])()
            line(source, json.dumps(x, sort_keys=True), json.dumps(x, indent=2, ensure_ascii=False))
        """#

    @Test(arguments: [1, 2, 3]) func randomDocumentsAreWrittenAsPythonWritesThem(seed: Int) throws {
        let lines = try pythonLines(Self.generator, arguments: [String(seed), "400"])
        #expect(lines.count == 400)
        for line in lines {
            let parts = try line.split(separator: " ").map { try bytes(base64: $0) }
            try #require(parts.count == 3)
            let document = try JSONValue.parse(parts[0])
            #expect(
                document.serialized(.pythonCanonical) == parts[1], "of \(String(decoding: parts[0], as: UTF8.self))")
            #expect(document.serialized(.pretty) == parts[2], "of \(String(decoding: parts[0], as: UTF8.self))")
            #expect(try JSONValue.parse(document.serialized(.compact)) == document)
        }
    }

    @Test func doublesAreWrittenAsPythonWritesThem() throws {
        let script = """
            import random, struct
            random.seed(7)
            for _ in range(20000):
                bits = random.getrandbits(64)
                value = struct.unpack("<d", struct.pack("<Q", bits))[0]
                if random.random() < 0.5: value = round(random.uniform(-1e6, 1e6), random.randrange(9)); bits = struct.unpack("<Q", struct.pack("<d", value))[0]
                if value == value and abs(value) != float("inf"): print(bits, repr(value))
            """
        for line in try pythonLines(script) {
            let parts = line.split(separator: " ")
            let value = Double(bitPattern: try #require(UInt64(parts[0])))
            #expect(pythonRepresentation(value) == parts[1])
        }
    }

    @Test func numbersOfOtherWritersAreNormalisedAsPythonDoes() throws {
        let texts = [
            "1E5", "1e-7", "12.50", "-0.0", "1.0E+2", "0e0", "123456789012345678901234567890", "0.00001", "1e400",
            "-1e400",
        ]
        let script = "import json, sys\nfor t in sys.argv[1:]: print(json.dumps(json.loads(t), sort_keys=True))"
        let expected = try pythonLines(script, arguments: texts)
        #expect(expected.count == texts.count)
        for (text, python) in zip(texts, expected) {
            let value = try JSONValue.parse(Array(text.utf8))
            #expect(String(decoding: value.serialized(.pythonCanonical), as: UTF8.self) == python)
            #expect(value.text == text)
        }
    }

    @Test func aKeyThatComesTwiceCountsAsInPython() throws {
        let script = #"""
            import json, sys
            x = json.loads(sys.argv[1])
            print(json.dumps(x)); print(json.dumps(x, sort_keys=True))
            """#
        let many = (0..<60).map { "\"k\($0 % 40)\": \($0)" }.joined(separator: ", ")
        for source in [#"{"b": 1, "a": 2, "b": 3}"#, #"{"é": 1, "é": 2}"#, "{\(many)}"] {
            let python = try pythonLines(script, arguments: [source])
            let value = try JSONValue.parse(Array(source.utf8))
            let ordered = try JSONValue.parse(Array(python[0].utf8))
            #expect(value == ordered)
            #expect(String(decoding: value.serialized(.pythonCanonical), as: UTF8.self) == python[1])
        }
    }
}
