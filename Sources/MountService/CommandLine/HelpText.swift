/// Writes help from declarations, in lines of at most 79 characters.
struct HelpText {
    let program: ProgramSpec

    /// Help of the whole program.
    func overview() -> String {
        var text = "\(program.name): \(program.summary)\n\n"
        text += "Usage: \(program.name) COMMAND [ARGUMENTS] [OPTIONS]\n"
        text += section("Commands", program.commands.map { ($0.name, $0.summary) })
        text += section(
            "Options of every command", (program.commonOptions + [ProgramSpec.help, ProgramSpec.version]).map(row))
        text += "\n\(program.name) COMMAND --help tells more about a command.\n"
        return text
    }

    /// Help of one command or group.
    func command(_ command: CommandSpec, _ words: [String]) -> String {
        let path = ([program.name] + words).joined(separator: " ")
        var text = "\(path): \(command.summary)\n\n"
        if command.subcommands.isEmpty {
            let arguments = command.positionals.map(\.usage).joined(separator: " ")
            text += "Usage: \(path)\(arguments.isEmpty ? "" : " " + arguments) [OPTIONS]\n"
        } else {
            text += "Usage: \(path) COMMAND\n"
        }
        if !command.discussion.isEmpty { text += "\n" + Self.wrap(command.discussion, indent: 0) }
        text += section("Commands", command.subcommands.map { ($0.name, $0.summary) })
        text += section("Arguments", command.positionals.map { ($0.name, $0.summary) })
        text += section("Options", command.options.map(row))
        text += section("Options of every command", (program.commonOptions + [ProgramSpec.help]).map(row))
        return text
    }

    private func row(_ option: OptionSpec) -> (String, String) {
        let short = option.short.map { "-\($0), " } ?? "    "
        var summary = option.summary
        if case .words(let words) = option.kind { summary += " (\(words.joined(separator: ", ")))" }
        return (short + "--" + option.name + (option.value.map { " " + $0 } ?? ""), summary)
    }

    private func section(_ title: String, _ rows: [(String, String)]) -> String {
        guard !rows.isEmpty else { return "" }
        let width = min(28, rows.map { $0.0.count }.max() ?? 0)
        var text = "\n\(title):\n"
        for (left, right) in rows {
            let lines = Self.wrap(right, indent: width + 4)
            // The summary begins beside its name, or below a name that is too long for its column.
            if left.count > width {
                text += "  \(left)\n\(lines)"
            } else {
                text += "  " + left + lines.dropFirst(2 + left.count)
            }
        }
        return text
    }

    private static func wrap(_ text: String, indent: Int) -> String {
        let margin = String(repeating: " ", count: indent)
        var result = ""
        for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
            var line = margin
            for word in paragraph.split(separator: " ") {
                if line.count > indent, line.count + word.count + 1 > 79 {
                    result += line + "\n"
                    line = margin
                }
                line += (line.count > indent ? " " : "") + word
            }
            result += (line == margin ? "" : line) + "\n"
        }
        return result
    }
}
