import Catalog
import Control
import Glibc
import JSON
import MountService
import ObjectStore
import Platform
import SampleStore
import Sync

/// The STORE argument: a URL, a section's name, or a mounted directory.
enum StoreArgument {
    static func settings(_ arguments: ParsedArguments, _ store: String?) throws(MountFailure) -> StoreSettings {
        do throws(ConfigurationError) {
            let resolved = try Configuration.resolve(SettingsRequest(store: store, arguments: arguments))
            for warning in resolved.warnings where !arguments.flag("quiet") { Output.error("sessionfs: \(warning)") }
            return resolved.settings
        } catch {
            throw MountFailure(error.description, .usage)
        }
    }

    /// Opens a store and brings its catalog up to date, unless `--offline` asks for what is known.
    static func refreshed(
        _ arguments: ParsedArguments, _ store: String?, _ mode: Sync.RefreshMode = .tail
    ) throws(MountFailure) -> StoreView {
        let view = try StoreView(try settings(arguments, store))
        guard !arguments.flag("offline") else { return view }
        let line = Guarded(ProgressLine(quiet: arguments.flag("quiet") || arguments.flag("json")))
        _ = try waitFor { () async throws(MountFailure) in
            try await view.refresh(mode) { completed, total, phase in
                line.withLock {
                    $0.show("reading \(view.settings.location.url):", completed: completed, total: total, detail: phase)
                }
            }
        }
        line.withLock { $0.clear() }
        return view
    }
}

/// `sessionfs ls STORE|DIR`.
enum ListCommand {
    static let spec = CommandSpec(
        name: "ls", summary: "list the sessions of a bucket or mount",
        positionals: [PositionalSpec("STORE|DIR", "a bucket, or a mounted directory", kind: .directory)],
        options: [
            .flag("long", "l", "size, date, class, colour, images and tags too"),
            .flag("offline", nil, "make no request: list what the catalog knows"),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let target = arguments.positional("STORE|DIR") ?? "."
        if let mount = try? MountRegistry().find(containing: target) {
            return try list(try catalog(mount.entry.cacheDirectory), arguments)
        }
        return try list(try StoreArgument.refreshed(arguments, target).catalog, arguments)
    }

    private static func catalog(_ cacheDirectory: String) throws(MountFailure) -> Catalog {
        do throws(CatalogError) {
            return try Catalog.open(directory: cacheDirectory + "/meta_cache")
        } catch {
            throw MountFailure("catalog: \(error)")
        }
    }

    private static func list(_ catalog: Catalog, _ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        do throws(CatalogError) {
            var found: [(name: String, id: Int64)] = []
            try catalog.scan(after: 0) { row in
                found.append(
                    (
                        row.withFileName { bytes in bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } },
                        row.id
                    ))
                return true
            }
            found.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            if arguments.flag("json") {
                var rows: [JSONValue] = []
                for session in found {
                    guard let entry = try catalog.entry(id: session.id) else { continue }
                    rows.append(SessionText.json(entry, try catalog.metadata(id: entry.id)))
                }
                Output.json(.object([("sessions", .array(rows))]))
            } else if arguments.flag("long") {
                for session in found {
                    guard let entry = try catalog.entry(id: session.id) else { continue }
                    Output.write(SessionText.line(entry, try catalog.metadata(id: entry.id)) + "\n")
                }
            } else {
                Output.write(found.map { Output.plain($0.name) + "\n" }.joined())
            }
        } catch {
            throw MountFailure("catalog: \(error)")
        }
        return .done
    }
}

