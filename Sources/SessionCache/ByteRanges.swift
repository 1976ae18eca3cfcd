/// A set of bytes of a file, kept as sorted ranges that neither touch nor overlap.
struct ByteRanges: Sendable, Equatable {
    private(set) var ranges: [Range<UInt64>] = []
    /// How many bytes are in the set.
    private(set) var count: UInt64 = 0

    init() {}

    /// The end of the run of bytes that begins at 0.
    var prefix: UInt64 {
        guard let first = ranges.first, first.lowerBound == 0 else { return 0 }
        return first.upperBound
    }

    /// Adds bytes; those that are there already count once.
    mutating func insert(_ new: Range<UInt64>) {
        guard !new.isEmpty else { return }
        // What touches the new range: everything from the first that ends at or behind its start.
        let first = index(ofFirstEndingAtOrAfter: new.lowerBound)
        var last = first
        var merged = new
        while last < ranges.count, ranges[last].lowerBound <= new.upperBound {
            let old = ranges[last]
            merged = min(merged.lowerBound, old.lowerBound)..<max(merged.upperBound, old.upperBound)
            count -= old.upperBound - old.lowerBound
            last += 1
        }
        count += merged.upperBound - merged.lowerBound
        if last == first + 1 {
            ranges[first] = merged
        } else {
            ranges.replaceSubrange(first..<last, with: CollectionOfOne(merged))
        }
    }

    /// Takes bytes out; those that are not there do not matter.
    mutating func remove(_ old: Range<UInt64>) {
        var kept: [Range<UInt64>] = []
        for range in ranges {
            let before = range.lowerBound..<min(range.upperBound, max(range.lowerBound, old.lowerBound))
            let behind = max(range.lowerBound, min(range.upperBound, old.upperBound))..<range.upperBound
            if !range.overlaps(old) {
                kept.append(range)
            } else {
                if !before.isEmpty { kept.append(before) }
                if !behind.isEmpty { kept.append(behind) }
            }
        }
        ranges = kept
        count = kept.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) }
    }

    /// The parts of a range that are not in the set.
    func missing(in range: Range<UInt64>) -> [Range<UInt64>] {
        var parts: [Range<UInt64>] = []
        var position = range.lowerBound
        while let gap = gap(from: position, below: range.upperBound) {
            parts.append(gap)
            position = gap.upperBound
        }
        return parts
    }

    /// Whether every byte of a range is in the set. True for an empty range.
    func contains(_ range: Range<UInt64>) -> Bool {
        range.isEmpty || firstMissing(in: range) == nil
    }

    /// The first byte of a range that is not in the set.
    func firstMissing(in range: Range<UInt64>) -> UInt64? {
        guard !range.isEmpty else { return nil }
        let index = index(ofFirstEndingAtOrAfter: range.lowerBound + 1)
        guard index < ranges.count, ranges[index].lowerBound <= range.lowerBound else { return range.lowerBound }
        let end = ranges[index].upperBound
        return end < range.upperBound ? end : nil
    }

    /// The first run of bytes below `end` that are not in the set, at or behind `start`.
    func gap(from start: UInt64, below end: UInt64) -> Range<UInt64>? {
        guard start < end, let missing = firstMissing(in: start..<end) else { return nil }
        let index = index(ofFirstEndingAtOrAfter: missing + 1)
        let next = index < ranges.count ? ranges[index].lowerBound : end
        return missing..<min(next, end)
    }

    /// The end of the last run at or before a missing byte; 0 when there is none.
    func end(before position: UInt64) -> UInt64 {
        let index = index(ofFirstEndingAtOrAfter: position + 1)
        return index > 0 ? ranges[index - 1].upperBound : 0
    }

    private func index(ofFirstEndingAtOrAfter position: UInt64) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < position { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
