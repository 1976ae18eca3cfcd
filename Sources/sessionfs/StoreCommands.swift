import Catalog
import Control
import JSON
import MountService
import Platform
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
