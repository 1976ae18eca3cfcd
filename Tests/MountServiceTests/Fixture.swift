import Foundation

@testable import MountService

/// A program with every kind of declaration.
let sampleProgram = ProgramSpec(
    name: "sessionfs", summary: "sessions as files",
    commonOptions: [
        .value("config", nil, "FILE", "read this configuration", kind: .file),
        .value("cache-dir", nil, "DIR", "keep the cache here", kind: .directory),
        .flag("json", nil, "print JSON"),
        .flag("verbose", "v", "say more; twice: say everything"),
    ],
    commands: [
        CommandSpec(
            name: "mount", summary: "show a store as a directory",
            discussion: "It returns once the mount answers.",
            positionals: [
                PositionalSpec("STORE", "URL or name of a store"),
                PositionalSpec("DIR", "an empty directory", kind: .directory),
            ],
            options: [
                .flag("foreground", "f", "stay in the foreground"),
                .value("options", "o", "OPTIONS", "mount options, as mount(8) takes them"),
                .value(
                    "unmount-policy", nil, "POLICY", "what happens to the cache",
                    kind: .words(["keep", "clean", "purge"])),
            ]),
        CommandSpec(
            name: "status", summary: "what a mount's daemon does: it's all here",
            positionals: [PositionalSpec("DIR", "the mount", optional: true, kind: .directory)]),
        CommandSpec(
            name: "info", summary: "facts of sessions",
            positionals: [PositionalSpec("FILE", "files or names", repeats: true, kind: .file)]),
        CommandSpec(
            name: "cache", summary: "the local cache",
            subcommands: [
                CommandSpec(name: "stats", summary: "how full it is"),
                CommandSpec(
                    name: "clear", summary: "empty it", options: [.flag("all", "a", "pinned bodies too")]),
            ]),
    ])
