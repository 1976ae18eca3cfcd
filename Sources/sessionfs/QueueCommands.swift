import Control
import JSON
import MountService
import Operations
import Platform

/// `sessionfs flush DIR`.
enum FlushCommand {
    static let spec = CommandSpec(
        name: "flush", summary: "send what is pending and wait until it is in the bucket",
        discussion: "Ends with 3 when something was not sent, and names it.",
        positionals: [PositionalSpec("DIR", "a mounted directory", kind: .directory)],
        options: [.value("timeout", nil, "S", "seconds to wait; default: as long as something moves")])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let timeout = try Seconds.read(arguments.value("timeout"), "--timeout")
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        var progress = ProgressLine(quiet: arguments.flag("quiet") || arguments.flag("json"))
        let result = try Daemon.ask { () throws(ControlError) in
            try client.flush(timeout: timeout) { update in
                progress.show("sending", completed: update.completed, total: update.total, detail: update.message)
            }
        }
        progress.clear()
        if arguments.flag("json") { Output.json(result.json) }
        return Unsent.report(result.unsent)
    }
}

/// How what was not sent is told.
enum Unsent {
    /// Names each on standard error.
    /// - Returns: the command's exit code.
    static func report(_ items: [UnsentItem]) -> ExitCode {
        for item in items { Output.error("not sent: \(Output.plain("\(item.name): \(item.reason)"))") }
        return items.isEmpty ? .done : .unsent
    }
}

/// Seconds on the command line.
enum Seconds {
    static func read(_ text: String?, _ option: String) throws(MountFailure) -> Double? {
        guard let text else { return nil }
        guard let value = Units.seconds(text) else {
            throw MountFailure("\(option) takes a number of seconds, not \(text)", .usage)
        }
        return value
    }
}

/// `sessionfs queue list|remove|clear|retry`.
enum QueueCommand {
    private static let directory = PositionalSpec("DIR", "a mounted directory", kind: .directory)
    static let spec = CommandSpec(
        name: "queue", summary: "changes that are not in the bucket yet",
        subcommands: [
            CommandSpec(
                name: "list", summary: "every change, oldest first, and why it waits", positionals: [directory]),
            CommandSpec(
                name: "remove", summary: "give up the change of a file; its contents are kept aside",
                positionals: [directory, PositionalSpec("NAME", "the file's name")]),
            CommandSpec(
                name: "clear", summary: "give up all changes that wait to be sent; contents are kept aside",
                positionals: [directory]),
            CommandSpec(name: "retry", summary: "try again what failed or was refused", positionals: [directory]),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        switch arguments.command.last {
        case "remove":
            let name = Files.lastComponent(arguments.positional("NAME") ?? "")
            return tell(try Daemon.ask { () throws(ControlError) in try client.discard(name) }, arguments)
        case "clear":
            return tell(try Daemon.ask { () throws(ControlError) in try client.clearQueue() }, arguments)
        case "retry":
            let summary = try Daemon.ask { () throws(ControlError) in try client.retryQueue() }
            if arguments.flag("json") {
                Output.json(summary.json)
            } else if !arguments.flag("quiet") {
                Output.write("\(summary.pending) pending\n")
            }
            return .done
        default:
            let report = try Daemon.ask { () throws(ControlError) in try client.queue() }
            if arguments.flag("json") {
                Output.json(report.json)
            } else {
                Output.write(report.changes.map { line($0) + "\n" }.joined())
            }
            return .done
        }
    }

    /// What became of changes that were given up; one that stays makes the command fail.
    private static func tell(_ result: DiscardResult, _ arguments: ParsedArguments) -> ExitCode {
        if arguments.flag("json") { Output.json(result.json) }
        for item in result.items {
            let name = Output.plain(item.name)
            if let problem = item.problem {
                Output.error("sessionfs: \(name) stays: \(Output.plain(problem))")
            } else if !arguments.flag("json"), !arguments.flag("quiet") {
                Output.write("\(name)\(item.kept.map { ": contents kept in \($0)" } ?? "")\n")
            }
        }
        return result.items.contains { $0.problem != nil } ? .failed : .done
    }

    private static func line(_ change: ChangeReport) -> String {
        var text = "\(change.state) \(change.kind) \(Output.plain(change.name))"
        if change.kind == "rename", let old = change.remoteName { text += " (was \(Output.plain(old)))" }
        if let size = change.size { text += " \(Output.size(size))" }
        if let percent = change.percent { text += " \(percent) %" }
        text += ", \(Output.ago(change.changed))"
        return change.reason.isEmpty ? text : text + " - " + Output.plain(change.reason)
    }
}

/// `sessionfs batch begin|commit|cancel`.
enum BatchCommand {
    private static let directory = PositionalSpec("DIR", "a mounted directory", kind: .directory)
    static let spec = CommandSpec(
        name: "batch", summary: "hold changes back and send them together",
        subcommands: [
            CommandSpec(
                name: "begin", summary: "hold back the changes made from now on", positionals: [directory]),
            CommandSpec(name: "commit", summary: "let them be sent", positionals: [directory]),
            CommandSpec(
                name: "cancel", summary: "give them up; contents are kept aside", positionals: [directory]),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        let action = arguments.command.last.flatMap(BatchRequest.Action.init) ?? .begin
        let result = try Daemon.ask { () throws(ControlError) in try client.batch(action) }
        if arguments.flag("json") {
            Output.json(result.json)
        } else if !arguments.flag("quiet") {
            switch action {
            case .begin: Output.write("batch \(result.batch) begun\n")
            case .commit: Output.write("\(result.changes) changes are sent\n")
            case .cancel: Output.write("\(result.changes) changes given up\n")
            }
        }
        return .done
    }
}
