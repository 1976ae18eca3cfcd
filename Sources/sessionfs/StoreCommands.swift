import Catalog
import Control
import JSON
import MountService
import Platform
import SessionFormat
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
            let catalog = try catalog(mount.entry.cacheDirectory)
            return try list(Listing(catalog, of: ControlClient(socketPath: mount.entry.socket)), arguments)
        }
        return try list(Listing(try StoreArgument.refreshed(arguments, target).catalog), arguments)
    }

    private static func catalog(_ cacheDirectory: String) throws(MountFailure) -> Catalog {
        do throws(CatalogError) {
            return try Catalog.open(directory: cacheDirectory + "/meta_cache")
        } catch {
            throw MountFailure("catalog: \(error)")
        }
    }

    private static func list(_ listing: Listing, _ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let found = try listing.names()
        if arguments.flag("json") {
            var rows: [JSONValue] = []
            for session in found {
                if let row = try listing.json(session) { rows.append(row) }
            }
            Output.json(.object([("sessions", .array(rows))]))
        } else if arguments.flag("long") {
            for session in found {
                if let line = try listing.line(session) { Output.write(line + "\n") }
            }
        } else {
            Output.write(found.map { Output.plain($0.name) + "\n" }.joined())
        }
        return .done
    }
}

/// The names of a catalog, with the pending changes of a mount laid over them.
private struct Listing {
    typealias Item = (name: String, id: Int64)
    private let catalog: Catalog
    private let client: ControlClient?
    private let changes: [ChangeReport]

    init(_ catalog: Catalog, of client: ControlClient? = nil) {
        self.catalog = catalog
        self.client = client
        // A mount that refuses changes has none, and says so by refusing the question.
        changes = (try? client?.queue())?.changes ?? []
    }

    /// Sorted by bytes.
    func names() throws(MountFailure) -> [Item] {
        let wanted = changes.filter { $0.kind != "remove" }
        let ids = Set(changes.map(\.id))
        let claimed = Set(wanted.map(\.name))
        var found: [Item] = wanted.map { ($0.name, $0.id) }
        do throws(CatalogError) {
            try catalog.scan(after: 0) { row in
                guard !ids.contains(row.id) else { return true }
                let name = row.withFileName { bytes in bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
                if !claimed.contains(name) { found.append((name, row.id)) }
                return true
            }
        } catch {
            throw MountFailure("catalog: \(error)")
        }
        return found.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }

    func json(_ item: Item) throws(MountFailure) -> JSONValue? {
        if let report = try pending(item) { return SessionText.json(report) }
        return try known(item).map { SessionText.json($0, $1) }
    }

    func line(_ item: Item) throws(MountFailure) -> String? {
        if let report = try pending(item) { return SessionText.line(report) }
        return try known(item).map { SessionText.line($0, $1) }
    }

    /// Nil for what the catalog knows better, or when it has been sent meanwhile.
    private func pending(_ item: Item) throws(MountFailure) -> SessionReport? {
        guard let client, changes.contains(where: { $0.id == item.id }) else { return nil }
        return try Daemon.ask { () throws(ControlError) in try client.session(item.name) }
    }

    private func known(_ item: Item) throws(MountFailure) -> (SessionEntry, SessionMetadata?)? {
        do throws(CatalogError) {
            guard let entry = try catalog.entry(id: item.id) else { return nil }
            return (entry, try catalog.metadata(id: entry.id))
        } catch {
            throw MountFailure("catalog: \(error)")
        }
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
