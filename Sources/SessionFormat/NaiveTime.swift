/// A date and time of day as a text gives it (ISO 8601), with an offset from UTC or without one.
public struct NaiveTime: Sendable, Hashable {
    /// Years of the Gregorian calendar, 1 to 9999.
    public var year: Int
    /// 1 to 12.
    public var month: Int
    /// 1 to the month's length.
    public var day: Int
    /// 0 to 23.
    public var hour: Int
    /// 0 to 59.
    public var minute: Int
    /// 0 to 59; a leap second (60) is read as 59.
    public var second: Int
    /// 0 to 999,999,999.
    public var nanoseconds: Int64
    /// Seconds east of UTC; nil for a time without zone, which is local.
    public var offsetSeconds: Int?

    /// A time by its parts; nil when there is no such date or time of day.
    public init?(
        year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, nanoseconds: Int64 = 0,
        offsetSeconds: Int? = nil
    ) {
        guard (1...9999).contains(year), (1...12).contains(month), day >= 1, day <= Self.days(of: month, in: year),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second),
            (0...999_999_999).contains(nanoseconds), abs(offsetSeconds ?? 0) < 86_400
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = min(second, 59)
        self.nanoseconds = nanoseconds
        self.offsetSeconds = offsetSeconds
    }

    /// 1970-01-01T00:00:00, without a zone.
    public static let epoch = NaiveTime()

    private init() {
        (year, month, day) = (1970, 1, 1)
        (hour, minute, second, nanoseconds) = (0, 0, 0, 0)
    }

    private static func days(of month: Int, in year: Int) -> Int {
        switch month {
        case 2: year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400)) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Reads `YYYYMMDDHHMMSS`.
    init?(stamp digits: ArraySlice<UInt8>) {
        var scanner = DigitScanner(digits)
        guard let year = scanner.number(4), let month = scanner.number(2), let day = scanner.number(2),
            let hour = scanner.number(2), let minute = scanner.number(2), let second = scanner.number(2),
            scanner.isAtEnd
        else { return nil }
        self.init(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    }

    /// Reads an ISO 8601 date and time: `2025-07-05T13:13:50.581279`, also with a space for the `T`, without seconds
    /// or time of day, with a fraction of any length (cut at nanoseconds), with `Z` or an offset such as `+02:00`.
    public init?(iso8601 text: String) {
        var scanner = DigitScanner(ArraySlice(text.utf8))
        guard let year = scanner.number(4), scanner.take("-"), let month = scanner.number(2), scanner.take("-"),
            let day = scanner.number(2)
        else { return nil }
        var hour = 0
        var minute = 0
        var second = 0
        var nanoseconds: Int64 = 0
        var offset: Int?
        if scanner.take("T") || scanner.take("t") || scanner.take(" ") {
            guard let hours = scanner.number(2), scanner.take(":"), let minutes = scanner.number(2) else { return nil }
            hour = hours
            minute = minutes
            if scanner.take(":") {
                guard let seconds = scanner.number(2) else { return nil }
                second = seconds
                if scanner.take(".") || scanner.take(",") {
                    guard let fraction = scanner.fraction() else { return nil }
                    nanoseconds = fraction
                }
            }
            guard let zone = scanner.zone() else { return nil }
            offset = zone.offset
        }
        guard scanner.isAtEnd else { return nil }
        self.init(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, nanoseconds: nanoseconds,
            offsetSeconds: offset)
    }

    /// `2025-07-05T13:13:50.581279`, as Python's `isoformat()` writes it: microseconds unless they are zero, the offset
    /// where there is one.
    public var iso8601: String {
        var text = "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(hour, 2)):\(pad(minute, 2)):\(pad(second, 2))"
        let microseconds = Int(nanoseconds / 1000)
        if microseconds > 0 { text += "." + pad(microseconds, 6) }
        if let offsetSeconds {
            let magnitude = abs(offsetSeconds)
            text += (offsetSeconds < 0 ? "-" : "+") + pad(magnitude / 3600, 2) + ":" + pad(magnitude / 60 % 60, 2)
            if magnitude % 60 > 0 { text += ":" + pad(magnitude % 60, 2) }
        }
        return text
    }

    /// `YYYYMMDDHHMMSS`, as stems begin.
    public var stamp: String {
        pad(year, 4) + pad(month, 2) + pad(day, 2) + pad(hour, 2) + pad(minute, 2) + pad(second, 2)
    }
}

/// Decimal digits with zeros in front.
private func pad(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return digits.utf8.count >= width ? digits : String(repeating: "0", count: width - digits.utf8.count) + digits
}

/// Reads numbers of fixed width off a text.
private struct DigitScanner {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number(_ width: Int) -> Int? {
        guard rest.count >= width else { return nil }
        var value = 0
        for byte in rest.prefix(width) {
            guard isDigit(byte) else { return nil }
            value = value * 10 + Int(byte - UInt8(ascii: "0"))
        }
        rest = rest.dropFirst(width)
        return value
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest = rest.dropFirst()
        return true
    }

    /// Digits behind a decimal point, in nanoseconds.
    mutating func fraction() -> Int64? {
        guard let first = rest.first, isDigit(first) else { return nil }
        var value: Int64 = 0
        var unit: Int64 = 100_000_000
        while let byte = rest.first, isDigit(byte) {
            value += unit * Int64(byte - UInt8(ascii: "0"))
            unit /= 10
            rest = rest.dropFirst()
        }
        return value
    }

    /// A zone or the end; nil when something else stands there.
    mutating func zone() -> (offset: Int?, Void)? {
        if isAtEnd { return (nil, ()) }
        if take("Z") || take("z") { return (0, ()) }
        let sign: Int
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = number(2), hours < 24 else { return nil }
        var seconds = hours * 3600
        if !isAtEnd {
            _ = take(":")
            guard let minutes = number(2), minutes < 60 else { return nil }
            seconds += minutes * 60
            if take(":") {
                guard let rest = number(2), rest < 60 else { return nil }
                seconds += rest
            }
        }
        return (sign * seconds, ())
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
}
