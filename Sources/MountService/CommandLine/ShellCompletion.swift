/// The shells that completion is written for.
public enum Shell: String, Sendable, CaseIterable {
    case bash, zsh, fish
}

extension ProgramSpec {
    /// A script that completes this program's command line, to be sourced by the shell or put where it looks.
    public func completionScript(for shell: Shell) -> String {
        switch shell {
        case .bash: BashCompletion(program: self).script()
        case .zsh: ZshCompletion(program: self).script()
        case .fish: FishCompletion(program: self).script()
        }
    }
}

/// A text as one word of any of the shells.
func shellQuoted(_ text: String) -> String {
    var result = "'"
    for character in text { result += character == "'" ? "'\\''" : String(character) }
    return result + "'"
}

extension OptionSpec {
    /// `--name`, and `-n` where there is one.
    var spellings: [String] { (short.map { ["-\($0)"] } ?? []) + ["--" + name] }
}

extension CommandSpec {
    /// What a shell should offer for arguments by place: the first kind that says anything.
    var argumentKind: ValueKind { positionals.map(\.kind).first { $0 != .text } ?? .text }
}
