internal import Platform

/// The two ways in which S3 writes points in time.
enum S3Dates {
    /// `Wed, 21 Oct 2015 07:28:00 GMT` (RFC 9110, IMF-fixdate).
    static func http(_ text: String?) -> Timestamp? {
        guard let words = text?.split(separator: " "), words.count == 6, words[5] == "GMT" || words[5] == "UTC",
            let month = months.firstIndex(of: String(words[2])), let day = Int(words[1]), let year = Int(words[3])
        else { return nil }
        return make(year, month + 1, day, clock: words[4], nanoseconds: 0)
    }

    /// `2009-10-12T17:50:30.000Z` (ISO 8601, UTC).
    static func iso8601(_ text: String) -> Timestamp? {
        let halves = text.split(separator: "T")
        guard halves.count == 2, halves[1].last == "Z" else { return nil }
        let date = halves[0].split(separator: "-").map { Int($0) }
        let clock = halves[1].dropLast().split(separator: ".", maxSplits: 1)
        guard date.count == 3, let year = date[0], let month = date[1], let day = date[2], let time = clock.first
        else { return nil }
        var nanoseconds: Int64 = 0
        if clock.count == 2 {
            let digits = clock[1].prefix(9)
            guard let value = Int64(digits), value >= 0 else { return nil }
            nanoseconds = (digits.count..<9).reduce(value) { result, _ in result * 10 }
        }
        return make(year, month, day, clock: time, nanoseconds: nanoseconds)
    }

    private static func make(
        _ year: Int, _ month: Int, _ day: Int, clock: Substring, nanoseconds: Int64
    ) -> Timestamp? {
        let time = clock.split(separator: ":").map { Int($0) }
        guard time.count == 3, let hour = time[0], let minute = time[1], let second = time[2],
            (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day), (0..<24).contains(hour),
            (0..<60).contains(minute), (0...60).contains(second)
        else { return nil }
        return .utc(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, nanoseconds: nanoseconds)
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
}
