import MountHarness
import Testing

/// What becomes of conflicts in a run.
extension Players {
    /// Sends and decides until nothing is left: each decision may meet another machine's.
    /// - Returns: contents of machines that were given up for the bucket's.
    @discardableResult
    func decideAll(_ options: [String], _ choices: inout Dice) throws -> [[UInt8]] {
        var lost: [[UInt8]] = []
        for _ in 0..<20 {
            var isSettled = true
            for player in all {
                if player.machine.flush().status != 0 { isSettled = false }
                for conflict in try player.machine.conflicts() {
                    isSettled = false
                    if let mine = try decide(player, conflict, choices.pick(options) ?? "mine") { lost.append(mine) }
                }
            }
            if isSettled { return lost }
        }
        throw Mismatch("there is no end of conflicts\n\(logs)")
    }

    private func decide(_ player: Player, _ conflict: ListedConflict, _ choice: String) throws -> [UInt8]? {
        let machine = player.machine
        let mine = choice == "theirs" ? try conflict.localName.map { try machine.contents($0) } : nil
        let result = machine.run(["conflicts", "resolve", machine.point, "\(conflict.id)", choice])
        // A name that waits for another upload, or has gone on since, is decided in a later round.
        let isLater = Self.later.contains { result.errors.contains($0) }
        guard result.status == 0 || isLater else {
            throw Mismatch("\(conflict) as \(choice): \(result)\n\(machine.log)")
        }
        return result.status == 0 ? mine : nil
    }

    /// Reasons for which a conflict cannot be decided so now.
    private static let later = [
        "pending change", "taken by another file", "has changed meanwhile", "is being sent",
    ]
}
