import JSON
import MountService
import ObjectStore
import Platform
import SampleStore

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
