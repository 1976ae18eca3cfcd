internal import Platform

/// The two spellings of time in S3's answers.
enum S3Time {
    /// `Wed, 21 Oct 2015 07:28:00 GMT`, the form of RFC 9110 section 5.6.7 that servers have to send.
    static func http(_ text: String) -> Timestamp? {
        let words = text.split(separator: " ")
        guard words.count == 6, words[5] == "GMT", let day = Int(words[1]), let year = Int(words[3]),
            let month = months.firstIndex(of: words[2])
        else { return nil }
        let clock = words[4].split(separator: ":").compactMap { Int($0) }
        guard clock.count == 3 else { return nil }
        return utc(year, month + 1, day, clock[0], clock[1], clock[2])
    }

    /// `2009-10-12T17:50:30.000Z`, with or without a fraction.
    static func iso8601(_ text: String) -> Timestamp? {
        guard text.hasSuffix("Z") else { return nil }
        let halves = text.dropLast().split(separator: "T")
        guard halves.count == 2 else { return nil }
        let date = halves[0].split(separator: "-").compactMap { Int($0) }
        let seconds = halves[1].split(separator: ".")
        guard let whole = seconds.first, seconds.count <= 2 else { return nil }
        let clock = whole.split(separator: ":").compactMap { Int($0) }
        guard date.count == 3, clock.count == 3 else { return nil }
        var nanoseconds: Int64 = 0
        if seconds.count == 2 {
            let digits = seconds[1].prefix(9)
            guard let value = Int64(digits), value >= 0 else { return nil }
            nanoseconds = (digits.utf8.count..<9).reduce(value) { value, _ in value * 10 }
        }
        return utc(date[0], date[1], date[2], clock[0], clock[1], clock[2], nanoseconds)
    }

    private static let months: [Substring] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func utc(
        _ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int, _ nanoseconds: Int64 = 0
    ) -> Timestamp? {
        // 60 is a leap second. Years that nanoseconds since 1970 can hold.
        guard (1900...2200).contains(year), (1...12).contains(month), (1...31).contains(day), (0...23).contains(hour),
            (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        return .utc(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second, nanoseconds: nanoseconds)
    }
}
