extension JSONValue {
    /// A number as Python writes it: `1.0`, `1e-05`. A value that is not finite becomes null, for JSON has none.
    public static func double(_ value: Double) -> JSONValue {
        value.isFinite ? .number(pythonRepresentation(value)) : .null
    }
}

/// What Python writes for a number that it read as `text`: whole numbers keep their digits, others become doubles.
func pythonNumber(_ text: String) -> String {
    let isWhole = text.utf8.allSatisfy {
        $0 == UInt8(ascii: "-") || ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9"))
    }
    guard !isWhole, let value = Double(text) else { return text }
    return pythonRepresentation(value)
}

/// The shortest text that reads back as `value`, laid out by Python's rule: an exponent below 1e-4 and from 1e16 on.
func pythonRepresentation(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
    if value == 0 { return value.sign == .minus ? "-0.0" : "0.0" }
    let sign = value < 0 ? "-" : ""
    let (digits, point) = shortestDigits(value.magnitude)
    if point > 16 || point <= -4 {
        let exponent = point - 1
        let magnitude = String(exponent.magnitude)
        let tail = digits.dropFirst()
        return sign + digits.prefix(1) + (tail.isEmpty ? "" : "." + tail) + (exponent < 0 ? "e-" : "e+")
            + (magnitude.utf8.count < 2 ? "0" + magnitude : magnitude)
    }
    if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
    if digits.utf8.count <= point {
        return sign + digits + String(repeating: "0", count: point - digits.utf8.count) + ".0"
    }
    return sign + digits.prefix(point) + "." + digits.dropFirst(point)
}

/// The digits d of the shortest decimal 0.d × 10^point that reads back as `value`, without zeros at either end.
private func shortestDigits(_ value: Double) -> (digits: String, point: Int) {
    let parts = value.description.split(separator: "e", maxSplits: 1)
    let mantissa = parts[0].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let whole = mantissa[0]
    let all = Array((whole + (mantissa.count > 1 ? mantissa[1] : "")).utf8)
    var point = whole.utf8.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
    let zero = UInt8(ascii: "0")
    let leading = all.prefix { $0 == zero }.count
    point -= leading
    var kept = all.dropFirst(leading)
    while kept.last == zero { kept.removeLast() }
    return (String(decoding: kept, as: UTF8.self), point)
}
