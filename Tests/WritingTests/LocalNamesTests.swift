import Foundation
import MountHarness
import Platform
import Testing

/// Names that are none of a session's, and calls that a bucket has no place for.
@Suite(.timeLimit(.minutes(4))) struct LocalNamesTests {
    static let names = [
        "20260101000000_s.fastshot.part", "20260101000000_s.fastshot~", ".goutputstream-A1B2C3", "#20260101.fastshot#",
        "notes.txt", ".20260101000000_s.fastshot.swp", ".hidden.fastshot", "4913",
    ]

    /// They are here, also after a crash, and never in the bucket.
    @Test func theyStayHere() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            for (number, name) in Self.names.enumerated() { try world.save(name, TestSession.bytes(number)) }
            try world.drain()
            #expect(try world.sessions() == Self.names.sorted())
            for name in Self.names { #expect(world.state(name) == "local", "\(name)") }
            #expect(try world.status().number("queue.local") == Self.names.count)
            try world.killDaemon()
            try world.mount()
            #expect(try world.sessions() == Self.names.sorted())
            for (number, name) in Self.names.enumerated() { #expect(world.holds(name, TestSession.bytes(number))) }
            #expect(try world.bucket.keys().allSatisfy { $0 == "overall_meta.json" })
            for name in Self.names { try world.delete(name) }
            #expect(try world.sessions().isEmpty)
            try world.killDaemon()
            try world.mount()
            #expect(try world.sessions().isEmpty)
        }
    }

    /// A download that is renamed when it is whole; an editor that moves the old version away first.
    @Test func renamingMakesSessionsOfThem() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let name = TestSession.fileName(1)
            try world.save(name + ".part", TestSession.bytes(1))
            try world.rename(name + ".part", to: name)
            try world.drain()
            #expect(try world.bucket.bodies() == [name: TestSession.bytes(1)])
            // As vim does with backupcopy=no: the old version away, the new one under the name, the old one removed.
            try world.rename(name, to: name + "~")
            #expect(try world.sessions() == [name + "~"])
            try world.save(name, TestSession.bytes(2))
            try world.delete(name + "~")
            try world.drain()
            #expect(try world.bucket.bodies() == [name: TestSession.bytes(2)])
            #expect(try world.sessions() == [name])
            // As GLib does: a file beside, over the old one.
            try world.save(".goutputstream-X", TestSession.bytes(3))
            try world.rename(".goutputstream-X", to: name)
            #expect(world.holds(name, TestSession.bytes(3)))
            try world.drain()
            #expect(try world.bucket.bodies() == [name: TestSession.bytes(3)])
            // A session that is none any more is gone from the bucket, and its contents are here.
            try world.rename(name, to: "kept.txt")
            try world.drain()
            #expect(try world.bucket.names().isEmpty)
            #expect(world.holds("kept.txt", TestSession.bytes(3)))
            try world.bucket.expectClean()
        }
    }

    /// What has no place in a bucket is refused with an error that programs know what to do with.
    @Test func whatIsRefused() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let name = world.body(try Fixture.names()[0])
            let script = """
                import errno, os, sys
                top, name = sys.argv[1:]
                def refused(code, call, *arguments):
                    try:
                        call(*arguments)
                    except OSError as error:
                        assert error.errno in code, (call, arguments, error)
                    else:
                        raise AssertionError((call, arguments))
                E = errno
                sessions = top + "/sessions/"
                refused([E.EPERM], os.mkdir, sessions + "directory")
                refused([E.EPERM], os.symlink, "x", sessions + "link.fastshot")
                refused([E.EPERM], os.link, name, sessions + "hard.fastshot")
                refused([E.EPERM], os.mkfifo, sessions + "pipe")
                refused([E.EROFS, E.EACCES], os.open, top + "/new.fastshot", os.O_WRONLY | os.O_CREAT)
                refused([E.EROFS, E.EACCES], os.remove, top + "/overall_meta.json")
                refused([E.EROFS, E.EACCES], os.open, top + "/overall_meta.json", os.O_WRONLY)
                refused([E.EROFS, E.EACCES], os.mkdir, top + "/meta_indexes/directory")
                refused([E.EROFS, E.EACCES, E.EXDEV], os.rename, name, top + "/meta_indexes/x.meta.json")
                refused([E.ENAMETOOLONG], os.open, sessions + "x" * 250 + ".fastshot", os.O_WRONLY | os.O_CREAT)
                refused([E.EPERM], os.chown, name, 12345, 12345)
                refused([E.ENOTSUP], os.setxattr, name, "user.fastshot.name", b"x")
                os.chmod(name, 0o600)
                os.chown(name, os.getuid(), os.getgid())
                os.utime(name)
                assert os.stat(name).st_mode & 0o777 == 0o644, oct(os.stat(name).st_mode)
                assert os.access(sessions, os.W_OK)
                """
            _ = try Shell.python(script, [world.point, name])
            #expect(try world.sessions() == Fixture.names())
            try world.drain()
            #expect(try world.bucket.names() == Fixture.names())
        }
    }

    /// `rename` with RENAME_NOREPLACE keeps what is there; `mv -n` is that.
    @Test func renamingWithoutReplacing() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let names = [TestSession.fileName(1), TestSession.fileName(2)]
            for number in 0..<2 { try world.save(names[number], TestSession.bytes(number)) }
            Shell.run("mv", ["-n", world.body(names[0]), world.body(names[1])])
            #expect(world.holds(names[0], TestSession.bytes(0)) && world.holds(names[1], TestSession.bytes(1)))
            try world.drain()
            #expect(try world.bucket.bodies() == [names[0]: TestSession.bytes(0), names[1]: TestSession.bytes(1)])
        }
    }

    /// A mount that was asked to be read-only is, and says so.
    @Test func aReadOnlyMountRefuses() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(["--read-only"])
            let name = try Fixture.names()[0]
            for flags in [O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC] {
                #expect([EROFS, EACCES].contains(Posix.open(world.body(name), flags)))
            }
            #expect(throws: (any Error).self) { try world.save(TestSession.fileName(1), TestSession.bytes(1)) }
            #expect(throws: (any Error).self) { try world.delete(name) }
            #expect(throws: (any Error).self) { try world.rename(name, to: TestSession.fileName(1)) }
            #expect(try world.status().value("read_only") as? Bool == true)
            #expect(try world.sessions() == Fixture.names())
        }
    }
}
