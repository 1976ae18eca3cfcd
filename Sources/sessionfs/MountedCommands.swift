import Control
import JSON
import MountService
import Operations
import Platform

/// Finds the daemon of a mounted directory.
enum Daemon {
    /// The client of the daemon whose mount a path is in.
    /// - Throws: when no sessionfs is mounted there.
    static func client(_ path: String, timeout: Double = 30) throws(MountFailure) -> (MountEntry, ControlClient) {
        let found: (entry: MountEntry, relativePath: String)?
        do throws(SystemError) { found = try MountRegistry().find(containing: path) } catch {
            throw MountFailure(error.description, .denied)
        }
        guard let found else { throw MountFailure("no sessionfs of yours is mounted at \(path)") }
        return (found.entry, ControlClient(socketPath: found.entry.socket, timeout: timeout))
    }

    /// Asks a daemon something; its refusal becomes the command's.
    static func ask<Answer>(_ body: () throws(ControlError) -> Answer) throws(MountFailure) -> Answer {
        do throws(ControlError) {
            return try body()
        } catch {
            throw MountFailure(error.description, exitCode(error))
        }
    }

    private static func exitCode(_ error: ControlError) -> ExitCode {
        guard case .problem(let problem) = error else {
            if case .denied = error { return .denied }
            return .failed
        }
        return switch problem.code {
        case "unreachable", "offline", "temporary", "throttled": .unreachable
        case "unauthenticated", "forbidden": .denied
        default: .failed
        }
    }
}

