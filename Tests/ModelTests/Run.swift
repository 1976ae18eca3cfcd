import MountHarness
import Platform
import Testing

/// What a failed run leaves: its steps, and what was wrong.
struct FailedRun: Error, CustomStringConvertible {
    var steps: [Step]
    var cause: any Error

    var description: String { "\(cause)" }
}

/// The steps of a run: drawn as it goes, or those of an earlier one.
enum Run {
    /// Draws and does so many steps, then settles.
    /// - Throws: ``FailedRun``.
    static func draw(_ reference: some Reference, seed: UInt64, steps: Int) throws {
        var dice = Dice(seed: seed)
        try carryOut(reference) { number in number < steps ? reference.next(&dice) : nil }
    }

    /// Does these steps, then settles.
    /// - Throws: ``FailedRun``.
    static func replay(_ reference: some Reference, _ steps: [Step]) throws {
        try carryOut(reference) { number in number < steps.count ? steps[number] : nil }
    }

    private static func carryOut(_ reference: some Reference, _ next: (Int) -> Step?) throws {
        var done: [Step] = []
        do {
            while let step = next(done.count) {
                done.append(step)
                try reference.perform(step)
                try reference.check(after: done.count - 1)
            }
            done.append(Step(nil, .settle))
            try reference.perform(Step(nil, .settle))
        } catch let error as Mismatch {
            throw FailedRun(steps: done, cause: error)
        } catch { throw FailedRun(steps: done, cause: Mismatch("\(error)\n\(reference.players.whatTheyHave)")) }
    }

    // MARK: Shrinking

    /// Leaves out steps as long as the rest fails, large pieces first.
    /// - Parameters:
    ///   - tries: runs at most.
    ///   - fails: whether a run of these steps fails.
    static func shrink(_ steps: [Step], tries: Int, fails: ([Step]) throws -> Bool) rethrows -> [Step] {
        var rest = steps
        var left = tries
        var size = max(1, rest.count / 2)
        while true {
            var wasShortened = false
            // From the end: what led to a failure stands there, and what came long before mostly did not.
            var end = rest.count
            while end > 0 {
                guard left > 0 else { return rest }
                left -= 1
                let start = max(0, end - size)
                var shorter = rest
                shorter.removeSubrange(start..<end)
                if try fails(shorter) {
                    rest = shorter
                    wasShortened = true
                }
                end = start
            }
            if size == 1, !wasShortened { return rest }
            size = max(1, size / 2)
        }
    }
}
