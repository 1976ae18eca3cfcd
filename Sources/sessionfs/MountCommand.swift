import Control
import Glibc
import MountService
import Platform

/// `sessionfs mount STORE DIR`.
enum MountCommand {
    static let spec = CommandSpec(
        name: "mount", summary: "mount a bucket; returns when the mount answers",
        discussion: """
            STORE is s3://bucket[/prefix], file:///dir, or the name of a [store "name"] section. Changes are \
            kept here and sent to the bucket. Mount options (-o) take the settings of the configuration file, as in -o cache_max=2G, \
            allow_other, and options for the kernel, as nosuid or noatime.
            """,
        positionals: [
            PositionalSpec("STORE", "the bucket", kind: .text),
            PositionalSpec("DIR", "an existing directory", kind: .directory),
        ],
        options: SettingsRequest.mountOnlyOptions + [
            .flag("foreground", "f", "stay in the foreground and log to the terminal"),
            .flag("no-passthrough", nil, "read cached sessions through the daemon even where the kernel could do it"),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let settings = try StoreArgument.settings(arguments, arguments.positional("STORE"))
        guard let directory = arguments.positional("DIR") else { throw MountFailure("DIR is missing", .usage) }
        let mountpoint = MountRegistry.resolve(directory)
        if !arguments.flag("foreground"), !Background.isChild {
            return try startInBackground(settings, mountpoint, quiet: arguments.flag("quiet"))
        }
        return try serve(settings, mountpoint, passthrough: !arguments.flag("no-passthrough"), arguments)
    }

    private static func startInBackground(
        _ settings: StoreSettings, _ mountpoint: String, quiet: Bool
    ) throws(MountFailure) -> ExitCode {
        // The child parses the same words; relative paths hold, for it keeps the working directory.
        let arguments = Array(CommandLine.arguments.dropFirst())
        var line = ProgressLine(quiet: quiet)
        let report = try Background.start(arguments, logPath: settings.stateDirectory + "/daemon.log") { look in
            // A look that takes no time needs no line.
            guard look.seconds > 0.5 else { return }
            line.show(
                "\(settings.location.url): \(look.step)", completed: look.completed, total: look.total)
        }
        line.clear()
        if report.exitCode != .done {
            throw MountFailure(report.message, report.exitCode)
        }
        if !quiet, !report.message.isEmpty { Output.error(report.message) }
        return .done
    }

    private static func serve(
        _ settings: StoreSettings, _ mountpoint: String, passthrough: Bool, _ arguments: ParsedArguments
    ) throws(MountFailure) -> ExitCode {
        if !arguments.flag("quiet"), arguments.count("verbose") == 0 { Log.level = settings.logLevel }
        Signals.block(Signals.termination)
        umask(0o077)
        do throws(MountFailure) {
            let plan = try MountPlan(settings, mountpoint: mountpoint, passthrough: passthrough)
            return try MountDaemon.run(plan, progress: { Background.report($0) }) { entry, warning in
                if !warning.isEmpty { Log("mount").warning(warning) }
                Background.report(warning.isEmpty ? "" : "sessionfs: " + warning, .done)
                Log("mount").info("mounted", ["store": entry.store, "mountpoint": entry.mountpoint])
            }
        } catch {
            Background.report(error.description, error.exitCode)
            throw error
        }
    }
}
