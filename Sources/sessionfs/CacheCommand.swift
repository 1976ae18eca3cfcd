import Control
import MountService
import Platform

/// `sessionfs cache stats|clear`.
enum CacheCommand {
    private static let target = PositionalSpec("DIR", "a mounted directory", kind: .directory)
    static let spec = CommandSpec(
        name: "cache", summary: "downloaded sessions kept locally",
        subcommands: [
            CommandSpec(name: "stats", summary: "what is kept, and how well it served", positionals: [target]),
            CommandSpec(
                name: "clear", summary: "remove downloaded sessions; open ones stay until they are closed",
                positionals: [target], options: [.flag("all", nil, "pinned sessions too")]),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        if arguments.command.last == "clear" {
            let wish = CacheClearRequest(keepPinned: !arguments.flag("all"))
            let result = try Daemon.ask { () throws(ControlError) in try client.clearCache(wish) }
            if arguments.flag("json") {
                Output.json(result.json)
            } else if !arguments.flag("quiet") {
                Output.write("\(result.bodies) sessions, \(Output.size(result.bytes)) removed\n")
            }
            return .done
        }
        let report = try Daemon.ask { () throws(ControlError) in try client.cache() }
        if arguments.flag("json") {
            Output.json(report.json)
            return .done
        }
        let limit = report.limit.map(Output.size) ?? "no limit"
        Output.write(
            """
            directory   \(report.directory)
            sessions    \(report.bodies), \(Output.size(report.bytes)); limit \(limit)
            pinned      \(report.pinned), \(Output.size(report.pinnedBytes))
            opens       \(report.hits) from the cache, \(report.misses) downloaded
            downloaded  \(Output.size(report.downloadedBytes))

            """)
        return .done
    }
}
