import FileTree
import Foundation
import Glibc
import MountService
import Testing

@testable import FuseBridge
@testable import sessionfs

/// What the documentation says, compared with what it speaks of.
@Suite struct DocsTests {
    @Test func theErrnoTableIsTheCodes() throws {
        let names: [Int32: String] = [
            ENOENT: "ENOENT", ENOTDIR: "ENOTDIR", EISDIR: "EISDIR", ESTALE: "ESTALE", EROFS: "EROFS", EINVAL: "EINVAL",
            ENAMETOOLONG: "ENAMETOOLONG", ENODATA: "ENODATA", EOPNOTSUPP: "EOPNOTSUPP", ERANGE: "ERANGE",
            ENETUNREACH: "ENETUNREACH", EACCES: "EACCES", EBADMSG: "EBADMSG", ENOSPC: "ENOSPC", ECANCELED: "ECANCELED",
            EIO: "EIO", EEXIST: "EEXIST", EPERM: "EPERM", EBUSY: "EBUSY", EXDEV: "EXDEV", EFBIG: "EFBIG",
        ]
        let documented = try Page("docs/semantics.md").text.matches(of: /(?m)^\| `(\w+)` \| `(E[A-Z]+)` \|/)
            .map { "\($0.1) \($0.2)" }
        let coded = FileSystemError.Kind.allCases.map { kind in
            "\(kind.rawValue) \(names[errnoValue(FileSystemError(kind))] ?? "unnamed")"
        }
        #expect(documented.sorted() == coded.sorted())
    }

    @Test func everyCommandAndOptionIsDocumented() throws {
        let pages = try [Page("docs/command-line.md"), Page("docs/sessionfs.1")]
        func check(_ commands: [CommandSpec], _ words: String) {
            for command in commands {
                let name = words + " " + command.name
                for page in pages {
                    #expect(page.plain.contains(name), "\(page.path) does not mention \(name)")
                    for option in command.options {
                        #expect(page.mentions(option), "\(page.path): \(name) --\(option.name)")
                    }
                }
                check(command.subcommands, name)
            }
        }
        check(Program.spec.commands, Program.spec.name)
        for page in pages {
            for option in Program.spec.commonOptions {
                #expect(page.mentions(option), "\(page.path) does not mention --\(option.name)")
            }
        }
    }

    @Test func exitCodesAreDocumented() throws {
        let documented = try Page("docs/command-line.md").text.matches(of: /(?m)^\| (\d) \|/).compactMap { Int32($0.1) }
        #expect(documented.allSatisfy { ExitCode(rawValue: $0) != nil })
        #expect(Set(documented) == Set((0...255).filter { ExitCode(rawValue: $0) != nil }))
    }

    @Test func everySettingIsDocumented() throws {
        let documented = try Page("docs/configuration.md").text.matches(of: /(?m)^\| `(\w+)` \|/).map { String($0.1) }
        #expect(documented.sorted() == Setting.allCases.map(\.rawValue).sorted())
    }

    @Test func testsThatAreNamedExist() throws {
        let root = Page.root
        var sources: [String: String] = [:]
        var named = 0
        for page in try Page.all() {
            for match in page.text.matches(of: /`(\w+Tests)\/(\w+)\.(\w+)`/) {
                let (target, suite, test) = (String(match.1), String(match.2), String(match.3))
                if sources[target] == nil {
                    let directory = root + "/Tests/" + target
                    let files = try FileManager.default.contentsOfDirectory(atPath: directory)
                    sources[target] = try files.filter { $0.hasSuffix(".swift") }
                        .map { try String(contentsOfFile: directory + "/" + $0, encoding: .utf8) }.joined(
                            separator: "\n")
                }
                let source = sources[target] ?? ""
                named += 1
                let isThere = source.contains("struct \(suite) ") && source.contains("func \(test)(")
                #expect(isThere, "\(page.path): there is no \(target)/\(suite).\(test)")
            }
        }
        #expect(named > 50)
    }

    @Test func linksLeadSomewhere() throws {
        for page in try Page.all() where page.path.hasSuffix(".md") {
            for match in page.text.matches(of: /\]\(([^)\s]+)\)/) {
                let link = String(match.1)
                if link.contains("://") { continue }
                let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let directory = (Page.root + "/" + page.path as NSString).deletingLastPathComponent
                let target = parts[0].isEmpty ? page.absolute : directory + "/" + parts[0]
                #expect(FileManager.default.fileExists(atPath: target), "\(page.path): \(link) leads nowhere")
                guard parts.count == 2, target.hasSuffix(".md") else { continue }
                let text = try String(contentsOfFile: target, encoding: .utf8)
                #expect(Page.anchors(text).contains(parts[1]), "\(page.path): no heading for \(link)")
            }
        }
    }

    @Test func decisionsAreListed() throws {
        let index = try Page("docs/decisions/README.md").text
        for page in try Page.all() where page.path.hasPrefix("docs/decisions/0") {
            #expect(index.contains("(" + (page.path as NSString).lastPathComponent + ")"), "\(page.path) is not listed")
            for part in ["## Context", "## Decision", "## Consequence"] {
                #expect(page.text.contains(part), "\(page.path) has no \(part)")
            }
        }
    }
}

/// A page of the documentation.
private struct Page {
    let path: String
    let text: String

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    init(_ path: String) throws {
        self.path = path
        text = try String(contentsOfFile: Page.root + "/" + path, encoding: .utf8)
    }

    var absolute: String { Page.root + "/" + path }

    /// Without the marks of Markdown and of roff around names and options.
    var plain: String { text.replacing("\\-", with: "-").replacing(/\\f[BIRP]|`/, with: "") }

    /// Whether an option stands here, not only as the beginning of a longer one.
    func mentions(_ option: OptionSpec) -> Bool {
        plain.components(separatedBy: "--" + option.name).dropFirst().contains { rest in
            rest.first.map { !$0.isLetter && $0 != "-" } ?? true
        }
    }

    static func all() throws -> [Page] {
        let found = FileManager.default.enumerator(atPath: root + "/docs")?.compactMap { $0 as? String } ?? []
        let pages = found.filter { $0.hasSuffix(".md") || $0.hasSuffix(".1") }.map { "docs/" + $0 }
        return try (["README.md"] + pages.sorted()).map { try Page($0) }
    }

    /// The names by which headings can be linked to, as code hosts make them.
    static func anchors(_ text: String) -> Set<String> {
        Set(
            text.matches(of: /(?m)^#+ (.+)$/).map { match in
                String(
                    match.1.lowercased().compactMap { character -> Character? in
                        if character == " " { return "-" }
                        return character.isLetter || character.isNumber || character == "-" || character == "_"
                            ? character : nil
                    })
            })
    }
}
