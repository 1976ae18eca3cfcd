import JSON
import MountService
import ObjectStore

/// `sessionfs check STORE`.
enum CheckCommand {
    static let spec = CommandSpec(
        name: "check", summary: "test the connection to a bucket: what is wrong and what to do",
        positionals: [PositionalSpec("STORE", "the bucket")],
        options: [
            .flag("write", nil, "also write and remove a probe object, to see which conditions the server honours")
        ])

    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode {
        let view = try StoreView(try StoreArgument.settings(arguments, arguments.positional("STORE")))
        let write = arguments.flag("write")
        let findings = waitFor { await StoreCheck.run(view, write: write) }
        let failed = findings.contains { $0.level == .error }
        if arguments.flag("json") {
            Output.json(.object([("ok", .bool(!failed)), ("findings", .array(findings.map(json)))]))
        } else {
            for finding in findings where !arguments.flag("quiet") || finding.level != .ok {
                let word = finding.level == .ok ? "ok     " : finding.level == .warning ? "warning" : "ERROR  "
                Output.write("\(word)  \(finding.name): \(Output.plain(finding.message))\n")
                if let advice = finding.advice { Output.write("         -> \(Output.plain(advice))\n") }
            }
        }
        return findings.first { $0.level == .error }.map(exitCode) ?? .done
    }

    /// The first error decides: what comes behind it follows from it.
    private static func exitCode(_ error: StoreFinding) -> ExitCode {
        error.kind.map { ExitCode(StoreError($0, message: error.message)) } ?? .failed
    }

    private static func json(_ finding: StoreFinding) -> JSONValue {
        .object([
            ("name", .string(finding.name)), ("level", .string(finding.level.rawValue)),
            ("message", .string(finding.message)), ("advice", finding.advice.map { .string($0) } ?? .null),
        ])
    }
}
