import Foundation
import MountHarness
import Platform
import SessionFormat
import Testing

/// Changes that another client makes while a mount is open.
@Suite(.timeLimit(.minutes(3))) struct RefreshTests {
    private static let quick = ["-o", "poll_interval=1s"]
    private static let newName = "20250901000000_new.fastshot"

    @Test func changesAppearByThemselves() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(Self.quick)
            let names = try Fixture.names()
            // The kernel holds the listing, the attributes and the absence.
            #expect(try world.sessions() == names)
            #expect(Posix.open(world.body(Self.newName)) == ENOENT)
            try world.bucket.put("sessions/" + Self.newName, "{}")
            try world.eventually("the new session is listed") { try world.sessions() == names + [Self.newName] }
            #expect(try Files.read(world.body(Self.newName)) == Array("{}".utf8))
            try world.bucket.remove("sessions/" + Self.newName)
            try world.bucket.remove("sessions/" + names[0])
            try world.eventually("the removed ones are gone") { try world.sessions() == Array(names.dropFirst()) }
            #expect(Posix.open(world.body(Self.newName)) == ENOENT)
            #expect(Posix.open(world.body(names[0])) == ENOENT)
            #expect(try Files.names(in: world.point + "/meta_indexes").count == 36)
        }
    }

    @Test(arguments: StoreKind.allCases) func refreshShowsChangesAtOnce(_ kind: StoreKind) throws {
        try MountWorld.with(kind, .fixture) { world in
            try world.mount(["-o", "poll_interval=1h"])
            let names = try Fixture.names()
            #expect(Shell.run("ls", ["-l", world.point + "/sessions", world.point + "/meta_indexes"]).status == 0)
            #expect(try Noise.same(Files.read(world.body(names[5])), Fixture.read("sessions/" + names[5])))
            try world.bucket.put("sessions/" + Self.newName, "{}")
            try world.bucket.put("meta_indexes/20250901000000_new.meta.json", #"{"metadata": {"name": "brand new"}}"#)
            try world.bucket.remove("sessions/" + names[0])
            try world.bucket.put("sessions/" + names[5], "replaced, and shorter")
            let result = world.run(["refresh", world.point])
            #expect(
                result.status == 0 && result.output.hasPrefix("1 new, 1 gone, "), "\(result.output)\(result.errors)")
            #expect(try world.sessions() == Array(names.dropFirst()) + [Self.newName])
            #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(Self.newName)) == "brand new")
            #expect(Posix.open(world.body(names[0])) == ENOENT)
            #expect(try Files.status(world.body(names[5]))?.size == 21)
            #expect(try Files.read(world.body(names[5])) == Array("replaced, and shorter".utf8))
            // In a listing, too.
            let listed = Shell.run("find", [world.point + "/sessions", "-name", names[5], "-printf", "%s"])
            #expect(listed.output == "21")
        }
    }

    @Test(arguments: StoreKind.allCases) func pagesOfAReplacedObjectAreDropped(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            let name = "20250101000000_same length.fastshot"
            try world.bucket.put("sessions/" + name, [UInt8](repeating: 1, count: 300_000))
            try world.mount(["-o", "poll_interval=1h"])
            for value in UInt8(1)...4 {
                if value > 1 {
                    try world.bucket.put("sessions/" + name, [UInt8](repeating: value, count: 300_000))
                    try world.refresh()
                }
                for _ in 0..<2 {
                    let bytes = try Files.read(world.body(name))
                    let isRight = Noise.same(bytes, [UInt8](repeating: value, count: 300_000))
                    #expect(isRight, "\(value): \(Set(bytes)), \(bytes.count)")
                }
            }
        }
    }

    @Test func aChangedIndexIsShown() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(["-o", "poll_interval=1h"])
            let name = try #require(SessionName(fileName: Fixture.names()[2]))
            let path = world.point + "/" + name.indexKey
            #expect(try Noise.same(Files.read(path), Fixture.read(name.indexKey)))
            let text = #"{"metadata": {"name": "edited"}}"#
            try world.bucket.put(name.indexKey, text)
            try world.refresh()
            #expect(try Files.read(path) == Array(text.utf8))
            #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(name.fileName)) == "edited")
        }
    }

    @Test func theOverallFileIsAlwaysTheLatest() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(["-o", "poll_interval=1h"])
            let path = world.point + "/overall_meta.json"
            #expect(try Noise.same(Files.read(path), Fixture.read("overall_meta.json")))
            let rows = OverallFile.encode([], lastUpdated: "2025-08-01T00:00:00")
            try world.bucket.put("overall_meta.json", rows)
            try world.refresh()
            #expect(try Files.read(path) == rows)
            // The sessions are there still, whatever it says.
            #expect(try world.sessions() == Fixture.names())
            try world.bucket.remove("overall_meta.json")
            try world.refresh()
            #expect(Posix.open(path) == ENOENT)
            #expect(try world.sessions() == Fixture.names())
        }
    }

    /// Whoever has a file open goes on reading the version that was opened, or is told; bytes of two versions never mix.
    @Test func anOpenFileKeepsItsVersion() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(["-o", "poll_interval=1h"])
            let names = try Fixture.names()
            let removed = try FileDescriptor.open(world.body(names[0]))
            let replaced = try FileDescriptor.open(world.body(names[1]))
            let original = try (0..<2).map { try Fixture.read("sessions/" + names[$0]) }
            #expect(try removed.read(at: 0, count: 1000) == Array(original[0].prefix(1000)))
            #expect(try replaced.read(at: 0, count: 1000) == Array(original[1].prefix(1000)))
            try world.eventually("both are cached") { try world.status().number("cache.bodies") == 2 }
            try world.bucket.remove("sessions/" + names[0])
            let other = [UInt8](repeating: 9, count: original[1].count)
            try world.bucket.put("sessions/" + names[1], other)
            try world.refresh()
            #expect(Posix.open(world.body(names[0])) == ENOENT)
            for (file, expected) in [(removed, original[0]), (replaced, original[1])] {
                do throws(SystemError) {
                    let rest = try file.read(at: 1000, count: expected.count)
                    #expect(Noise.same(rest, Array(expected.dropFirst(1000))))
                } catch {
                    #expect(error.code == ESTALE || error.code == ENOENT, "\(error)")
                }
            }
            removed.closeNow()
            replaced.closeNow()
            #expect(Noise.same(try Files.read(world.body(names[1])), other))
        }
    }

    /// Two mounts of a store share its catalog: what one learns must reach the kernel's caches of the other.
    @Test func aSecondMountHearsOfChanges() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let other = world.root + "/other"
            try world.mount(Self.quick)
            try world.mount(at: other, Self.quick)
            let names = try Fixture.names()
            for point in [world.point, other] {
                #expect(Shell.run("ls", ["-l", point + "/sessions", point + "/meta_indexes"]).status == 0)
                #expect(
                    try Noise.same(Files.read(point + "/sessions/" + names[4]), Fixture.read("sessions/" + names[4])))
            }
            try world.bucket.remove("sessions/" + names[0])
            try world.bucket.put("sessions/" + Self.newName, "{}")
            try world.bucket.put("sessions/" + names[4], "replaced")
            let expected = Array(names.dropFirst()) + [Self.newName]
            for point in [world.point, other] {
                try world.eventually("\(point) lists the change") { try world.sessions(point) == expected }
                try world.eventually("\(point) forgets the removed name") {
                    Posix.open(point + "/sessions/" + names[0]) == ENOENT
                        && !Files.exists(point + "/sessions/" + names[0])
                }
                try world.eventually("\(point) reads the replaced one") {
                    try Files.status(point + "/sessions/" + names[4])?.size == 8
                        && Files.read(point + "/sessions/" + names[4]) == Array("replaced".utf8)
                }
            }
            try world.unmount()
            #expect(try world.sessions(other) == expected)
            #expect(try Noise.same(Files.read(other + "/sessions/" + names[7]), Fixture.read("sessions/" + names[7])))
        }
    }

    /// A whole bucket arrives while it is mounted.
    @Test func anEmptyBucketFills() throws {
        try MountWorld.with { world in
            try world.mount(Self.quick)
            #expect(try world.sessions() == [])
            for key in try Fixture.keys() { try world.bucket.put(key, Fixture.read(key)) }
            try world.eventually("all 37 with their indexes") {
                try world.sessions().count == 37 && Files.names(in: world.point + "/meta_indexes").count == 37
            }
            let name = try Fixture.names()[9]
            #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(name)) != nil)
        }
    }
}
