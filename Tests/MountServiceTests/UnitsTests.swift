import Testing

@testable import MountService

struct UnitsTests {
    @Test(
        arguments: [
            ("0", 0), ("1", 1), ("512b", 512), ("10G", 10 << 30), ("500M", 500 << 20), ("1.5k", 1536),
            ("2 GiB", 2 << 30),
            ("1KB", 1000), ("3tb", 3_000_000_000_000), ("1T", 1 << 40), ("0.5K", 512),
        ] as [(String, UInt64)])
    func sizes(text: String, expected: UInt64) { #expect(Units.size(text) == expected) }

    @Test(
        arguments: [
            ("0", 0), ("10", 10), ("10s", 10), ("5m", 300), ("2 h", 7200), ("1d", 86400), ("250ms", 0.25), ("1.5m", 90),
        ] as [(String, Double)])
    func durations(text: String, expected: Double) { #expect(Units.seconds(text) == expected) }

    @Test(arguments: [
        "", " ", "G", "-1", "+1", "1e3", "nan", "inf", "0x10", "1.2.3", ".5", "5.", "10X", "1 2", "٣", "9999999T",
    ])
    func otherTextsAreNeither(text: String) {
        #expect(Units.size(text) == nil)
        if text != "9999999T" { #expect(Units.seconds(text) == nil) }
    }

    @Test(
        arguments: [
            ("2M", 2 << 20), ("2M/s", 2 << 20), ("500KB/S", 500_000), ("0", 0), ("None", 0), ("1.5k", 1536),
        ] as [(String, UInt64)])
    func rates(text: String, expected: UInt64) { #expect(Units.rate(text) == expected) }

    @Test(arguments: ["", "fast", "-1", "2M/m", "/s"]) func otherTextsAreNoRates(text: String) {
        #expect(Units.rate(text) == nil)
    }

    @Test func truthValues() {
        for text in ["yes", "True", "ON", "1"] { #expect(Units.bool(text) == true) }
        for text in ["no", "False", "OFF", "0"] { #expect(Units.bool(text) == false) }
        for text in ["", "2", "maybe", "y"] { #expect(Units.bool(text) == nil) }
    }
}
