import Foundation
import MountHarness
import Platform
import TestSupport
import Testing

/// File managers at work: Midnight Commander by its keys, and GIO, on which Nautilus, Nemo, Thunar and PCManFM stand.
@Suite(.timeLimit(.minutes(5))) struct FileManagerTests {
    /// A mount with a directory beside it, `source`, that holds some sessions.
    private func withSource(
        _ kind: StoreKind, _ numbers: Range<Int>, _ contents: Bucket.Contents = .empty,
        _ body: (MountWorld, _ source: String) throws -> Void
    ) throws {
        try MountWorld.with(kind, contents) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try world.mount()
            let source = world.root + "/source"
            try Files.makePrivateDirectory(source)
            for number in numbers {
                try Posix.save(source + "/" + TestSession.fileName(number), TestSession.bytes(number, size: 50_000))
            }
            try body(world, source)
        }
    }

    /// Holds mount and bucket to exactly these sessions.
    private func expect(
        _ world: MountWorld, _ expected: [String: [UInt8]], _ location: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try world.sessions() == expected.keys.sorted(), sourceLocation: location)
        for (name, bytes) in expected { #expect(world.holds(name, bytes), "\(name)", sourceLocation: location) }
        try world.drain(location)
        let bodies = try world.bucket.bodies()
        #expect(bodies.keys.sorted() == expected.keys.sorted(), sourceLocation: location)
        for (name, bytes) in expected {
            #expect(Noise.same(bodies[name] ?? [], bytes), "\(name) in the bucket", sourceLocation: location)
        }
        try world.bucket.expectClean(location)
        #expect(try world.queue().isEmpty, sourceLocation: location)
    }

    // MARK: Midnight Commander

    @Test(arguments: StoreKind.usually([.ministack], thorough: StoreKind.writable))
    func midnightCommander(_ kind: StoreKind) throws {
        try withSource(kind, 0..<4) { world, source in
            let sessions = world.point + "/sessions"
            let name = { TestSession.fileName($0) }
            var expected: [String: [UInt8]] = [:]
            for number in 0..<4 { expected[name(number)] = TestSession.bytes(number, size: 50_000) }
            try commander(world, source, sessions, ["copy-all"])
            try expect(world, expected)
            // Over one that is there, as it asks; renamed in place; deleted; moved in from another filesystem.
            expected[name(0)] = TestSession.bytes(10, size: 70_000)
            try Posix.save(source + "/" + name(0), TestSession.bytes(10, size: 70_000))
            try commander(world, source, sessions, ["overwrite", name(0)])
            expected[name(20)] = expected.removeValue(forKey: name(1))
            expected[name(2)] = nil
            try commander(world, sessions, source, ["rename", name(1), name(20), "delete", name(2)])
            let inbox = world.root + "/inbox"
            try Files.makePrivateDirectory(inbox)
            for number in 30..<32 {
                expected[name(number)] = TestSession.bytes(number)
                try Posix.save(inbox + "/" + name(number), TestSession.bytes(number))
            }
            try commander(world, inbox, sessions, ["move-all"])
            #expect(try Files.names(in: inbox).isEmpty)
            try expect(world, expected)
        }
    }

    private func commander(
        _ world: MountWorld, _ left: String, _ right: String, _ actions: [String],
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let result = Shell.run(
            try TestPython.interpreter(), [TestPython.package + "/Tests/Clients/mc_driver.py", left, right] + actions,
            environment: world.environment.merging(["TMPDIR": world.root]) { $1 }, seconds: 150, location)
        #expect(result.status == 0, "\(actions): \(result.output)\(result.errors)", sourceLocation: location)
    }

    // MARK: GIO

    /// What a GIO program does to files, with the program that comes with it.
    @discardableResult
    private func gio(
        _ world: MountWorld, _ arguments: [String], _ extra: [String: String] = [:], fails: Bool = false,
        _ location: SourceLocation = #_sourceLocation
    ) -> CommandResult {
        let environment = world.environment.merging(["GIO_USE_VFS": "local"]) { $1 }.merging(extra) { $1 }
        let result = Shell.run("gio", arguments, environment: environment, seconds: 60, location)
        #expect((result.status != 0) == fails, "gio \(arguments): \(result)", sourceLocation: location)
        return result
    }

    @Test(arguments: StoreKind.usually([.ministack], thorough: StoreKind.writable))
    func gioCopiesMovesRenamesRemoves(_ kind: StoreKind) throws {
        try withSource(kind, 0..<4) { world, source in
            let name = { TestSession.fileName($0) }
            let path = { world.body(TestSession.fileName($0)) }
            for number in 0..<4 { gio(world, ["copy", source + "/" + name(number), path(number)]) }
            var expected = Dictionary(
                uniqueKeysWithValues: (0..<4).map { (name($0), TestSession.bytes($0, size: 50_000)) })
            try expect(world, expected)
            // Over one that is there; with its times; renamed; moved within, out, and in.
            gio(world, ["copy", "--preserve", source + "/" + name(1), path(0)])
            expected[name(0)] = expected[name(1)]
            gio(world, ["rename", path(1), name(11)])
            expected[name(11)] = expected.removeValue(forKey: name(1))
            gio(world, ["move", path(2), path(12)])
            expected[name(12)] = expected.removeValue(forKey: name(2))
            gio(world, ["move", path(3), world.root + "/out.fastshot"])
            #expect(Posix.read(world.root + "/out.fastshot").bytes == expected.removeValue(forKey: name(3)))
            gio(world, ["move", world.root + "/out.fastshot", path(13)])
            expected[name(13)] = TestSession.bytes(3, size: 50_000)
            gio(world, ["remove", path(11)])
            expected[name(11)] = nil
            try expect(world, expected)
        }
    }

    /// Saved as GIO's editors do, with a backup beside it, which stays here and is never uploaded.
    @Test func gioSavesWithABackup() throws {
        try withSource(.directory, 0..<2) { world, source in
            let path = world.body(TestSession.fileName(0))
            let script = "gio save --backup \"$2\" < \"$1\""
            for number in 0..<2 {
                let file = source + "/" + TestSession.fileName(number)
                let saved = Shell.run(
                    "sh", ["-c", script, "sh", file, path], environment: world.environment)
                #expect(saved.status == 0, "\(saved)")
                try world.drain()
            }
            #expect(world.holds(TestSession.fileName(0), TestSession.bytes(1, size: 50_000)))
            #expect(world.holds(TestSession.fileName(0) + "~", TestSession.bytes(0, size: 50_000)))
            #expect(world.state(TestSession.fileName(0) + "~") == "local")
            #expect(try world.bucket.names() == [TestSession.fileName(0)])
            try world.bucket.expectClean()
        }
    }

    /// There is no trash in a mount, for nothing in a bucket could be one: a file manager is told so and asks whether to
    /// delete; the session is as before.
    @Test func thereIsNoTrash() throws {
        try withSource(.directory, 0..<0, .fixture) { world, _ in
            let before = try world.sessions()
            let name = before[0]
            let result = gio(world, ["trash", world.body(name)], fails: true)
            #expect(result.errors.lowercased().contains("trash"), "\(result.errors)")
            #expect(try world.sessions() == before)
            #expect(world.holds(name, try Fixture.read("sessions/" + name)))
            #expect(try world.queue().isEmpty)
            let top = try Files.names(in: world.point)
            #expect(!top.contains { $0.lowercased().contains("trash") }, "\(top)")
            gio(world, ["remove", world.body(name)])
            try world.drain()
            #expect(try world.bucket.names() == Array(before.dropFirst()))
            try world.bucket.expectClean()
        }
    }

    /// A folder is shown without reading a session where the type of `*.fastshot` is known by its name
    /// (`mount-helpers/fastshot.xml`); else a file manager reads into every file, and all of them are downloaded.
    @Test func aKnownTypeIsNotLookedInto() throws {
        try withSource(.directory, 0..<0, .fixture) { world, _ in
            let types = world.root + "/share/mime"
            try Files.makeDirectories(types + "/packages")
            try Files.replace(
                types + "/packages/fastshot.xml",
                with: Files.read(TestPython.package + "/mount-helpers/fastshot.xml"))
            #expect(Shell.run("update-mime-database", [types]).status == 0)
            let known = ["XDG_DATA_HOME": world.root + "/share"]
            let wanted = ["list", "--attributes=standard::content-type,standard::size", world.point + "/sessions"]
            let names = try world.sessions()
            let listed = gio(world, wanted, known).output.split(separator: "\n")
            #expect(listed.count == names.count)
            #expect(listed.allSatisfy { $0.contains("application/x-fastshot") }, "\(listed)")
            #expect(names.allSatisfy { world.state($0) == "remote" })
            // Looked into, it is taken for the picture at its beginning.
            let info = gio(world, ["info", "--attributes=standard::content-type", world.body(names[0])])
            #expect(info.output.contains("image/png"), "\(info.output)")
        }
    }
}
