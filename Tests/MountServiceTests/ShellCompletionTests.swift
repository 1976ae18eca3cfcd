import Foundation
import Platform
import Testing

@testable import MountService

@Suite(.timeLimit(.minutes(1)))
struct ShellCompletionTests {
    /// Runs a program on a script given by file; its output and status.
    func run(_ program: [String], script: String) throws -> (status: Int32, output: String) {
        let path = "/tmp/sfs-completion-\(UInt32.random(in: .min ... .max))"
        try Files.replace(path, with: Array(script.utf8))
        defer { try? Files.remove(path) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = program + [path]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
    }

    /// What bash offers for the last of the words.
    func bash(_ words: [String]) throws -> [String] {
        let quoted = words.map { "'\($0)'" }.joined(separator: " ")
        let script =
            sampleProgram.completionScript(for: .bash) + """
                compopt() { :; }
                COMP_WORDS=(\(quoted)); COMP_CWORD=\(words.count - 1)
                _sessionfs
                printf '%s\\n' "${COMPREPLY[@]}"
                """
        let (status, output) = try run(["bash"], script: script)
        #expect(status == 0, "\(output)")
        return output.split(separator: "\n").map(String.init)
    }

    @Test func bashTakesTheScript() throws {
        let (status, output) = try run(["bash", "-n"], script: sampleProgram.completionScript(for: .bash))
        #expect(status == 0 && output.isEmpty, "\(output)")
        // The check itself can fail.
        #expect(try run(["bash", "-n"], script: "case x in").status != 0)
    }

    @Test func bashOffersWhatFits() throws {
        #expect(try bash(["sessionfs", ""]) == ["mount", "status", "info", "cache"])
        #expect(try bash(["sessionfs", "--json", "m"]) == ["mount"])
        #expect(try bash(["sessionfs", "cache", ""]) == ["stats", "clear"])
        #expect(try bash(["sessionfs", "cache", "clear", "--a"]) == ["--all"])
        #expect(try bash(["sessionfs", "mount", "--fo"]) == ["--foreground"])
        #expect(try bash(["sessionfs", "status", "--fo"]) == [])
        #expect(try bash(["sessionfs", "mount", "--unmount-policy", ""]) == ["keep", "clean", "purge"])
        #expect(try bash(["sessionfs", "mount", "--unmount-policy", "=", "p"]) == ["purge"])
        #expect(try bash(["sessionfs", "mount", "--unmount-policy", "="]) == ["keep", "clean", "purge"])
        #expect(try bash(["sessionfs", "info", "/etc/host"]).contains("/etc/hostname"))
        #expect(try bash(["sessionfs", "mount", "--config", "/etc/host"]).contains("/etc/hosts"))
        let directories = try bash(["sessionfs", "status", "/et"])
        #expect(directories == ["/etc"])
    }

    @Test(.enabled(if: Files.exists("/usr/bin/zsh"))) func zshTakesTheScriptAndLoadsIt() throws {
        let script = sampleProgram.completionScript(for: .zsh)
        #expect(try run(["zsh", "-n"], script: script).output.isEmpty)
        let loaded = try run(
            ["zsh", "-f"],
            script: "autoload -U compinit; compinit -u -D\n" + script
                + "\nprint $_comps[sessionfs]; print ${+functions[_sessionfs_cache]}")
        #expect(loaded.output == "_sessionfs\n1\n", "\(loaded.output)")
    }

    @Test(.enabled(if: Files.exists("/usr/bin/fish"))) func fishOffersWhatFits() throws {
        func fish(_ line: String) throws -> [String] {
            let script = sampleProgram.completionScript(for: .fish) + "complete -C \(shellQuoted(line))\n"
            return try run(["fish", "--no-config"], script: script).output.split(separator: "\n").map {
                String($0.prefix { $0 != "\t" })
            }
        }
        #expect(try Set(fish("sessionfs ")) == ["mount", "status", "info", "cache"])
        #expect(try Set(fish("sessionfs cache ")) == ["stats", "clear"])
        #expect(try fish("sessionfs mount --fore") == ["--foreground"])
        #expect(try Set(fish("sessionfs mount --unmount-policy ")) == ["keep", "clean", "purge"])
        #expect(try fish("sessionfs status /et") == ["/etc/"])
    }
}
