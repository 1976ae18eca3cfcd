/// Sizes and durations as people write them.
public enum Units {
    /// Bytes: a number, perhaps with a fraction, and `K`, `M`, `G`, `T` or `KiB`… (powers of 1,024) or `KB`… (of
    /// 1,000), in any case. Nil for anything else, and beyond 2^63.
    public static func size(_ text: String) -> UInt64? {
        guard let (number, unit) = split(text) else { return nil }
        let factor: Double
        switch unit {
        case "", "b": factor = 1
        case "k", "kib": factor = 0x1p10
        case "m", "mib": factor = 0x1p20
        case "g", "gib": factor = 0x1p30
        case "t", "tib": factor = 0x1p40
        case "kb": factor = 1e3
        case "mb": factor = 1e6
        case "gb": factor = 1e9
        case "tb": factor = 1e12
        default: return nil
        }
        let bytes = (number * factor).rounded()
        return bytes < 0x1p63 ? UInt64(bytes) : nil
    }

    /// Bytes per second: a size, with or without `/s`; 0 and `none` are no limit and read as 0. Nil for anything else.
    public static func rate(_ text: String) -> UInt64? {
        let text = text.lowercased()
        if text == "none" { return 0 }
        return size(text.hasSuffix("/s") ? String(text.dropLast(2)) : text)
    }

    /// Seconds: a number, perhaps with a fraction, and `ms`, `s` (the default), `m`, `h` or `d`. Nil for anything else.
    public static func seconds(_ text: String) -> Double? {
        guard let (number, unit) = split(text) else { return nil }
        switch unit {
        case "ms": return number / 1000
        case "", "s": return number
        case "m", "min": return number * 60
        case "h": return number * 3600
        case "d": return number * 86400
        default: return nil
        }
    }

    /// `true`, `yes`, `on`, `1` and their opposites, in any case. Nil for anything else.
    public static func bool(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }

    /// `10G` as 10 and `g`. Digits with at most one point, so that signs, exponents and `nan` are no numbers.
    private static func split(_ text: String) -> (Double, String)? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        guard digits.first?.isNumber == true, digits.last?.isNumber == true, let number = Double(digits) else {
            return nil
        }
        return (number, unit.lowercased())
    }
}
