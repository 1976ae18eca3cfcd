import Testing

@testable import MountService

struct CommandLineParserTests {
    func run(_ arguments: [String]) throws -> ParsedArguments {
        guard case .run(let parsed) = try sampleProgram.parse(arguments) else {
            throw UsageError(message: "not a command to run", suggestion: nil, helpCommand: "")
        }
        return parsed
    }

    @Test(arguments: [
        ["mount", "-f", "-o", "ro,allow_other", "s3://b", "/mnt"],
        ["mount", "s3://b", "/mnt", "-fo", "ro,allow_other"],
        ["mount", "-foro,allow_other", "s3://b", "/mnt"],
        ["mount", "--foreground", "--options=ro,allow_other", "--", "s3://b", "/mnt"],
        ["mount", "s3://b", "--options", "ro,allow_other", "/mnt", "--foreground"],
    ])
    func spellingsMeanTheSame(arguments: [String]) throws {
        let parsed = try run(arguments)
        #expect(parsed.command == ["mount"])
        #expect(parsed.positionals == ["s3://b", "/mnt"])
        #expect(parsed.positional("DIR") == "/mnt")
        #expect(parsed.flag("foreground"))
        #expect(!parsed.flag("json"))
        #expect(parsed.value("options") == "ro,allow_other")
        #expect(parsed.value("config") == nil)
    }

    @Test func commonOptionsStandBeforeAndAfterTheCommand() throws {
        let parsed = try run(["--json", "--config", "/c", "cache", "-v", "clear", "-av"])
        #expect(parsed.command == ["cache", "clear"])
        #expect(parsed.flag("json") && parsed.flag("all"))
        #expect(parsed.count("verbose") == 2)
        #expect(parsed.value("config") == "/c")
    }

    @Test func theLastValueCountsAndAllAreKept() throws {
        let parsed = try run(["mount", "-o", "a", "-o", "b", "x", "y", "--config="])
        #expect(parsed.value("options") == "b")
        #expect(parsed.allValues("options") == ["a", "b"])
        #expect(parsed.value("config") == "")
    }

    @Test func afterTwoDashesNothingIsAnOption() throws {
        #expect(try run(["info", "--", "-x", "--json", "--"]).positionals == ["-x", "--json", "--"])
        #expect(try run(["info", "-"]).positionals == ["-"])
    }

    @Test func aValueMayLookLikeAnOption() throws {
        #expect(try run(["mount", "-o", "-x", "a", "b"]).value("options") == "-x")
    }

    @Test func optionalAndRepeatedArguments() throws {
        #expect(try run(["status"]).positional("DIR") == nil)
        #expect(try run(["info", "a", "b", "c"]).positionals == ["a", "b", "c"])
    }

    @Test(
        arguments: [
            (["monut", "a"], "no such command: monut", "sessionfs mount"),
            (["stat"], "no such command: stat", "sessionfs status"),
            (["zzz"], "no such command: zzz", nil),
            ([], "a command is missing: mount, status, info, cache", nil),
            (["cache"], "cache needs a command: stats, clear", nil),
            (["cache", "claer"], "no such command: cache claer", "sessionfs cache clear"),
            (["mount", "a"], "DIR is missing: an empty directory", nil),
            (["status", "a", "b"], "unexpected argument: b", nil),
            (["mount", "a", "b", "--foregruond"], "no such option: --foregruond", "--foreground"),
            (["mount", "a", "b", "-x"], "no such option: -x", nil),
            (["mount", "a", "b", "-json"], "no such option: -j", "--json"),
            (["mount", "a", "b", "--json=1"], "--json takes no value", nil),
            (["mount", "a", "b", "-o"], "-o needs a value: OPTIONS", nil),
            (["mount", "a", "b", "--config"], "--config needs a value: FILE", nil),
            (
                ["mount", "a", "b", "--unmount-policy", "claen"],
                "--unmount-policy takes one of keep, clean, purge, not claen", "clean"
            ),
            (["--all", "cache", "clear"], "no such option: --all", nil),
        ] as [([String], String, String?)])
    func mistakesAreNamedWithWhatWasMeant(arguments: [String], message: String, suggestion: String?) {
        #expect {
            try sampleProgram.parse(arguments)
        } throws: { error in
            guard let error = error as? UsageError else { return false }
            return error.message == message && error.suggestion == suggestion && error.helpCommand.hasSuffix("--help")
        }
    }

    @Test func helpIsWrittenFromTheDeclarations() throws {
        for arguments in [
            ["mount", "--help"], ["mount", "-h"], ["help", "mount"], ["mount", "a", "--help", "b", "c"],
        ] {
            if arguments.count > 4 { continue }
            guard case .help(let text) = try sampleProgram.parse(arguments) else {
                Issue.record("no help for \(arguments)")
                continue
            }
            #expect(text.hasPrefix("sessionfs mount: show a store as a directory\n"))
            for part in [
                "Usage: sessionfs mount STORE DIR [OPTIONS]", "-f, --foreground", "    --config FILE",
                "-o, --options OPTIONS", "It returns once the mount answers.", "-h, --help",
            ] { #expect(text.contains(part), "\(part) is missing in:\n\(text)") }
            #expect(text.split(separator: "\n").allSatisfy { $0.count <= 79 })
        }
        guard case .help(let group) = try sampleProgram.parse(["cache", "--help"]) else {
            Issue.record("no help for a group")
            return
        }
        #expect(group.contains("Usage: sessionfs cache COMMAND") && group.contains("clear") && !group.contains("--all"))
    }

    @Test(arguments: [["--help"], ["-h"], ["help"]]) func theOverviewListsEveryCommand(arguments: [String]) throws {
        guard case .help(let text) = try sampleProgram.parse(arguments) else {
            Issue.record("no help")
            return
        }
        for command in sampleProgram.commands { #expect(text.contains("  \(command.name)")) }
        #expect(text.contains("--version"))
    }

    @Test func versionIsAskedFor() throws {
        #expect(try sampleProgram.parse(["--version"]) == .version)
    }

    @Test(arguments: [("mount", "mount", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3), ("é", "e", 1)])
    func distances(left: String, right: String, expected: Int) {
        #expect(Suggestion.distance(left, right) == expected)
        #expect(Suggestion.distance(right, left) == expected)
    }
}
