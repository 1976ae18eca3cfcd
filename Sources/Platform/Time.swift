internal import Glibc

/// A point in time with nanoseconds, as file systems keep it: since 1970-01-01T00:00:00Z.
///
/// The years from 1678 to 2261 can be told apart. What lies outside of them, and comes from files, servers and programs,
/// is the first or the last moment that there is.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Nanoseconds since the epoch; negative before it.
    public let nanoseconds: Int64

    /// A time by its nanoseconds since the epoch.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// A time by whole seconds since the epoch and a part of the next one.
    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        let (whole, isTooLarge) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        self.nanoseconds = isTooLarge ? (seconds < 0 ? .min : .max) : whole.addingWithinLimits(nanoseconds)
    }

    /// Whole seconds, rounded down.
    public var seconds: Int64 {
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return rest < 0 ? whole - 1 : whole
    }
    /// The part of a second above ``seconds``, 0 to 999,999,999.
    public var fraction: Int64 {
        let rest = nanoseconds % 1_000_000_000
        return rest < 0 ? rest + 1_000_000_000 : rest
    }

    /// Earlier before later.
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The wall clock (CLOCK_REALTIME).
    public static var now: Timestamp { read(CLOCK_REALTIME) }
    /// A clock that never jumps (CLOCK_MONOTONIC): for durations only.
    public static var monotonic: Timestamp { read(CLOCK_MONOTONIC) }

    private static func read(_ clock: clockid_t) -> Timestamp {
        var value = timespec()
        clock_gettime(clock, &value)
        return Timestamp(seconds: Int64(value.tv_sec), nanoseconds: Int64(value.tv_nsec))
    }

    /// `2026-11-26T15:08:54.123Z`.
    public var iso8601: String { utc().text + "." + pad(Int(fraction / 1_000_000), 3) + "Z" }

    /// `20261126T150854Z`, as request signatures want it.
    public var iso8601Basic: String {
        let parts = utc()
        return parts.text.filter { $0 != "-" && $0 != ":" } + "Z"
    }

    private func utc() -> (text: String, fields: tm) {
        var time = time_t(seconds)
        var fields = tm()
        gmtime_r(&time, &fields)
        let date =
            "\(pad(Int(fields.tm_year) + 1900, 4))-\(pad(Int(fields.tm_mon) + 1, 2))-\(pad(Int(fields.tm_mday), 2))"
        let clock = "\(pad(Int(fields.tm_hour), 2)):\(pad(Int(fields.tm_min), 2)):\(pad(Int(fields.tm_sec), 2))"
        return (date + "T" + clock, fields)
    }

    /// A date and time of day without a zone, in the process's local zone (mktime(3)). Nil when no such time exists.
    public static func local(
        year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, nanoseconds: Int64 = 0
    ) -> Timestamp? {
        var fields = tm()
        fields.tm_year = Int32(year - 1900)
        fields.tm_mon = Int32(month - 1)
        fields.tm_mday = Int32(day)
        fields.tm_hour = Int32(hour)
        fields.tm_min = Int32(minute)
        fields.tm_sec = Int32(second)
        fields.tm_isdst = -1
        let seconds = mktime(&fields)
        guard seconds != -1 || (year == 1969 || year == 1970) else { return nil }
        return Timestamp(seconds: Int64(seconds), nanoseconds: nanoseconds)
    }

    /// A date and time of day in UTC (timegm(3)), less an offset east of it.
    public static func utc(
        year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, nanoseconds: Int64 = 0,
        offsetSeconds: Int = 0
    ) -> Timestamp {
        var fields = tm()
        fields.tm_year = Int32(year - 1900)
        fields.tm_mon = Int32(month - 1)
        fields.tm_mday = Int32(day)
        fields.tm_hour = Int32(hour)
        fields.tm_min = Int32(minute)
        fields.tm_sec = Int32(second)
        return Timestamp(seconds: Int64(timegm(&fields)) - Int64(offsetSeconds), nanoseconds: nanoseconds)
    }

    /// Seconds from an earlier time to this one.
    public func seconds(since earlier: Timestamp) -> Double {
        let (difference, isTooLarge) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return (isTooLarge ? Double(nanoseconds) - Double(earlier.nanoseconds) : Double(difference)) / 1_000_000_000
    }

    /// The time so many seconds later, or earlier where they are negative; a billion at most.
    public func later(by seconds: Double) -> Timestamp {
        let change = Int64(max(-1e9, min(seconds, 1e9)) * 1e9)
        return Timestamp(nanoseconds: nanoseconds.addingWithinLimits(change))
    }
}

extension Int64 {
    /// The sum, or the nearest number that there is.
    fileprivate func addingWithinLimits(_ other: Int64) -> Int64 {
        let (sum, isTooLarge) = addingReportingOverflow(other)
        return isTooLarge ? (other < 0 ? .min : .max) : sum
    }
}

private func pad(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return digits.utf8.count >= width ? digits : String(repeating: "0", count: width - digits.utf8.count) + digits
}
