internal import Glibc
internal import Platform
internal import SessionFormat

extension Timestamp {
    /// `2026-11-21T02:05:32+00:00`, as rows of the overall file have their upload times.
    var rowText: String {
        let whole = Timestamp(seconds: seconds)
        return NaiveTime(iso8601: whole.iso8601)?.iso8601 ?? whole.iso8601
    }

    /// `2026-11-21T03:05:32.123456`, local and without a zone, as FastShot's `last_updated` has it.
    var localText: String {
        var time = time_t(seconds)
        var fields = tm()
        localtime_r(&time, &fields)
        let local = NaiveTime(
            year: Int(fields.tm_year) + 1900, month: Int(fields.tm_mon) + 1, day: Int(fields.tm_mday),
            hour: Int(fields.tm_hour), minute: Int(fields.tm_min), second: min(59, Int(fields.tm_sec)),
            nanoseconds: fraction)
        return local?.iso8601 ?? iso8601
    }
}