/// `sessionfs info FILE|NAME`.
enum InfoCommand {
    static let spec = CommandSpec(
        name: "info", summary: "show what is known of a session, without downloading it",
        positionals: [PositionalSpec("FILE|NAME", "a file in a mount, or a session's name", kind: .file)],
        options: [
            .value("store", nil, "STORE", "look for NAME in this bucket instead of the mounts"),
            .flag("offline", nil, "with --store: make no request"),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let target = arguments.positional("FILE|NAME") ?? ""
        let name = Files.lastComponent(target)
        if let store = arguments.value("store") {
            let view = try StoreArgument.refreshed(arguments, store)
            guard let entry = try view.entry(named: name) else { throw MountFailure("no such session: \(name)") }
            do throws(CatalogError) {
                let metadata = try view.catalog.metadata(id: entry.id)
                arguments.flag("json")
                    ? Output.json(SessionText.json(entry, metadata)) : Output.write(SessionText.block(entry, metadata))
            } catch {
                throw MountFailure("catalog: \(error)")
            }
            return .done
        }
        let mounts: [MountEntry]
        do throws(SystemError) {
            if let holder = try MountRegistry().find(containing: target) {
                mounts = [holder.entry]
            } else {
                mounts = try MountRegistry().list()
            }
        } catch {
            throw MountFailure("\(error)", .denied)
        }
        for mount in mounts {
            let client = ControlClient(socketPath: mount.socket)
            guard let report = try Daemon.ask({ () throws(ControlError) in try client.session(name) }) else { continue }
            arguments.flag("json") ? Output.json(report.json) : Output.write(SessionText.block(report))
            return .done
        }
        throw MountFailure(
            mounts.isEmpty ? "nothing is mounted; --store looks in a bucket" : "no such session: \(name)")
    }
}

/// `sessionfs get STORE NAME`.
enum GetCommand {
    static let spec = CommandSpec(
        name: "get", summary: "download a session, verified",
        positionals: [PositionalSpec("STORE", "the bucket"), PositionalSpec("NAME", "the session's name")],
        options: [
            .value("output", "o", "FILE", "where to; `-` is standard output; default: its name, here", kind: .file)
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let view = try StoreArgument.refreshed(arguments, arguments.positional("STORE"))
        let name = arguments.positional("NAME") ?? ""
        guard let entry = try view.entry(named: Files.lastComponent(name)) else {
            throw MountFailure("no such session: \(name)")
        }
        let target = arguments.value("output") ?? entry.fileName
        var progress = ProgressLine(quiet: arguments.flag("quiet"))
        var done: UInt64 = 0
        func advance(_ count: Int) {
            done += UInt64(count)
            progress.show(Output.plain(entry.fileName), completed: done, total: entry.size)
        }
        if target == "-" {
            let output = FileDescriptor(owning: dup(1), path: "standard output")
            try view.read(entry) { bytes throws(MountFailure) in
                do throws(SystemError) { try output.append(bytes) } catch { throw MountFailure("\(error)") }
                advance(bytes.count)
            }
        } else {
            try save(view, entry, target, advance)
        }
        progress.clear()
        return .done
    }

    /// Writes beside the target and renames, so that a failed download leaves nothing that looks whole.
    private static func save(
        _ view: StoreView, _ entry: SessionEntry, _ target: String, _ advance: (Int) -> Void
    ) throws(MountFailure) {
        let temporary = Files.temporaryPath(beside: target)
        do throws(MountFailure) {
            let file = try local { () throws(SystemError) in
                try FileDescriptor.open(temporary, [.write, .exclusive], permissions: 0o644)
            }
            var offset: UInt64 = 0
            try view.read(entry) { bytes throws(MountFailure) in
                try local { () throws(SystemError) in try file.write(bytes, at: offset) }
                offset += UInt64(bytes.count)
                advance(bytes.count)
            }
            try local { () throws(SystemError) in
                try file.synchronize()
                try Files.rename(temporary, to: target)
            }
        } catch {
            try? Files.remove(temporary)
            throw error
        }
    }

    private static func local<Result>(_ body: () throws(SystemError) -> Result) throws(MountFailure) -> Result {
        do throws(SystemError) { return try body() } catch { throw MountFailure("\(error)") }
    }
}

/// `sessionfs demo DIR`.
enum DemoCommand {
    static let spec = CommandSpec(
        name: "demo", summary: "make a directory store of sample sessions",
        positionals: [PositionalSpec("DIR", "a new or empty directory", kind: .directory)],
        options: [
            .value("count", nil, "N", "how many sessions; default 40"),
            .value("key", nil, "KEY", "a FastShot key to obfuscate them with; default none"),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let directory = Files.absolute(arguments.positional("DIR") ?? "")
        var count = 40
        if let text = arguments.value("count") {
            guard let number = Int(text), (1...100_000).contains(number) else {
                throw MountFailure("--count takes a number from 1 to 100000, not \(text)", .usage)
            }
            count = number
        }
        let key = arguments.value("key")
        if let names = try? Files.names(in: directory), !names.isEmpty {
            throw MountFailure("\(directory) is not empty")
        }
        do throws(SystemError) { try Files.makeDirectories(directory, permissions: 0o700) } catch {
            throw MountFailure("\(error)", .denied)
        }
        let sessions = count
        let summary = try waitFor { () async throws(MountFailure) in
            do throws(StoreError) {
                return try await SampleStore.generate(
                    into: LocalDirectoryStore(directory: directory), count: sessions, key: key)
            } catch {
                throw MountFailure("\(error)")
            }
        }
        if arguments.flag("json") {
            Output.json(
                .object([
                    ("store", .string("file://" + directory)), ("sessions", .integer(Int64(summary.sessions))),
                    ("bytes", .integer(Int64(summary.bytes))),
                ]))
        } else if !arguments.flag("quiet") {
            Output.write(
                "\(summary.sessions) sample sessions, \(Output.size(summary.bytes)), in file://\(directory)\n")
        }
        return .done
    }
}
