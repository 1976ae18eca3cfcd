/// Completion for bash 4 and newer, without the bash-completion package.
struct BashCompletion {
    let program: ProgramSpec

    func script() -> String {
        let function = "_" + program.name
        return """
            # bash completion for \(program.name); written by: \(program.name) completion bash
            \(function)() {
                local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path="" words="" kind="" i
                COMPREPLY=()
                # --option=value arrives as three words.
                if [[ $cur == "=" ]]; then
                    cur=""
                elif [[ $prev == "=" && $COMP_CWORD -ge 2 ]]; then
                    prev=${COMP_WORDS[COMP_CWORD-2]}
                fi
                for ((i = 1; i < COMP_CWORD; i++)); do
                    case "$path/${COMP_WORDS[i]}" in
                        \(pathPattern)) path="$path/${COMP_WORDS[i]}" ;;
                    esac
                done
                case "$path $prev" in
            \(valueCases)
                esac
                if [[ -z $kind ]]; then
                    case "$path" in
            \(commandCases)
                    esac
                fi
                case "$kind" in
                    file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
                    directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
                    words) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
                esac
            }
            complete -F \(function) \(program.name)

            """
    }

    private var pathPattern: String {
        program.paths.map { shellQuoted("/" + $0.words.joined(separator: "/")) }.joined(separator: "|")
    }

    /// Every place where options are known: before a command, and in each.
    private var places: [(path: String, options: [OptionSpec], command: CommandSpec?)] {
        [("", program.commonOptions + [ProgramSpec.help, ProgramSpec.version], nil)]
            + program.paths.map { ("/" + $0.words.joined(separator: "/"), program.options(of: $0.command), $0.command) }
    }

    private var valueCases: String {
        places.flatMap { place in
            place.options.filter { $0.value != nil }.map { option in
                let pattern = option.spellings.map { shellQuoted(place.path + " " + $0) }.joined(separator: "|")
                return "        \(pattern)) \(assignment(option.kind)) ;;"
            }
        }.joined(separator: "\n")
    }

    private var commandCases: String {
        places.map { place in
            let options = place.options.flatMap(\.spellings).joined(separator: " ")
            let commands = place.command?.subcommands ?? program.commands
            let rest =
                commands.isEmpty
                ? assignment(place.command?.argumentKind ?? .text)
                : assignment(.words(commands.map(\.name)))
            return """
                            \(shellQuoted(place.path))) if [[ $cur == -* ]]; then kind=words words=\(shellQuoted(options)); \
                else \(rest); fi ;;
                """
        }.joined(separator: "\n")
    }

    private func assignment(_ kind: ValueKind) -> String {
        switch kind {
        case .text: "kind=text"
        case .file: "kind=file"
        case .directory: "kind=directory"
        case .words(let words): "kind=words words=" + shellQuoted(words.joined(separator: " "))
        }
    }
}
