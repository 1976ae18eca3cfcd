import Catalog
import Glibc
import JSON
import MountService
import Platform
import SessionFormat

/// `sessionfs get STORE NAME`.
enum GetCommand {
    static let spec = CommandSpec(
        name: "get", summary: "download a session, verified",
        positionals: [PositionalSpec("STORE", "the bucket"), PositionalSpec("NAME", "the session's name")],
        options: [
            .value("output", "o", "FILE", "where to; `-` is standard output; default: its name, here", kind: .file),
            .flag("decode", nil, "write the session's JSON instead of the file as it is in the bucket"),
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let view = try StoreArgument.refreshed(arguments, arguments.positional("STORE"))
        let name = arguments.positional("NAME") ?? ""
        guard let entry = try view.entry(named: Files.lastComponent(name)) else {
            throw MountFailure("no such session: \(name)")
        }
        var progress = ProgressLine(quiet: arguments.flag("quiet"))
        var done: UInt64 = 0
        func advance(_ count: Int) {
            done += UInt64(count)
            progress.show(Output.plain(entry.fileName), completed: done, total: entry.size)
        }
        defer { progress.clear() }
        if arguments.flag("decode") {
            let json = try decoded(view, entry, advance)
            let stem = entry.fileName.hasSuffix(".fastshot") ? String(entry.fileName.dropLast(9)) : entry.fileName
            try write(arguments.value("output") ?? stem + ".json") { part throws(MountFailure) in try part(json) }
        } else {
            try write(arguments.value("output") ?? entry.fileName) { part throws(MountFailure) in
                try view.read(entry) { bytes throws(MountFailure) in
                    try part(bytes)
                    advance(bytes.count)
                }
            }
        }
        return .done
    }

    /// The session inside the FastShot container, with the key of the settings.
    private static func decoded(
        _ view: StoreView, _ entry: SessionEntry, _ advance: (Int) -> Void
    ) throws(MountFailure) -> [UInt8] {
        var object: [UInt8] = []
        try view.read(entry) { bytes in
            object += bytes
            advance(bytes.count)
        }
        do throws(FormatError) {
            let container = try SessionContainer.decode(object, key: view.settings.encryptionKey?.reveal())
            let document = JSONValue.object([
                ("session", container.session), ("metadata", container.metadata ?? .null),
            ])
            return document.serialized(.pretty) + [UInt8(ascii: "\n")]
        } catch {
            throw MountFailure("\(entry.fileName): \(error)")
        }
    }

    /// Writes to standard output, or beside the target and renames, so that a failure leaves nothing that looks whole.
    private static func write(
        _ target: String, _ fill: ((([UInt8]) throws(MountFailure) -> Void)) throws(MountFailure) -> Void
    ) throws(MountFailure) {
        if target == "-" {
            let output = FileDescriptor(owning: dup(1), path: "standard output")
            return try fill { bytes throws(MountFailure) in
                try local { () throws(SystemError) in try output.append(bytes) }
            }
        }
        let temporary = Files.temporaryPath(beside: target)
        do throws(MountFailure) {
            let file = try local { () throws(SystemError) in
                try FileDescriptor.open(temporary, [.write, .exclusive], permissions: 0o644)
            }
            var offset: UInt64 = 0
            try fill { bytes throws(MountFailure) in
                try local { () throws(SystemError) in try file.write(bytes, at: offset) }
                offset += UInt64(bytes.count)
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
