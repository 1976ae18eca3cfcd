internal import Foundation
internal import Platform
package import Testing

/// What a test does to a mount that is written to.
extension Machine {
    /// `sessionfs flush`: sends what can be sent. Exit status 3 when something stays.
    @discardableResult
    package func flush(_ options: [String] = [], seconds: Double = 120, _ location: SourceLocation = #_sourceLocation)
        -> CommandResult
    {
        run(["flush"] + options + [point], seconds: seconds, location)
    }

    /// Everything that programs gave to the mount is in the bucket; fails the test when something stays.
    package func drain(seconds: Double = 120, _ location: SourceLocation = #_sourceLocation) throws {
        let result = flush(seconds: seconds, location)
        try #require(
            result.status == 0, "flush: \(result.status) \(result.output)\(result.errors)\(log)",
            sourceLocation: location)
    }

    /// `sessionfs queue list`.
    package func queue(_ location: SourceLocation = #_sourceLocation) throws -> [QueuedChange] {
        let list = try #require(
            json(["queue", "list", point], location)["changes"] as? [[String: Any]], sourceLocation: location)
        return try list.map(QueuedChange.init)
    }

    /// `sessionfs conflicts list`.
    package func conflicts(all: Bool = false, _ location: SourceLocation = #_sourceLocation) throws
        -> [ListedConflict]
    {
        let list = try #require(
            json(["conflicts", "list", point] + (all ? ["--all"] : []), location)["conflicts"] as? [[String: Any]],
            sourceLocation: location)
        return try list.map(ListedConflict.init)
    }

    /// `sessionfs conflicts resolve`.
    package func resolve(_ id: Int, _ choice: String, _ location: SourceLocation = #_sourceLocation) throws {
        let result = run(["conflicts", "resolve", point, "\(id)", choice], location)
        try #require(result.status == 0, "resolve: \(result.errors)\(log)", sourceLocation: location)
    }

    /// A command about the mount that has to work.
    package func tell(_ arguments: String..., location: SourceLocation = #_sourceLocation) throws {
        let result = run(arguments + [point], location)
        try #require(result.status == 0, "\(arguments): \(result.errors)\(log)", sourceLocation: location)
    }

    /// `user.sessionfs.state` of a session.
    package func state(_ name: String) -> String {
        ExtendedAttributes.value("user.sessionfs.state", of: body(name)) ?? ""
    }

    /// Writes a whole file, as `cp` does: what is there is cut first.
    package func save(_ name: String, _ bytes: [UInt8]) throws { try Posix.save(body(name), bytes) }

    /// Removes a file.
    package func delete(_ name: String) throws { try Files.remove(body(name)) }

    /// Renames a file, over another one if need be.
    package func rename(_ name: String, to other: String) throws { try Files.rename(body(name), to: body(other)) }

    /// The contents of a file, as any program reads them.
    package func contents(_ name: String) throws -> [UInt8] { try Files.read(body(name), limit: 1 << 30) }

    /// Whether a file has exactly these contents.
    package func holds(_ name: String, _ bytes: [UInt8]) -> Bool {
        let read = Posix.read(body(name))
        return read.error == 0 && Noise.same(read.bytes, bytes)
    }

    /// The directory with the journal and the staged files: `<state>/<store>`.
    package func stateDirectory() throws -> String {
        let names = try Files.names(in: root + "/state/sessionfs").filter {
            Files.exists(root + "/state/sessionfs/" + $0 + "/journal.sqlite")
        }
        return root + "/state/sessionfs/" + (try #require(names.first))
    }
}
