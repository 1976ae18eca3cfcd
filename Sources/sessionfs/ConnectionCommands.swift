import Control
import JSON
import MountService

/// `sessionfs offline on|off DIR`.
enum OfflineCommand {
    private static let directory = PositionalSpec("DIR", "a mounted directory", kind: .directory)
    static let spec = CommandSpec(
        name: "offline", summary: "make no requests; changes wait",
        subcommands: [
            CommandSpec(name: "on", summary: "make no requests from now on", positionals: [directory]),
            CommandSpec(name: "off", summary: "go back to the store and send what waits", positionals: [directory]),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        let offline = arguments.command.last == "on"
        let report = try Daemon.ask { () throws(ControlError) in try client.offline(offline) }
        if arguments.flag("json") {
            Output.json(report.json)
        } else if !arguments.flag("quiet") {
            Output.write(text(report) + "\n")
        }
        return .done
    }

    static func text(_ report: ConnectionReport) -> String {
        let since = report.since.map { " since \(Output.ago($0))" } ?? ""
        return switch report.state {
        case .online: "online"
        case .offline: "offline\(since): \(Output.plain(report.reason ?? "not reachable"))"
        case .forced: "offline\(since), by `sessionfs offline on`"
        }
    }
}

/// `sessionfs limit DIR`.
enum LimitCommand {
    static let spec = CommandSpec(
        name: "limit", summary: "show or set the most bytes per second",
        positionals: [PositionalSpec("DIR", "a mounted directory", kind: .directory)],
        options: [
            .value("upload", nil, "RATE", "send at most this much, for example 2M; 0 lifts the limit"),
            .value("download", nil, "RATE", "fetch at most this much; 0 lifts the limit"),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let wish = LimitsRequest(upload: try rate(arguments, "upload"), download: try rate(arguments, "download"))
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        let report = try Daemon.ask { () throws(ControlError) in
            wish == LimitsRequest() ? try client.status().limits : try client.limits(wish)
        }
        if arguments.flag("json") {
            Output.json(report.json)
        } else if !arguments.flag("quiet") {
            Output.write("upload    \(text(report.upload))\ndownload  \(text(report.download))\n")
        }
        return .done
    }

    private static func rate(_ arguments: ParsedArguments, _ option: String) throws(MountFailure) -> UInt64? {
        guard let text = arguments.value(option) else { return nil }
        guard let rate = Units.rate(text) else {
            throw MountFailure("--\(option) takes a rate in bytes per second, such as 2M, not \(text)", .usage)
        }
        return rate
    }

    static func text(_ rate: UInt64?) -> String { rate.map { Output.size($0) + "/s" } ?? "no limit" }
}
