import Testing

@testable import SessionCache

@Suite struct ByteRangesTests {
    @Test func adjacentAndOverlappingRangesBecomeOne() {
        var set = ByteRanges()
        set.insert(10..<20)
        set.insert(30..<40)
        set.insert(20..<25)
        #expect(set.ranges == [10..<25, 30..<40])
        set.insert(5..<35)
        #expect(set.ranges == [5..<40])
        #expect(set.count == 35)
    }

    @Test func gapsAreFoundFromAnyStart() {
        var set = ByteRanges()
        set.insert(0..<10)
        set.insert(20..<30)
        #expect(set.prefix == 10)
        #expect(set.gap(from: 0, below: 100) == 10..<20)
        #expect(set.gap(from: 15, below: 18) == 15..<18)
        #expect(set.gap(from: 22, below: 100) == 30..<100)
        #expect(set.gap(from: 22, below: 30) == nil)
        #expect(set.firstMissing(in: 25..<35) == 30)
        #expect(set.contains(20..<30) && !set.contains(19..<30) && set.contains(50..<50))
    }

    @Test func agreesWithAnArrayOfFlags() {
        for seed in UInt64(1)...20 {
            var random = Jitter(state: seed)
            var set = ByteRanges()
            var flags = [Bool](repeating: false, count: 64)
            for _ in 0..<200 {
                let a = Int(random.next() * 64)
                let b = Int(random.next() * 64)
                let range = min(a, b)..<max(a, b)
                let bytes = UInt64(range.lowerBound)..<UInt64(range.upperBound)
                if random.next() < 0.4 {
                    set.remove(bytes)
                    for index in range { flags[index] = false }
                } else {
                    set.insert(bytes)
                    for index in range { flags[index] = true }
                }
                let expected = Set(flags.indices.filter { flags[$0] })
                #expect(Set(set.ranges.flatMap { $0.map { Int($0) } }) == expected, "seed \(seed)")
                #expect(set.count == UInt64(expected.count), "seed \(seed)")
                #expect(set.prefix == UInt64(flags.firstIndex(of: false) ?? 64), "seed \(seed)")
                let missing = set.missing(in: bytes).flatMap { $0.map { Int($0) } }
                #expect(missing == range.filter { !flags[$0] }, "seed \(seed)")
                for (left, right) in zip(set.ranges, set.ranges.dropFirst()) {
                    #expect(left.upperBound < right.lowerBound)
                }
            }
        }
    }
}
