import MountService
import Platform

/// The command line of sessionfs: its declarations, and what runs for each.
enum Program {
    static let spec = ProgramSpec(
        name: "sessionfs",
        summary: "FastShot sessions in a bucket, as files",
        commonOptions: SettingsRequest.commonOptions + [
            .flag("json", nil, "print JSON"),
            .flag("quiet", "q", "print errors only"),
            .flag("verbose", "v", "log more; twice for everything"),
        ],
        commands: [
            MountCommand.spec, UnmountCommand.spec, StatusCommand.spec, RefreshCommand.spec, FlushCommand.spec,
            ListCommand.spec, InfoCommand.spec, GetCommand.spec, CheckCommand.spec, QueueCommand.spec,
            ConflictsCommand.spec, OfflineCommand.spec, BatchCommand.spec, LimitCommand.spec, CacheCommand.spec,
            OperationsCommand.spec, DemoCommand.spec, CompletionCommand.spec,
        ])

    /// Runs a command line and returns its exit code.
    static func run(_ arguments: [String]) -> ExitCode {
        let outcome: CommandLineOutcome
        do throws(UsageError) {
            outcome = try spec.parse(arguments)
        } catch {
            Output.error(error.description)
            return .usage
        }
        switch outcome {
        case .help(let text):
            Output.write(text)
            return .done
        case .version:
            Output.write("sessionfs \(Version.current)\n")
            return .done
        case .run(let parsed):
            switch parsed.count("verbose") {
            case 0: break
            case 1: Log.level = .info
            default: Log.level = .debug
            }
            if parsed.flag("quiet") { Log.level = .error }
            do throws(MountFailure) {
                return try dispatch(parsed)
            } catch {
                Output.error("sessionfs: \(error.description)")
                return error.exitCode
            }
        }
    }

    private static func dispatch(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        switch arguments.command.first {
        case "mount": try MountCommand.run(arguments)
        case "unmount": try UnmountCommand.run(arguments)
        case "status": try StatusCommand.run(arguments)
        case "refresh": try RefreshCommand.run(arguments)
        case "flush": try FlushCommand.run(arguments)
        case "queue": try QueueCommand.run(arguments)
        case "conflicts": try ConflictsCommand.run(arguments)
        case "offline": try OfflineCommand.run(arguments)
        case "batch": try BatchCommand.run(arguments)
        case "limit": try LimitCommand.run(arguments)
        case "ls": try ListCommand.run(arguments)
        case "info": try InfoCommand.run(arguments)
        case "get": try GetCommand.run(arguments)
        case "check": try CheckCommand.run(arguments)
        case "cache": try CacheCommand.run(arguments)
        case "ops": try OperationsCommand.run(arguments)
        case "demo": try DemoCommand.run(arguments)
        default: try CompletionCommand.run(arguments)
        }
    }
}
