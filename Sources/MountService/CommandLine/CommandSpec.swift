/// What a value stands for, so that a shell can complete it.
public enum ValueKind: Sendable, Equatable {
    /// Nothing that a shell knows.
    case text
    /// A path to a file.
    case file
    /// A path to a directory.
    case directory
    /// One of a few words.
    case words([String])
}

/// An option of a command: `--name`, `-n`, with or without a value.
public struct OptionSpec: Sendable, Equatable {
    /// The long name without dashes.
    public var name: String
    /// The one-letter form, or nil.
    public var short: Character?
    /// The value's name in help, for example `DIR`; nil for a flag.
    public var value: String?
    /// What the value is.
    public var kind: ValueKind
    /// One line of help, without a full stop.
    public var summary: String

    /// A flag: present or not.
    public static func flag(_ name: String, _ short: Character? = nil, _ summary: String) -> OptionSpec {
        OptionSpec(name: name, short: short, value: nil, kind: .text, summary: summary)
    }

    /// An option with a value: `--name V`, `--name=V`, `-n V`, `-nV`. Given twice, the last counts.
    public static func value(
        _ name: String, _ short: Character? = nil, _ value: String, _ summary: String, kind: ValueKind = .text
    ) -> OptionSpec {
        OptionSpec(name: name, short: short, value: value, kind: kind, summary: summary)
    }
}

/// An argument that is known by its place.
public struct PositionalSpec: Sendable, Equatable {
    /// The name in help, for example `STORE`.
    public var name: String
    /// One line of help.
    public var summary: String
    /// Whether it may be missing.
    public var optional: Bool
    /// Whether it takes all that follows; only the last one may.
    public var repeats: Bool
    /// What it is.
    public var kind: ValueKind

    /// An argument by its parts.
    public init(
        _ name: String, _ summary: String, optional: Bool = false, repeats: Bool = false, kind: ValueKind = .text
    ) {
        self.name = name
        self.summary = summary
        self.optional = optional
        self.repeats = repeats
        self.kind = kind
    }

    /// `STORE`, `[DIR]`, `NAME...`.
    var usage: String {
        let text = repeats ? name + "..." : name
        return optional ? "[\(text)]" : text
    }
}

/// A command, or a group of commands, declared: parsing, help and shell completion all come from this.
public struct CommandSpec: Sendable, Equatable {
    /// The word on the command line.
    public var name: String
    /// One line of help, without a full stop.
    public var summary: String
    /// More help below the options; empty for none.
    public var discussion: String
    /// Arguments by place.
    public var positionals: [PositionalSpec]
    /// Its own options, beside the program's common ones.
    public var options: [OptionSpec]
    /// The commands of a group; a group takes no arguments itself.
    public var subcommands: [CommandSpec]

    /// A command by its parts.
    public init(
        name: String, summary: String, discussion: String = "", positionals: [PositionalSpec] = [],
        options: [OptionSpec] = [], subcommands: [CommandSpec] = []
    ) {
        self.name = name
        self.summary = summary
        self.discussion = discussion
        self.positionals = positionals
        self.options = options
        self.subcommands = subcommands
    }
}

/// A whole program: its commands and the options that all of them take.
public struct ProgramSpec: Sendable, Equatable {
    /// The program's name.
    public var name: String
    /// One line of help.
    public var summary: String
    /// Options of every command, accepted before and after its name. `--help` and `--version` need no declaration.
    public var commonOptions: [OptionSpec]
    /// The commands in the order of help.
    public var commands: [CommandSpec]

    /// A program by its parts.
    public init(name: String, summary: String, commonOptions: [OptionSpec], commands: [CommandSpec]) {
        self.name = name
        self.summary = summary
        self.commonOptions = commonOptions
        self.commands = commands
    }

    static let help = OptionSpec.flag("help", "h", "show this help")
    static let version = OptionSpec.flag("version", nil, "show the version")

    /// Every command that can run, with the words that lead to it, groups included.
    var paths: [(words: [String], command: CommandSpec)] {
        func walk(_ commands: [CommandSpec], _ words: [String]) -> [(words: [String], command: CommandSpec)] {
            commands.flatMap { [(words + [$0.name], $0)] + walk($0.subcommands, words + [$0.name]) }
        }
        return walk(commands, [])
    }

    /// What a command takes in all: its own options first.
    func options(of command: CommandSpec) -> [OptionSpec] {
        command.subcommands.isEmpty
            ? command.options + commonOptions + [Self.help] : commonOptions + [Self.help]
    }
}
