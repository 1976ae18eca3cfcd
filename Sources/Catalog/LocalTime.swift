internal import Platform
internal import SessionFormat

extension NaiveTime {
    /// The moment: in its zone where it names one, else in the process's.
    var timestamp: Timestamp? {
        guard let offsetSeconds else { return LocalDay.timestamp(self) }
        return Timestamp.utc(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, nanoseconds: nanoseconds,
            offsetSeconds: offsetSeconds)
    }
}

/// The last local day that was asked for. Sessions come in the order of their days, and the C library looks for a new
/// time zone on the disk at every call.
private struct LocalDay {
    private let year: Int
    private let month: Int
    private let day: Int
    private let midnight: Timestamp

    private static let last = Guarded<LocalDay?>(nil)
    private static let length: Int64 = 86_400_000_000_000

    static func timestamp(_ time: NaiveTime) -> Timestamp? {
        let known = last.withLock { $0 }
        if let known, known.year == time.year, known.month == time.month, known.day == time.day {
            return known.moment(time)
        }
        guard let midnight = local(time, hour: 0, minute: 0, second: 0, nanoseconds: 0),
            let end = local(time, hour: 23, minute: 59, second: 59, nanoseconds: 999_999_999),
            end.nanoseconds.subtractingReportingOverflow(midnight.nanoseconds) == (length - 1, false)
        else {
            // The clocks change on that day.
            return local(
                time, hour: time.hour, minute: time.minute, second: time.second, nanoseconds: time.nanoseconds)
        }
        let found = LocalDay(year: time.year, month: time.month, day: time.day, midnight: midnight)
        last.withLock { $0 = found }
        return found.moment(time)
    }

    private func moment(_ time: NaiveTime) -> Timestamp {
        let seconds = midnight.seconds + Int64(time.hour * 3600 + time.minute * 60 + time.second)
        return Timestamp(seconds: seconds, nanoseconds: midnight.fraction + time.nanoseconds)
    }

    private static func local(
        _ time: NaiveTime, hour: Int, minute: Int, second: Int, nanoseconds: Int64
    ) -> Timestamp? {
        Timestamp.local(
            year: time.year, month: time.month, day: time.day, hour: hour, minute: minute, second: second,
            nanoseconds: nanoseconds)
    }
}
