/// Completion for zsh's own system (`_arguments`).
struct ZshCompletion {
    let program: ProgramSpec

    func script() -> String {
        let functions = groups.map(function).joined(separator: "\n")
        let main = "_" + program.name
        return """
            #compdef \(program.name)
            # zsh completion for \(program.name); written by: \(program.name) completion zsh
            \(functions)
            # Loaded by the completion system, or sourced.
            if [[ "$funcstack[1]" == \(main) ]]; then \(main) "$@"; else compdef \(main) \(program.name); fi

            """
    }

    /// The program and its groups of commands: the places where a command's name is expected.
    private var groups: [(words: [String], options: [OptionSpec], commands: [CommandSpec])] {
        let top = ([String](), program.commonOptions + [ProgramSpec.help, ProgramSpec.version], program.commands)
        return program.paths.filter { !$0.command.subcommands.isEmpty }.map {
            ($0.words, program.options(of: $0.command), $0.command.subcommands)
        } + [top]
    }

    private func functionName(_ words: [String]) -> String { "_" + ([program.name] + words).joined(separator: "_") }

    private func function(_ words: [String], _ options: [OptionSpec], _ commands: [CommandSpec]) -> String {
        let names = commands.map { "            " + shellQuoted(escaped($0.name) + ":" + $0.summary) }
        let cases = commands.map { command in
            let body =
                command.subcommands.isEmpty
                ? "_arguments -s -S "
                    + (program.options(of: command).flatMap(option) + positionals(command))
                    .joined(separator: " ")
                : functionName(words + [command.name])
            return "        \(command.name)) \(body) && ret=0 ;;"
        }
        return """
            \(functionName(words))() {
                local curcontext="$curcontext" state line ret=1
                local -a commands
                _arguments -C -S \(options.flatMap(option).joined(separator: " ")) '1:command:->command' '*::argument:->argument' && ret=0
                case $state in
                    command)
                        commands=(
            \(names.joined(separator: "\n"))
                        )
                        _describe -t commands command commands && ret=0 ;;
                    argument)
                        case $line[1] in
            \(cases.joined(separator: "\n"))
                        esac ;;
                esac
                return ret
            }

            """
    }

    /// One specification for each spelling.
    private func option(_ option: OptionSpec) -> [String] {
        let exclusion = option.spellings.count > 1 ? "(" + option.spellings.joined(separator: " ") + ")" : ""
        return option.spellings.map { spelling in
            // `+`: the value may be attached or the next word; `=`: also behind an equals sign.
            let join = option.value == nil ? "" : spelling.hasPrefix("--") ? "=" : "+"
            let value = option.value.map { ":\(escaped($0)):\(action(option.kind))" } ?? ""
            return shellQuoted(exclusion + spelling + join + "[" + escaped(option.summary) + "]" + value)
        }
    }

    private func positionals(_ command: CommandSpec) -> [String] {
        command.positionals.map { positional in
            let start = positional.repeats ? "*:" : positional.optional ? "::" : ":"
            return shellQuoted(start + escaped(positional.name) + ":" + action(positional.kind))
        }
    }

    private func action(_ kind: ValueKind) -> String {
        switch kind {
        case .text: " "
        case .file: "_files"
        case .directory: "_files -/"
        case .words(let words): "(" + words.joined(separator: " ") + ")"
        }
    }

    private func escaped(_ text: String) -> String {
        var result = ""
        for character in text { result += "[]:\\".contains(character) ? "\\\(character)" : String(character) }
        return result
    }
}
