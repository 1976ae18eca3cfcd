/// Numbers that are the same for the same seed, on every machine (SplitMix64, Steele et al. 2014).
struct RandomSource: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A source for one of many things, independent of the others.
    init(seed: UInt64, index: Int) {
        var first = RandomSource(seed: seed)
        state = first.next() ^ (UInt64(index) &* 0xD134_2543_DE82_EF95)
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    /// True once in `count` times.
    mutating func once(in count: Int) -> Bool { int(1...count) == 1 }

    /// One of some values, of which there is at least one.
    mutating func pick<Value>(_ values: [Value]) -> Value { values[int(0...values.count - 1)] }

    /// Up to `count` different values in the order of `values`.
    mutating func pick<Value>(_ count: Int, of values: [Value]) -> [Value] {
        values.indices.shuffled(using: &self).prefix(count).sorted().map { values[$0] }
    }
}
