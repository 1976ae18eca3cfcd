import Foundation
import Platform
import Testing

@Suite struct TimestampTests {
    @Test func splitsIntoSecondsAndFraction() {
        let time = Timestamp(seconds: 10, nanoseconds: 5)
        #expect(time.seconds == 10 && time.fraction == 5)
        let before = Timestamp(nanoseconds: -1)
        #expect(before.seconds == -1 && before.fraction == 999_999_999)
        let exact = Timestamp(seconds: -3)
        #expect(exact.seconds == -3 && exact.fraction == 0)
    }

    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z", "19700101T000000Z"),
            (1_440_938_160, "2015-08-30T12:36:00.000Z", "20150830T123600Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z", "20000229T000000Z"),
            (-1, "1969-12-31T23:59:59.000Z", "19691231T235959Z"),
        ] as [(Int64, String, String)])
    func printsISO8601(_ seconds: Int64, _ long: String, _ basic: String) {
        #expect(Timestamp(seconds: seconds).iso8601 == long)
        #expect(Timestamp(seconds: seconds).iso8601Basic == basic)
    }

    @Test func millisecondsAreCutNotRounded() {
        #expect(Timestamp(seconds: 0, nanoseconds: 999_999_999).iso8601 == "1970-01-01T00:00:00.999Z")
        #expect(Timestamp(seconds: 0, nanoseconds: 7_000_000).iso8601 == "1970-01-01T00:00:00.007Z")
    }

    @Test func takesTheOffsetOffUTC() {
        let time = Timestamp.utc(
            year: 2026, month: 2, day: 3, hour: 10, minute: 45, second: 12, nanoseconds: 500, offsetSeconds: 3600)
        #expect(time.iso8601 == "2026-02-03T09:45:12.000Z")
        #expect(time.fraction == 500)
    }

    @Test func localTimeIsThatOfTheZone() throws {
        let time = try #require(
            Timestamp.local(year: 2026, month: 7, day: 3, hour: 10, minute: 45, second: 12, nanoseconds: 9))
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .current
        let wanted = DateComponents(year: 2026, month: 7, day: 3, hour: 10, minute: 45, second: 12)
        let date = try #require(calendar.date(from: wanted))
        #expect(time.seconds == Int64(date.timeIntervalSince1970))
        #expect(time.fraction == 9)
    }

    /// Files, servers and programs name any time there is.
    @Test func whatLiesOutsideIsTheNearestTime() {
        let (first, last) = (Timestamp(nanoseconds: .min), Timestamp(nanoseconds: .max))
        #expect(first.seconds == -9_223_372_037 && first.fraction == 145_224_192)
        #expect(last.seconds == 9_223_372_036 && last.fraction == 854_775_807)
        #expect(Timestamp(seconds: first.seconds, nanoseconds: first.fraction) <= Timestamp(seconds: -9_223_372_036))
        #expect(Timestamp(seconds: last.seconds, nanoseconds: last.fraction) == last)
        for seconds in [9_223_372_037, 253_402_300_799, Int64.max] {
            #expect(Timestamp(seconds: seconds, nanoseconds: 5) == last)
            #expect(Timestamp(seconds: -seconds, nanoseconds: 5) == first)
        }
        #expect(Timestamp(seconds: 9_223_372_036, nanoseconds: 999_999_999) == last)
        #expect(last.seconds(since: first) > 1.8e10 && first.seconds(since: last) < -1.8e10)
        #expect(last.later(by: 5) == last && first.later(by: -5) == first)
        #expect(Timestamp(seconds: 10).later(by: -4) == Timestamp(seconds: 6))
        #expect(Timestamp.utc(year: 9999, month: 12, day: 31, hour: 0, minute: 0, second: 0) == last)
        #expect(first.iso8601.hasPrefix("1677-09-21T") && last.iso8601.hasPrefix("2262-04-11T"))
    }

    @Test func clocksGoOn() {
        let first = Timestamp.monotonic
        let second = Timestamp.monotonic
        #expect(second >= first)
        #expect(abs(Timestamp.now.seconds(since: Timestamp(seconds: Int64(Date().timeIntervalSince1970)))) < 60)
    }
}

@Suite struct SecretTests {
    @Test func neverPrints() {
        let secret = Secret("hunter2")
        var dumped = ""
        dump(secret, to: &dumped)
        #expect("\(secret) \(String(reflecting: secret)) \(dumped) \([secret])".contains("hunter2") == false)
        #expect(secret.reveal() == "hunter2")
    }
}
