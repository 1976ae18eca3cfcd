import Control
import JSON
import MountService

/// `sessionfs conflicts list|show|resolve`.
enum ConflictsCommand {
    private static let directory = PositionalSpec("DIR", "a mounted directory", kind: .directory)
    private static let id = PositionalSpec("ID", "a conflict's number")
    private static let ids = PositionalSpec("ID", "a conflict's number, or all for all that wait for a decision")
    static let spec = CommandSpec(
        name: "conflicts", summary: "sessions that were changed here and elsewhere",
        subcommands: [
            CommandSpec(
                name: "list", summary: "conflicts that wait for a decision", positionals: [directory],
                options: [.flag("all", nil, "decided ones too")]),
            CommandSpec(name: "show", summary: "one conflict", positionals: [directory, id]),
            CommandSpec(
                name: "resolve", summary: "decide a conflict",
                discussion: """
                    mine: this machine's version replaces the bucket's. theirs: the bucket's stays, this machine's is \
                    kept aside. both: this machine's is sent under the name by which it is shown.
                    """,
                positionals: [
                    directory, ids,
                    PositionalSpec(
                        "CHOICE", "mine, theirs or both",
                        kind: .words(ResolveRequest.Choice.allCases.map(\.rawValue))),
                ]),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        if arguments.command.last == "list" {
            let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
            let all = arguments.flag("all")
            let found = try Daemon.ask { () throws(ControlError) in try client.conflicts(includingDecided: all) }
            if arguments.flag("json") {
                Output.json(found.json)
            } else {
                Output.write(found.conflicts.map { line($0) + "\n" }.joined())
            }
            return .done
        }
        var choice: ResolveRequest.Choice?
        if arguments.command.last == "resolve" {
            choice = arguments.positional("CHOICE").flatMap(ResolveRequest.Choice.init)
            guard choice != nil else { throw MountFailure("the choice is one of mine, theirs, both", .usage) }
        }
        if let choice, arguments.positional("ID") == "all" { return try resolveAll(choice, arguments) }
        guard let id = arguments.positional("ID").flatMap({ Int64($0) }) else {
            throw MountFailure("a conflict's number is needed; `sessionfs conflicts list` shows them", .usage)
        }
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        let wanted = choice
        let report = try Daemon.ask { () throws(ControlError) in
            if let wanted { return try client.resolve(id, wanted) }
            return try client.conflict(id)
        }
        if arguments.flag("json") {
            Output.json(report.json)
        } else if choice == nil || !arguments.flag("quiet") {
            Output.write(block(report))
        }
        return .done
    }

    /// Decides all conflicts that wait, each on its own: what one of them meets does not hold up the others.
    private static func resolveAll(
        _ choice: ResolveRequest.Choice, _ arguments: ParsedArguments
    ) throws(MountFailure) -> ExitCode {
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        let pending = try Daemon.ask { () throws(ControlError) in try client.conflicts() }.conflicts
        var decided: [ConflictReport] = []
        var failure: MountFailure?
        for conflict in pending {
            do throws(MountFailure) {
                decided.append(
                    try Daemon.ask { () throws(ControlError) in try client.resolve(conflict.id, choice) })
            } catch {
                Output.error("conflict \(conflict.id), \(Output.plain(conflict.name)): \(error.description)")
                failure = error
            }
        }
        if arguments.flag("json") {
            Output.json(ConflictList(conflicts: decided).json)
        } else if !arguments.flag("quiet") {
            Output.write("\(decided.count) of \(pending.count) conflicts decided\n")
        }
        return failure?.exitCode ?? .done
    }

    private static func line(_ conflict: ConflictReport) -> String {
        var text = "\(conflict.id) \(kind(conflict.kind)): \(Output.plain(conflict.name))"
        if let name = conflict.localName, conflict.decided == nil { text += ", yours is \(Output.plain(name))" }
        if let choice = conflict.choice {
            text += ", \(choice) by \(conflict.decidedBy ?? "user") \(Output.ago(conflict.decided ?? conflict.opened))"
        } else {
            text += ", \(Output.ago(conflict.opened))"
        }
        return text
    }

    private static func block(_ conflict: ConflictReport) -> String {
        var facts = [
            ("conflict", "\(conflict.id), \(kind(conflict.kind))"), ("file", conflict.name),
            ("noticed", Output.local(conflict.opened)),
            ("expected", version(conflict.expected)), ("found", version(conflict.found)),
        ]
        if let name = conflict.localName { facts.append(("yours", name)) }
        if let choice = conflict.choice {
            facts.append(("decided", "\(choice) by \(conflict.decidedBy ?? "user")"))
        } else {
            facts.append(("decided", "not yet: `sessionfs conflicts resolve DIR \(conflict.id) mine|theirs|both`"))
        }
        if let kept = conflict.kept { facts.append(("kept in", kept)) }
        return facts.map { key, value in
            key + String(repeating: " ", count: 10 - key.utf8.count) + Output.plain(value) + "\n"
        }.joined()
    }

    private static func version(_ version: ConflictReport.Version?) -> String {
        guard let version else { return "nothing" }
        var text = Output.size(version.size)
        if let etag = version.etag { text += ", tag \(etag)" }
        if let modified = version.modified { text += ", written \(Output.local(modified))" }
        return text
    }

    private static func kind(_ word: String) -> String {
        switch word {
        case "created": "made here and there"
        case "edited": "edited here and there"
        case "edited_removed": "edited here, removed there"
        case "removed_edited": "removed here, edited there"
        case "renamed": "renamed here, changed there"
        default: word
        }
    }
}
