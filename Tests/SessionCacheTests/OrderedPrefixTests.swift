import TestSupport
import Testing

@testable import SessionCache

@Suite struct OrderedPrefixTests {
    private static let block = OrderedPrefix.block

    @Test func blocksAreToldOfWhenTheyAreFull() {
        var prefix = OrderedPrefix(isEmpty: true)
        let block = Self.block
        #expect(prefix.wrote(0..<block - 1) == nil)
        #expect(prefix.wrote(block - 1..<block) == .grown(0..<block))
        #expect(prefix.wrote(block..<3 * block + 7) == .grown(block..<3 * block))
        #expect(prefix.wrote(5 * block..<6 * block) == nil, "behind a gap")
        #expect(prefix.wrote(3 * block..<3 * block + 1) == .spoiled)
        #expect(prefix.wrote(0..<9 * block) == nil, "nothing more is told")
    }

    @Test func contentsThatWereThereAreNotFollowed() {
        var prefix = OrderedPrefix(isEmpty: false)
        #expect(prefix.wrote(0..<9 * Self.block) == nil)
    }

    @Test func cutsCountWhereBytesGo() {
        var prefix = OrderedPrefix(isEmpty: true)
        #expect(prefix.cut(to: 0) == nil)
        #expect(prefix.wrote(0..<Self.block + 1) == .grown(0..<Self.block))
        #expect(prefix.cut(to: 100 * Self.block) == nil, "lengthened")
        #expect(prefix.cut(to: Self.block + 1) == nil)
        #expect(prefix.cut(to: Self.block) == .spoiled)
    }

    /// What was told of reads the same for ever, or it is said that it does not.
    @Test(arguments: 0..<200) func whatIsToldOfStays(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let unit = Self.block / 4
        var prefix = OrderedPrefix(isEmpty: true)
        // One number for each quarter of a block.
        var contents: [Int] = []
        var told: [Int] = []
        var isSpoiled = false
        for step in 1...60 {
            var growth: Growth?
            if random.next() % 12 == 0 {
                let size = Int(random.next() % UInt64(contents.count + 3))
                if size <= contents.count {
                    contents.removeLast(contents.count - size)
                } else {
                    contents += Array(repeating: 0, count: size - contents.count)
                }
                growth = prefix.cut(to: UInt64(size) * unit)
            } else {
                let places = [told.count, told.count, contents.count, contents.count + 2, Int(random.next() % 40)]
                let start = min(places[Int(random.next() % 5)], 60)
                let count = Int(1 + random.next() % 9)
                while contents.count < start + count { contents.append(0) }
                for place in start..<start + count { contents[place] = step }
                growth = prefix.wrote(UInt64(start) * unit..<UInt64(start + count) * unit)
            }
            switch growth {
            case nil: break
            case .spoiled: isSpoiled = true
            case .grown(let range):
                #expect(!isSpoiled)
                #expect(Int(range.lowerBound / unit) == told.count)
                told += contents[told.count..<Int(range.upperBound / unit)]
            }
            if !isSpoiled { #expect(contents.starts(with: told), "step \(step)") }
        }
    }
}
