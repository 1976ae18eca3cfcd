/// Hexadecimal (base 16).
public enum Hex {
    /// Lower-case digits, two for a byte.
    public static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: bytes.count * 2) { buffer in
            for (index, byte) in bytes.enumerated() {
                buffer[2 * index] = digit(byte >> 4)
                buffer[2 * index + 1] = digit(byte & 0xF)
            }
            return bytes.count * 2
        }
    }

    /// The bytes of digits in either case; nil for anything else.
    public static func decode(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Lower-case hexadecimal digits of some bytes.
public func hex(_ bytes: [UInt8]) -> String { Hex.encode(bytes) }

/// Base 64 (RFC 4648).
public enum Base64 {
    /// Which characters stand for 62 and 63.
    public enum Alphabet: Sendable {
        /// `+` and `/`, padded with `=`.
        case standard
        /// `-` and `_`, without padding: for URLs and signed tokens.
        case url
    }

    /// The text of some bytes.
    public static func encode(_ bytes: [UInt8], _ alphabet: Alphabet = .standard) -> String {
        let padded = alphabet == .standard
        let remainder = bytes.count % 3
        let length = bytes.count / 3 * 4 + (remainder == 0 ? 0 : padded ? 4 : remainder + 1)
        let digits = alphabet == .standard ? standardDigits : urlDigits
        return String(unsafeUninitializedCapacity: length) { buffer in
            bytes.withUnsafeBufferPointer { bytes in
                digits.withUnsafeBufferPointer { digits in
                    var out = 0
                    var index = 0
                    while index + 3 <= bytes.count {
                        let group =
                            UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
                        buffer[out] = digits[Int(group >> 18)]
                        buffer[out + 1] = digits[Int(group >> 12 & 63)]
                        buffer[out + 2] = digits[Int(group >> 6 & 63)]
                        buffer[out + 3] = digits[Int(group & 63)]
                        out += 4
                        index += 3
                    }
                    if remainder > 0 {
                        let second = remainder == 2 ? UInt32(bytes[index + 1]) : 0
                        let group = UInt32(bytes[index]) << 16 | second << 8
                        buffer[out] = digits[Int(group >> 18)]
                        buffer[out + 1] = digits[Int(group >> 12 & 63)]
                        if remainder == 2 { buffer[out + 2] = digits[Int(group >> 6 & 63)] }
                        if padded {
                            if remainder == 1 { buffer[out + 2] = UInt8(ascii: "=") }
                            buffer[out + 3] = UInt8(ascii: "=")
                        }
                    }
                }
            }
            return length
        }
    }

    /// The bytes of a text in either alphabet, with or without padding; line breaks and spaces are skipped.
    /// - Returns: nil when another character stands in it or when a group is cut short.
    public static func decode(_ text: String) -> [UInt8]? {
        if let bytes = text.utf8.withContiguousStorageIfAvailable({ decode($0) }) { return bytes }
        var copy = text
        return copy.withUTF8 { decode($0) }
    }

    private static func decode(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var valid = true
        let bytes = [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3 + 3) { buffer, count in
            var group: UInt32 = 0
            var digits = 0
            var padding = 0
            for character in text {
                let value = values[Int(character)]
                if value < 64, padding == 0 {
                    group = group << 6 | UInt32(value)
                    digits += 1
                    if digits == 4 {
                        buffer[count] = UInt8(truncatingIfNeeded: group >> 16)
                        buffer[count + 1] = UInt8(truncatingIfNeeded: group >> 8)
                        buffer[count + 2] = UInt8(truncatingIfNeeded: group)
                        count += 3
                        group = 0
                        digits = 0
                    }
                } else if value == Self.padding {
                    padding += 1
                } else if value != skipped {
                    valid = false
                    return
                }
            }
            // What is left: 2 digits are one byte, 3 are two; the padding, where there is some, fills the group.
            guard digits != 1, padding == 0 || (digits > 0 && digits + padding == 4) else {
                valid = false
                return
            }
            if digits >= 2 {
                group <<= UInt32(6 * (4 - digits))
                buffer[count] = UInt8(truncatingIfNeeded: group >> 16)
                count += 1
                if digits == 3 {
                    buffer[count] = UInt8(truncatingIfNeeded: group >> 8)
                    count += 1
                }
            }
        }
        return valid ? bytes : nil
    }

    private static let standardDigits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlDigits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let padding: UInt8 = 64
    private static let skipped: UInt8 = 65
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: 255, count: 256)
        for (value, digit) in standardDigits.enumerated() { table[Int(digit)] = UInt8(value) }
        for (value, digit) in urlDigits.enumerated() { table[Int(digit)] = UInt8(value) }
        table[Int(UInt8(ascii: "="))] = padding
        for space in " \r\n\t".utf8 { table[Int(space)] = skipped }
        return table
    }()
}
