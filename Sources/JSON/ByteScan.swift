/// Looks for bytes eight at a time: most of a session is base64, and most of its text is plain.
enum ByteScan {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// Marks the bytes of `word` that end a plain stretch of a string: quote, backslash, control character. The lowest
    /// mark is exact; those above it may be wrong.
    @inline(__always)
    private static func special(_ word: UInt64) -> UInt64 {
        let quote = word ^ 0x2222_2222_2222_2222
        let backslash = word ^ 0x5C5C_5C5C_5C5C_5C5C
        // (x - 01…) & ~x & 80… marks bytes that are zero; (x - 20…) & ~x & 80… those below 0x20.
        return
            ((quote &- ones) & ~quote | (backslash &- ones) & ~backslash | (word &- 0x2020_2020_2020_2020) & ~word)
            & tops
    }

    @inline(__always)
    static func isSpecial(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    /// The first place from `start` on with a quote, backslash or control character, else `count`; and whether all
    /// before it is ASCII.
    @inline(__always)
    static func plainEnd(_ bytes: UnsafePointer<UInt8>, from start: Int, count: Int) -> (end: Int, isASCII: Bool) {
        var here = start
        var seen: UInt64 = 0
        while here + 8 <= count {
            let word = UInt64(littleEndian: UnsafeRawPointer(bytes + here).loadUnaligned(as: UInt64.self))
            let found = special(word)
            if found != 0 {
                let place = found.trailingZeroBitCount & ~7
                seen |= word & ((1 << UInt64(place)) &- 1)
                return (here + place / 8, seen & tops == 0)
            }
            seen |= word
            here += 8
        }
        while here < count {
            let byte = bytes[here]
            if isSpecial(byte) { break }
            seen |= UInt64(byte)
            here += 1
        }
        return (here, seen & tops == 0)
    }

    /// Whether a string needs no escape even in ASCII: no quote, backslash, control character or DEL, nothing above.
    static func isPlainASCII(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let start = bytes.baseAddress else { return true }
        var here = 0
        while here + 8 <= bytes.count {
            let word = UnsafeRawPointer(start + here).loadUnaligned(as: UInt64.self)
            let delete = word ^ 0x7F7F_7F7F_7F7F_7F7F
            if special(word) | ((delete &- ones) & ~delete | word) & tops != 0 { return false }
            here += 8
        }
        while here < bytes.count {
            if isSpecial(start[here]) || start[here] >= 0x7F { return false }
            here += 1
        }
        return true
    }
}
