import MountService
/// `sessionfs check STORE`.
enum CheckCommand {
    static let spec = CommandSpec(name: "check", summary: "test the connection to a bucket: what is wrong and what to do",
        positionals: [PositionalSpec("STORE", "the bucket")])
    static func run(_ arguments: ParsedArguments) throws(MountFailure) -> ExitCode { .done }
}
