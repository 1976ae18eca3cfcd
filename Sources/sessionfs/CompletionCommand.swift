import MountService

/// `sessionfs completion SHELL`.
enum CompletionCommand {
    static let spec = CommandSpec(
        name: "completion", summary: "print a completion script",
        discussion: "bash: source <(sessionfs completion bash)",
        positionals: [
            PositionalSpec("SHELL", "bash, zsh or fish", kind: .words(Shell.allCases.map(\.rawValue)))
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        guard let shell = arguments.positional("SHELL").flatMap(Shell.init) else {
            throw MountFailure("the shell is one of \(Shell.allCases.map(\.rawValue).joined(separator: ", "))", .usage)
        }
        Output.write(Program.spec.completionScript(for: shell))
        return .done
    }
}
