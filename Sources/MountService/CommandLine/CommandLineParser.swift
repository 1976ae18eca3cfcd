extension ProgramSpec {
    /// Understands a command line.
    /// - Parameter arguments: without the program's own name.
    /// - Throws: ``UsageError`` saying what is wrong and what was perhaps meant.
    public func parse(_ arguments: [String]) throws(UsageError) -> CommandLineOutcome {
        var parser = CommandLineParser(program: self, arguments: arguments)
        return try parser.parse()
    }
}

/// The state while a command line is read: words before the command's end choose it, all others fill it.
private struct CommandLineParser {
    let program: ProgramSpec
    let arguments: [String]
    var position = 0
    var words: [String] = []
    var command: CommandSpec?
    var parsed = ParsedArguments(command: [])
    var optionsEnded = false
    var wantsHelp = false
    var wantsVersion = false

    init(program: ProgramSpec, arguments: [String]) {
        self.program = program
        self.arguments = arguments
    }

    mutating func parse() throws(UsageError) -> CommandLineOutcome {
        while position < arguments.count {
            let argument = arguments[position]
            position += 1
            if optionsEnded || argument == "-" || !argument.hasPrefix("-") {
                try take(argument)
            } else if argument == "--" {
                optionsEnded = true
            } else if argument.hasPrefix("--") {
                try takeLong(argument)
            } else {
                try takeShort(argument)
            }
        }
        if wantsVersion { return .version }
        guard let command, command.subcommands.isEmpty, !wantsHelp else { return try help() }
        parsed.command = words
        parsed.names = command.positionals.map(\.name)
        let missing = command.positionals.dropFirst(parsed.positionals.count).first { !$0.optional }
        if let missing { throw error("\(missing.name) is missing: \(missing.summary)") }
        return .run(parsed)
    }

    private func help() throws(UsageError) -> CommandLineOutcome {
        if let command, wantsHelp {
            return .help(HelpText(program: program).command(command, words))
        }
        if let command { throw error("\(command.name) needs a command: \(list(command.subcommands))") }
        if wantsHelp { return .help(HelpText(program: program).overview()) }
        throw error("a command is missing: \(list(program.commands))")
    }

    private mutating func take(_ argument: String) throws(UsageError) {
        if let command, command.subcommands.isEmpty {
            let last = command.positionals.last
            guard parsed.positionals.count < command.positionals.count || last?.repeats == true else {
                throw error("unexpected argument: \(argument)")
            }
            parsed.positionals.append(argument)
            return
        }
        if command == nil, argument == "help", !wantsHelp {
            wantsHelp = true
            return
        }
        let choices = command?.subcommands ?? program.commands
        guard let found = choices.first(where: { $0.name == argument }) else {
            let nearest = Suggestion.nearest(to: argument, in: choices.map(\.name))
            throw error("no such command: \((words + [argument]).joined(separator: " "))", nearest.map { path($0) })
        }
        command = found
        words.append(argument)
    }

    private mutating func takeLong(_ argument: String) throws(UsageError) {
        let parts = argument.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        let attached = parts.count == 2 ? String(parts[1]) : nil
        guard let option = options.first(where: { $0.name == name }) else {
            let nearest = Suggestion.nearest(to: name, in: options.map(\.name))
            throw error("no such option: --\(name)", nearest.map { "--" + $0 })
        }
        if option.value == nil, attached != nil { throw error("--\(name) takes no value") }
        try record(option, attached, written: "--" + name)
    }

    private mutating func takeShort(_ argument: String) throws(UsageError) {
        var rest = argument.dropFirst()
        while let letter = rest.popFirst() {
            guard let option = options.first(where: { $0.short == letter }) else {
                let long = Suggestion.nearest(to: String(argument.dropFirst()), in: options.map(\.name))
                throw error("no such option: -\(letter)", rest.isEmpty ? nil : long.map { "--" + $0 })
            }
            if option.value != nil {
                let attached = rest.isEmpty ? nil : String(rest)
                return try record(option, attached, written: "-\(letter)")
            }
            try record(option, nil, written: "-\(letter)")
        }
    }

    private mutating func record(_ option: OptionSpec, _ attached: String?, written: String) throws(UsageError) {
        guard let metavariable = option.value else {
            if option == ProgramSpec.help { wantsHelp = true }
            if option == ProgramSpec.version { wantsVersion = true }
            parsed.flags[option.name, default: 0] += 1
            return
        }
        var value = attached
        if value == nil, position < arguments.count {
            value = arguments[position]
            position += 1
        }
        guard let value else { throw error("\(written) needs a value: \(metavariable)") }
        if case .words(let words) = option.kind, !words.contains(value) {
            let nearest = Suggestion.nearest(to: value, in: words)
            throw error("\(written) takes one of \(words.joined(separator: ", ")), not \(value)", nearest)
        }
        parsed.values[option.name, default: []].append(value)
    }

    /// What may be given at this point.
    private var options: [OptionSpec] {
        if let command { return program.options(of: command) }
        return program.commonOptions + [ProgramSpec.help, ProgramSpec.version]
    }

    private func list(_ commands: [CommandSpec]) -> String { commands.map(\.name).joined(separator: ", ") }

    private func path(_ name: String) -> String { ([program.name] + words + [name]).joined(separator: " ") }

    private func error(_ message: String, _ suggestion: String? = nil) -> UsageError {
        UsageError(message: message, suggestion: suggestion, helpCommand: path("--help"))
    }
}
