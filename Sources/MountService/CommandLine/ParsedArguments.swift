/// A command line that was understood.
public struct ParsedArguments: Sendable, Equatable {
    /// The words that lead to the command, for example `["cache", "clear"]`.
    public internal(set) var command: [String]
    /// Arguments by place, in their order.
    public internal(set) var positionals: [String] = []
    var flags: [String: Int] = [:]
    var values: [String: [String]] = [:]
    var names: [String] = []

    init(command: [String]) { self.command = command }

    /// Whether a flag was given.
    public func flag(_ name: String) -> Bool { count(name) > 0 }

    /// How often a flag was given, as in `-vv`.
    public func count(_ name: String) -> Int { flags[name] ?? 0 }

    /// An option's value, the last one where it was given more than once; nil when it was not given.
    public func value(_ name: String) -> String? { values[name]?.last }

    /// Every value of an option in the order given.
    public func allValues(_ name: String) -> [String] { values[name] ?? [] }

    /// An argument by the name that its declaration gives it; nil when it is missing. For one that repeats, the first.
    public func positional(_ name: String) -> String? {
        guard let index = names.firstIndex(of: name), index < positionals.count else { return nil }
        return positionals[index]
    }
}

/// A command line that was not understood (exit status 2).
public struct UsageError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public var message: String
    /// What was perhaps meant, or nil.
    public var suggestion: String?
    /// The command line that shows help.
    public var helpCommand: String

    /// The message, the suggestion and where help is, in lines.
    public var description: String {
        var text = message
        if let suggestion { text += "\nDid you mean \(suggestion)?" }
        return text + "\nSee \(helpCommand)."
    }
}

/// What a command line asks for.
public enum CommandLineOutcome: Sendable, Equatable {
    /// Run a command.
    case run(ParsedArguments)
    /// Print this help and end well.
    case help(String)
    /// Print the version and end well.
    case version
}
