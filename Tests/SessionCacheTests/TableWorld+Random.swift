import Platform

@testable import SessionCache

/// Random histories.
extension TableWorld {
    /// Numbers that are the same for the same seed.
    private struct Random {
        var state: UInt64

        mutating func below(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(limit))
        }
    }

    /// A history of so many steps on some names.
    static func history(_ seed: Int, _ names: [String], _ count: Int) -> [Step] {
        var random = Random(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15)
        return (0..<count).map { _ in
            let name = names[random.below(names.count)]
            let number = random.below(10)
            switch random.below(28) {
            case 0, 1, 2: return .save(name)
            case 3: return .create(name)
            case 4, 5: return .edit(name, open: number < 5)
            case 6: return .close(number)
            case 7, 8: return .remove(name)
            case 9, 10, 11, 12: return .rename(name, names[random.below(names.count)])
            case 13, 14, 15: return .begin(number)
            case 16, 17, 18, 19, 20, 21: return .send(number)
            case 22: return .postpone(number)
            case 23, 24: return .refresh
            case 25: return random.below(2) == 0 ? .beginBatch : .commitBatch
            case 26: return .cancelBatch
            default: return .kill
            }
        }
    }

    /// What the bucket holds when a history of these names begins.
    static func holding(_ names: [String]) -> [String] {
        names.filter { ["a.fastshot", "c.fastshot"].contains($0) }
    }
}

/// Which histories are played.
enum ModelSeeds {
    /// `SESSIONFS_MODEL_SEED`: one, or the first and the last of many; nil when it is not set.
    static var wanted: ClosedRange<Int>? {
        let numbers = (Environment.value("SESSIONFS_MODEL_SEED") ?? "").split(separator: "-").compactMap { Int($0) }
        guard let first = numbers.first, let last = numbers.last, first <= last else { return nil }
        return first...last
    }

    static var steps: Int? { Environment.value("SESSIONFS_MODEL_STEPS").flatMap { Int($0) } }
}

extension TableWorld {
    /// Plays a history to its end.
    static func play(_ history: [Step], on names: [String]) throws {
        var world = TableWorld(holding: names)
        for step in history {
            try world.take(step)
            try world.check()
        }
        try world.finish()
    }

    /// What is left of a history that fails when everything is left out without which it fails, too.
    static func shortest(_ history: [Step], on names: [String]) -> [Step] {
        var history = history
        var size = max(1, history.count / 2)
        while true {
            let before = history.count
            var start = 0
            while start < history.count {
                var shorter = history
                shorter.removeSubrange(start..<min(history.count, start + size))
                do {
                    try play(shorter, on: names)
                    start += size
                } catch { history = shorter }
            }
            if size > 1 { size /= 2 } else if history.count == before { return history }
        }
    }
}
