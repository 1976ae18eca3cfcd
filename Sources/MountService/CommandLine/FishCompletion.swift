/// Completion for fish 3.
struct FishCompletion {
    let program: ProgramSpec

    func script() -> String {
        let name = program.name
        var lines = [
            """
            # fish completion for \(name); written by: \(name) completion fish
            function __\(name)_at
                set -l path ''
                for word in (commandline -opc)[2..-1]
                    switch "$path/$word"
                        case \(program.paths.map { shellQuoted("/" + $0.words.joined(separator: "/")) }.joined(separator: " "))
                            set path "$path/$word"
                    end
                end
                test "$path" = "$argv[1]"
            end
            complete -c \(name) -f
            """
        ]
        lines += place([], program.commonOptions + [ProgramSpec.help, ProgramSpec.version], program.commands, .text)
        for (words, command) in program.paths {
            lines += place(words, program.options(of: command), command.subcommands, command.argumentKind)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func place(
        _ words: [String], _ options: [OptionSpec], _ commands: [CommandSpec], _ kind: ValueKind
    ) -> [String] {
        let path = words.isEmpty ? "" : "/" + words.joined(separator: "/")
        let start =
            "complete -c \(program.name) -n \(shellQuoted("__\(program.name)_at \(path.isEmpty ? "\"\"" : path)"))"
        var lines = commands.map { "\(start) -a \($0.name) -d \(shellQuoted($0.summary))" }
        lines += options.map { option in
            let short = option.short.map { " -s \($0)" } ?? ""
            let value = option.value == nil ? "" : (option.kind == .file ? " -r" : " -x") + offer(option.kind)
            return "\(start)\(short) -l \(option.name)\(value) -d \(shellQuoted(option.summary))"
        }
        if kind != .text { lines.append(start + offer(kind)) }
        return lines
    }

    private func offer(_ kind: ValueKind) -> String {
        switch kind {
        case .text: ""
        case .file: " -F"
        case .directory: " -a '(__fish_complete_directories)'"
        case .words(let words): " -a " + shellQuoted(words.joined(separator: " "))
        }
    }
}