/// `sessionfs status [DIR]`.
enum StatusCommand {
    static let spec = CommandSpec(
        name: "status", summary: "show mounts: sessions, freshness, cache, downloads, errors",
        positionals: [
            PositionalSpec("DIR", "a mounted directory; all mounts without it", optional: true, kind: .directory)
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        if let directory = arguments.positional("DIR") {
            let client = try Daemon.client(directory).1
            let report = try Daemon.ask { () throws(ControlError) in try client.status() }
            if arguments.flag("json") { Output.json(report.json) } else { Output.write(text(report)) }
            return .done
        }
        let mounts: [MountEntry]
        do throws(SystemError) { mounts = try MountRegistry().list() } catch { throw MountFailure("\(error)", .denied) }
        var reports: [StatusReport] = []
        for mount in mounts {
            let client = ControlClient(socketPath: mount.socket)
            reports.append(try Daemon.ask { () throws(ControlError) in try client.status() })
        }
        if arguments.flag("json") {
            Output.json(.object([("mounts", .array(reports.map(\.json)))]))
        } else if reports.isEmpty {
            Output.write("nothing is mounted\n")
        } else {
            Output.write(reports.map(text).joined(separator: "\n"))
        }
        return .done
    }

    private static func text(_ report: StatusReport) -> String {
        var lines = [
            "\(report.mountpoint)  \(report.store)  \(report.phase.rawValue)\(report.readOnly ? ", read-only" : "")",
            "  sessions   \(report.sessions.count) (\(Output.size(report.sessions.bytes))), metadata of "
                + "\(report.sessions.indexed) known",
        ]
        if report.sessions.rejected > 0 {
            lines.append("  not shown  \(report.sessions.rejected) names that cannot be files: `sessionfs check`")
        }
        let seen = report.freshness.lastSuccess.map { "as of \(Output.ago($0))" } ?? "the bucket was not seen yet"
        lines.append("  freshness  \(seen)\(report.freshness.online ? "" : ", store not reachable")")
        if let error = report.freshness.lastError { lines.append("             last error: \(Output.plain(error))") }
        let limit = report.cache.limit.map { " of \(Output.size($0))" } ?? ""
        lines.append(
            "  cache      \(report.cache.bodies) bodies, \(Output.size(report.cache.bytes))\(limit); "
                + "\(report.cache.hits) hits, \(report.cache.misses) misses")
        if let queue = report.queue { lines += text(queue) }
        if report.connection.state != .online { lines.append("  connection " + OfflineCommand.text(report.connection)) }
        if report.limits != LimitsReport() {
            lines.append(
                "  limits     upload \(LimitCommand.text(report.limits.upload)), download "
                    + LimitCommand.text(report.limits.download))
        }
        if let conditions = report.conditions { lines += text(conditions) }
        for operation in report.operations { lines.append("  running    " + OperationsCommand.line(operation)) }
        for notice in report.errors.prefix(5) {
            lines.append(
                "  error      \(Output.ago(notice.time)): \(Output.plain("\(notice.subject): \(notice.message)"))")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension StatusCommand {
    private static func text(_ queue: QueueSummary) -> [String] {
        var parts: [String] = []
        if queue.pending > 0 { parts.append("\(queue.pending) pending (\(Output.size(queue.pendingBytes)))") }
        if queue.running > 0 { parts.append("\(queue.running) being sent") }
        if queue.failed > 0 { parts.append("\(queue.failed) failed") }
        if queue.refused > 0 { parts.append("\(queue.refused) refused") }
        if queue.local > 0 { parts.append("\(queue.local) local only") }
        var lines = ["  changes    " + (parts.isEmpty ? "all sent" : parts.joined(separator: ", "))]
        if let batch = queue.batch { lines.append("  batch      \(batch) is open: changes are held back") }
        if queue.conflicts > 0 {
            lines.append("  conflicts  \(queue.conflicts): `sessionfs conflicts list`")
        }
        return lines
    }

    /// What the server does not honour.
    private static func text(_ conditions: ConditionsReport) -> [String] {
        var missing: [String] = []
        if !conditions.ifAbsent { missing.append("new objects") }
        if !conditions.ifMatch { missing.append("replacing") }
        if !conditions.deleteIfMatch { missing.append("removing") }
        guard !missing.isEmpty else { return [] }
        return ["  store      honours no conditions for \(missing.joined(separator: ", ")): looks before and after"]
    }
}

/// `sessionfs refresh DIR`.
enum RefreshCommand {
    static let spec = CommandSpec(
        name: "refresh", summary: "look at the bucket now and show what changed",
        positionals: [PositionalSpec("DIR", "a mounted directory", kind: .directory)])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        var progress = ProgressLine(quiet: arguments.flag("quiet") || arguments.flag("json"))
        let result = try Daemon.ask { () throws(ControlError) in
            try client.refresh(.full) { update in
                progress.show("refreshing", completed: update.completed, total: update.total, detail: update.message)
            }
        }
        progress.clear()
        if arguments.flag("json") {
            Output.json(result.json)
        } else if !arguments.flag("quiet") {
            Output.write(
                "\(result.added) new, \(result.removed) gone, \(result.changed) changed; \(result.requests) requests\n")
        }
        return .done
    }
}

/// `sessionfs unmount DIR`.
enum UnmountCommand {
    static let spec = CommandSpec(
        name: "unmount", summary: "send what is pending, unmount, and clean the cache",
        discussion: """
            Ends with 3 when something was not sent, and names it: it is kept, and sent by the next mount. A mount \
            whose daemon was killed is cleared too.
            """,
        positionals: [PositionalSpec("DIR", "the mounted directory", kind: .directory)],
        options: [
            .value(
                "timeout", nil, "S",
                "seconds to send, and to wait for a directory that is in use; default: as long as something moves, and 10"
            ),
            .flag("keep-cache", nil, "keep downloaded sessions"),
            .flag("purge", nil, "remove downloaded sessions and the catalog"),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let directory = arguments.positional("DIR") ?? "."
        let timeout = try Seconds.read(arguments.value("timeout"), "--timeout")
        if arguments.flag("keep-cache"), arguments.flag("purge") {
            throw MountFailure("--keep-cache and --purge exclude each other", .usage)
        }
        let target = MountRegistry.resolve(directory)
        let entry: MountEntry?
        do throws(SystemError) { entry = try MountRegistry().find(mountpoint: target) } catch {
            throw MountFailure("\(error)", .denied)
        }
        guard let entry else { return try clearStale(target) }
        let policy: UnmountPolicy? = arguments.flag("keep-cache") ? .keep : arguments.flag("purge") ? .purge : nil
        var progress = ProgressLine(quiet: arguments.flag("quiet") || arguments.flag("json"))
        let result = try Daemon.ask { () throws(ControlError) in
            try ControlClient(socketPath: entry.socket).stop(StopRequest(policy: policy, timeout: timeout)) { update in
                progress.show(update.phase, completed: update.completed, total: update.total, detail: update.message)
            }
        }
        progress.clear()
        if arguments.flag("json") {
            Output.json(result.json)
        } else if !arguments.flag("quiet"), result.freedBytes > 0 {
            Output.write("unmounted; \(Output.size(result.freedBytes)) of cached sessions removed\n")
        }
        return Unsent.report(result.unsent)
    }

    /// Nobody answers for the directory: a killed daemon's mount is cleared, anything else is not ours.
    private static func clearStale(_ target: String) throws(MountFailure) -> ExitCode {
        guard let mount = MountTable.entry(at: target), mount.type == "fuse.sessionfs" else {
            throw MountFailure("no sessionfs is mounted at \(target)")
        }
        do throws(SystemError) { try StaleMount.clear(target) } catch {
            throw MountFailure("\(error)", .denied)
        }
        return .done
    }
}

/// `sessionfs ops list|show|cancel`.
enum OperationsCommand {
    private static let directory = PositionalSpec("DIR", "a mounted directory", kind: .directory)
    private static let id = PositionalSpec("ID", "an operation's number")
    static let spec = CommandSpec(
        name: "ops", summary: "work in the background: downloads, refreshes",
        subcommands: [
            CommandSpec(name: "list", summary: "running operations, then ended ones", positionals: [directory]),
            CommandSpec(name: "show", summary: "one operation", positionals: [directory, id]),
            CommandSpec(name: "cancel", summary: "ask an operation to stop", positionals: [directory, id]),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let client = try Daemon.client(arguments.positional("DIR") ?? ".").1
        let found: [OperationSnapshot]
        if arguments.command.last == "list" {
            found = try Daemon.ask { () throws(ControlError) in try client.operations() }
            if arguments.flag("json") { Output.json(.object([("operations", .array(found.map(\.json)))])) }
        } else {
            guard let id = arguments.positional("ID").flatMap({ UInt64($0) }) else {
                throw MountFailure("an operation's number is needed; `sessionfs ops list` shows them", .usage)
            }
            let cancels = arguments.command.last == "cancel"
            let one = try Daemon.ask { () throws(ControlError) in
                try cancels ? client.cancelOperation(id) : client.operation(id)
            }
            found = [one]
            if arguments.flag("json") { Output.json(one.json) }
        }
        if !arguments.flag("json") { Output.write(found.map { line($0) + "\n" }.joined()) }
        return .done
    }

    static func line(_ operation: OperationSnapshot) -> String {
        var text =
            "\(operation.id) \(operation.kind.rawValue) \(operation.state.rawValue) \(Output.plain(operation.subject))"
        if let total = operation.total, total > 0 {
            text +=
                operation.kind == .download
                ? " \(Output.size(operation.completed)) of \(Output.size(total))" : " \(operation.completed)/\(total)"
        }
        return operation.message.isEmpty ? text : text + " - " + Output.plain(operation.message)
    }
}
