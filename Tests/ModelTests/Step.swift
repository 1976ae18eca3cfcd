import MountHarness

/// One thing that somebody does, as a line of text: `1 save 1003 17` is machine 1, `client rebuild` the FastShot client.
/// Sessions are called by numbers, contents by their seeds, so that a line says all that there is to repeat.
struct Step: Equatable, CustomStringConvertible, Sendable {
    enum Action: String, CaseIterable, Sendable {
        /// Writes a file as `cp` does.
        case save
        /// Writes a file beside it, and renames that over it.
        case replace
        /// Writes other contents into the open file, without cutting it before.
        case edit
        case remove
        case rename
        /// Gives a session a name that is never uploaded, or back.
        case hide, show
        case offline, online, batch, commit, kill, remount, flush, refresh
        /// The client writes the overall file anew from a listing.
        case rebuild
        /// Everybody sends everything; bucket and mounts are compared with the reference.
        case settle
    }

    /// Nil: the FastShot client.
    var machine: Int?
    var action: Action
    /// A session's number, then contents or another session's number, as the action needs them.
    var numbers: [Int] = []

    init(_ machine: Int?, _ action: Action, _ numbers: Int...) {
        (self.machine, self.action, self.numbers) = (machine, action, numbers)
    }

    /// - Returns: nil for a line that is none of a step.
    init?(line: some StringProtocol) {
        let words = line.split(separator: " ")
        guard words.count >= 2, let action = Action(rawValue: String(words[1])) else { return nil }
        let numbers = words.dropFirst(2).compactMap { Int($0) }
        guard words[0] == "client" || Int(words[0]) != nil, numbers.count == words.count - 2,
            numbers.count == action.numbers
        else { return nil }
        (machine, self.action, self.numbers) = (Int(words[0]), action, numbers)
    }

    var description: String {
        ([machine.map(String.init) ?? "client", action.rawValue] + numbers.map(String.init)).joined(separator: " ")
    }
}

extension Step.Action {
    /// How many numbers it takes.
    var numbers: Int {
        switch self {
        case .save, .replace, .edit, .rename: 2
        case .remove, .hide, .show: 1
        default: 0
        }
    }
}

/// What a run found wrong.
struct Mismatch: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// What a run does and holds to its reference.
protocol Reference {
    /// Who takes part.
    var players: Players { get }
    /// The next step, by what is there now.
    func next(_ dice: inout Dice) -> Step
    /// Does a step. One that makes no sense now, because others before it were left out, does nothing.
    /// - Throws: ``Mismatch`` and whatever calls throw.
    func perform(_ step: Step) throws
    /// What is looked at after each step, now and then.
    func check(after step: Int) throws
}
