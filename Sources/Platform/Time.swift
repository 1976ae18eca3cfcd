internal import Glibc

/// A point in time with nanoseconds, as file systems keep it: since 1970-01-01T00:00:00Z.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Nanoseconds since the epoch; negative before it.
    public let nanoseconds: Int64

    /// A time by its nanoseconds since the epoch.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// A time by whole seconds since the epoch and a part of the next one.
    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        self.nanoseconds = seconds &* 1_000_000_000 &+ nanoseconds
    }

    /// Whole seconds, rounded down.
    public var seconds: Int64 {
        nanoseconds >= 0 ? nanoseconds / 1_000_000_000 : -((-nanoseconds + 999_999_999) / 1_000_000_000)
    }
    /// The part of a second above ``seconds``, 0 to 999,999,999.
    public var fraction: Int64 { nanoseconds - seconds * 1_000_000_000 }

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
        Double(nanoseconds - earlier.nanoseconds) / 1_000_000_000
    }

    /// The time so many seconds later; a billion at most.
    public func later(by seconds: Double) -> Timestamp {
        Timestamp(nanoseconds: nanoseconds + Int64(min(seconds, 1e9) * 1e9))
    }
}

private func pad(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return digits.utf8.count >= width ? digits : String(repeating: "0", count: width - digits.utf8.count) + digits
}
