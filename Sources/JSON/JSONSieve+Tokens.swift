extension JSONSieve {
    // MARK: Strings

    /// Goes on in a string; returns where the document goes on.
    mutating func string(_ bytes: UnsafePointer<UInt8>, from start: Int, _ count: Int) -> Int {
        let (end, isASCII) = ByteScan.plainEnd(bytes, from: start, count: count)
        if isASCII {
            if end > start { scan.utf8.ascii() }
        } else {
            scan.utf8.check(UnsafeBufferPointer(start: bytes + start, count: end - start))
        }
        guard end < count else { return end }
        switch bytes[end] {
        case UInt8(ascii: "\""):
            guard scan.utf8.endsWell() else {
                fail(.invalidUTF8, at: scan.tokenStart + 1)
                return end
            }
            if scan.isKey { endKey(bytes, end) } else { endValue(bytes, end + 1) }
        case UInt8(ascii: "\\"):
            scan.utf8.ascii()
            scan.escapeStart = place(end)
            scan.digits.removeAll(keepingCapacity: true)
            scan.state = .escape
        default: fail(.controlCharacter(bytes[end]), at: place(end))
        }
        return end + 1
    }

    private mutating func endKey(_ bytes: UnsafePointer<UInt8>, _ end: Int) {
        scan.state = .colon
        scan.node = -1
        guard scan.wantsKey, let level = scan.levels.last else { return }
        takeKey(bytes, to: end)
        guard scan.wantsKey else { return }
        scan.wantsKey = false
        var key = scan.key
        if key.contains(UInt8(ascii: "\\")) {
            let quote = [UInt8(ascii: "\"")]
            key = (try? JSONValue.parse(quote + key + quote))?.string.map { Array($0.utf8) } ?? []
        }
        scan.node = enter(key, below: level.node) ?? -1
    }

    /// A byte behind a backslash.
    mutating func escape(_ byte: UInt8, _ at: Int) -> Int {
        if case .hex = scan.state {
            scan.digits.append(byte)
            // All four first: a document that ends between them is cut short, whatever they are.
            guard scan.digits.count == 4 else { return at + 1 }
            for digit in scan.digits {
                switch digit {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                    UInt8(ascii: "A")...UInt8(ascii: "F"):
                    continue
                default: fail(.invalidEscape, at: scan.escapeStart)
                }
            }
            scan.state = .string
            return at + 1
        }
        switch byte {
        case UInt8(ascii: "u"): scan.state = .hex
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            scan.state = .string
        default: fail(.invalidEscape, at: scan.escapeStart)
        }
        return at + 1
    }

    // MARK: Numbers and literals

    /// Goes on in a number; returns where the document goes on.
    mutating func number(
        _ bytes: UnsafePointer<UInt8>, from start: Int, _ count: Int, _ begun: NumberPart
    ) -> Int {
        var part = begun
        var at = start
        while at < count {
            let byte = bytes[at]
            let isDigit = byte &- UInt8(ascii: "0") < 10
            switch part {
            case .minus where isDigit: part = byte == UInt8(ascii: "0") ? .zero : .whole
            case .whole where isDigit, .fraction where isDigit, .exponent where isDigit: break
            case .zero where byte == UInt8(ascii: "."), .whole where byte == UInt8(ascii: "."): part = .point
            case .point where isDigit: part = .fraction
            case .zero where byte | 0x20 == UInt8(ascii: "e"), .whole where byte | 0x20 == UInt8(ascii: "e"),
                .fraction where byte | 0x20 == UInt8(ascii: "e"):
                part = .exponentMark
            case .exponentMark where byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"): part = .exponentSign
            case .exponentMark where isDigit, .exponentSign where isDigit: part = .exponent
            case .whole, .fraction, .exponent,
                .zero where !isDigit:
                endValue(bytes, at)
                return at
            default:
                fail(.invalidNumber, at: scan.tokenStart)
                return at
            }
            at += 1
        }
        scan.state = .number(part)
        return at
    }

    /// The next byte of a literal.
    mutating func literal(_ bytes: UnsafePointer<UInt8>, _ at: Int, _ word: Word, _ index: Int) -> Int {
        let text = word.text
        guard bytes[at] == text.utf8Start[index] else {
            fail(.unexpectedByte(bytes[at]), at: place(at))
            return at
        }
        if index + 1 == text.utf8CodeUnitCount { endValue(bytes, at + 1) } else { scan.state = .word(word, index + 1) }
        return at + 1
    }
}

/// Whether the bytes of a string that arrives in pieces are UTF-8 (Unicode 15, table 3-7).
struct UTF8Check: Sendable {
    private var isBad = false
    /// Continuation bytes that are to come, and the range of the next one.
    private var missing = 0
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    /// An ASCII character comes: nothing may be missing.
    @inline(__always)
    mutating func ascii() {
        if missing > 0 { isBad = true }
        missing = 0
    }

    /// Ends the string and begins the next.
    @inline(__always)
    mutating func endsWell() -> Bool {
        ascii()
        defer { isBad = false }
        return !isBad
    }

    mutating func check(_ bytes: UnsafeBufferPointer<UInt8>) {
        for byte in bytes {
            if byte < 0x80 {
                ascii()
            } else if missing > 0, byte >= lowest, byte <= highest {
                missing -= 1
                (lowest, highest) = (0x80, 0xBF)
            } else {
                ascii()
                lead(byte)
            }
        }
    }

    private mutating func lead(_ byte: UInt8) {
        (lowest, highest) = (0x80, 0xBF)
        switch byte {
        case 0xC2...0xDF: missing = 1
        case 0xE0: (missing, lowest) = (2, 0xA0)
        case 0xED: (missing, highest) = (2, 0x9F)
        case 0xE1...0xEF: missing = 2
        case 0xF0: (missing, lowest) = (3, 0x90)
        case 0xF4: (missing, highest) = (3, 0x8F)
        case 0xF1...0xF3: missing = 3
        default: isBad = true
        }
    }
}
