import Foundation
import MountHarness
import Platform
import Testing

/// What ordinary programs see of a mount.
@Suite(.timeLimit(.minutes(3))) struct BrowsingTests {
    @Test func ordinaryProgramsWork() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let names = try Fixture.names()
            let listed = Shell.run("ls", ["-l", "--time-style=full-iso", world.point + "/sessions"])
            #expect(listed.status == 0 && listed.errors.isEmpty, "\(listed.errors)")
            #expect(listed.output.split(separator: "\n").count == 1 + names.count)
            #expect(listed.output.split(separator: "\n").dropFirst().allSatisfy { $0.hasPrefix("-rw-r--r--") })
            let found = Shell.run("find", [world.point, "-type", "f", "-name", "*.fastshot", "-printf", "%s\n"])
            #expect(found.output.split(separator: "\n").count == names.count)
            let grepped = Shell.run("grep", ["-rlF", "\"version\": \"1.0\"", world.point + "/meta_indexes"])
            #expect(grepped.output.split(separator: "\n").count == names.count)
            let copied = Shell.run("cp", ["-a", "--no-preserve=mode", world.point + "/.", world.root + "/copy"])
            #expect(copied.status == 0, "\(copied.errors)")
            for key in try Fixture.keys() {
                #expect(try Noise.same(Files.read(world.root + "/copy/" + key), Fixture.read(key)), "\(key)")
            }
            let same = Shell.run("diff", ["-r", world.point + "/sessions", Fixture.bucket + "/sessions"])
            #expect(same.status == 0, "\(same.output)")
        }
    }

    @Test func pythonWalksTheTree() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let script = """
                import json, os, sys
                top = sys.argv[1]
                walked = {os.path.relpath(d, top): sorted(f) for d, _, f in os.walk(top)}
                scanned = {e.name: (e.inode(), e.stat().st_size, e.is_file()) for e in os.scandir(top + "/sessions")}
                assert all(os.stat(f"{top}/sessions/{n}").st_ino == i for n, (i, _, _) in scanned.items())
                assert all(size == os.path.getsize(f"{top}/sessions/{n}") and f for n, (_, size, f) in scanned.items())
                assert len({i for i, _, _ in scanned.values()}) == len(scanned)
                print(json.dumps({k: len(v) for k, v in walked.items()}))
                """
            let output = try Shell.python(script, [world.point])
            let counts = try JSONDecoder().decode([String: Int].self, from: Data(output.utf8))
            #expect(counts == [".": 1, "sessions": 37, "meta_indexes": 37, ".sessionfs": 1])
        }
    }

    @Test func unknownNamesAreNotFound() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let before = try world.status().requests()
            for name in [
                "sessions/none.fastshot", "none", "meta_indexes/none.meta.json", "sessions/.git/config", "autorun.inf",
            ] {
                #expect(Posix.open(world.point + "/" + name) == ENOENT, "\(name)")
            }
            let first = try Fixture.names()[0]
            #expect(Posix.open(world.body(first + "/below")) == ENOTDIR)
            #expect(Posix.open(world.body(String(repeating: "x", count: 256))) == ENAMETOOLONG)
            // Bytes that are not UTF-8 name nothing.
            #expect(
                try Shell.python(
                    "import os, sys\nprint(os.path.exists(sys.argv[1].encode() + b'/\\xff\\xfe'))", [world.point])
                    == "False\n")
            #expect(try world.status().requests() == before)
        }
    }

    @Test func nothingCanBeChanged() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(["--read-only"])
            let script = """
                import errno, os, sys
                top, name = sys.argv[1:]
                body = f"{top}/sessions/{name}"
                attempts = {
                    "create": lambda: open(f"{top}/sessions/new.fastshot", "xb"),
                    "append": lambda: open(body, "ab"),
                    "truncate": lambda: os.truncate(body, 0),
                    "mkdir": lambda: os.mkdir(f"{top}/new"),
                    "rmdir": lambda: os.rmdir(f"{top}/meta_indexes"),
                    "unlink": lambda: os.unlink(body),
                    "rename": lambda: os.rename(body, f"{top}/sessions/other.fastshot"),
                    "symlink": lambda: os.symlink("x", f"{top}/link"),
                    "link": lambda: os.link(body, f"{top}/sessions/hard.fastshot"),
                    "chmod": lambda: os.chmod(body, 0o600),
                    "utime": lambda: os.utime(body),
                    "setxattr": lambda: os.setxattr(body, "user.fastshot.name", b"x"),
                    "mknod": lambda: os.mkfifo(f"{top}/fifo"),
                }
                for what, attempt in attempts.items():
                    try: attempt(); print(what, "succeeded")
                    except OSError as error:
                        if error.errno != errno.EROFS: print(what, errno.errorcode[error.errno])
                """
            #expect(try Shell.python(script, [world.point, Fixture.names()[0]]).isEmpty)
            #expect(try world.sessions() == Fixture.names())
        }
    }

    @Test func statfsTellsTheBucketsSize() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount()
            let script = """
                import os, sys
                v = os.statvfs(sys.argv[1])
                used = v.f_frsize * (v.f_blocks - v.f_bfree), v.f_files - v.f_ffree
                print(*used, v.f_bavail > 0, v.f_favail > 0, v.f_namemax)
                """
            let total = try Fixture.names().reduce(0) { try $0 + Fixture.read("sessions/" + $1).count }
            let blocks = (total + 4095) / 4096 * 4096
            #expect(try Shell.python(script, [world.point]) == "\(blocks) 74 True True 255\n")
            let shown = Shell.run("df", ["--output=source,fstype", world.point])
            #expect(
                shown.output.contains(world.bucket.url) && shown.output.contains("fuse.sessionfs"), "\(shown.output)")
        }
    }

    @Test func inodeNumbersSurviveARemount() throws {
        try MountWorld.with(.directory, .fixture) { world in
            func numbers() -> String { Shell.run("find", [world.point, "-printf", "%i %P\n"]).output }
            try world.mount()
            let first = numbers()
            #expect(first.split(separator: "\n").count == 37 * 2 + 6)
            try world.unmount()
            // Another session that came meanwhile takes no number away.
            try world.bucket.put("sessions/20240101000000_early.fastshot", "{}")
            try world.mount()
            let second = Set(numbers().split(separator: "\n"))
            #expect(second.isSuperset(of: first.split(separator: "\n")))
            #expect(second.count == 37 * 2 + 7)
        }
    }

    /// `ls -l` asks for attributes of other namespaces twice for each file. One refusal for the whole mount spares us
    /// that, and a listing that the kernel holds is not asked for again.
    @Test func listingLongAgainHardlyAsksUs() throws {
        try MountWorld.with(.directory, .fixture) { world in
            try world.mount(["-o", "poll_interval=1h"])
            let daemon = try world.daemon()
            func calls() throws -> Int {
                let text = String(decoding: try Files.read("/proc/\(daemon)/io"), as: UTF8.self)
                return try #require(
                    text.split(separator: "\n").first { $0.hasPrefix("syscr: ") }.flatMap { Int($0.dropFirst(7)) })
            }
            for _ in 0..<2 { #expect(Shell.run("ls", ["-l", world.point + "/sessions"]).status == 0) }
            let before = try calls()
            let listed = Shell.run("ls", ["-l", world.point + "/sessions"])
            #expect(listed.output.split(separator: "\n").count == 38)
            // Each request is one read of ours; 37 files would be 74 for attributes alone.
            #expect(try calls() - before < 20)
        }
    }

    @Test func oddNamesAreShownAsTheyAre() throws {
        try MountWorld.with { world in
            let names = [
                "20250101000000_cafe\u{301}.fastshot", "20250101000000_caf\u{e9}.fastshot",
                "20250101000001_📷🏳️‍🌈.fastshot",
                "20250101000002_截图 review.fastshot", "20250101000003_a\\b'c\"d$e`f*g?.fastshot", ".hidden.fastshot",
                "no stamp.fastshot", "-rf.fastshot", "20250101000004_tab\tnewline\n.fastshot", " .fastshot",
                "20250101000005_" + String(repeating: "x", count: 231) + ".fastshot",
                String(repeating: "界", count: 82) + ".fastshot",
            ]
            #expect(names[10].utf8.count == 255)
            for (number, name) in names.enumerated() { try world.bucket.put("sessions/" + name, "{\"n\": \(number)}") }
            try world.mount()
            // Swift's strings compare composed and decomposed accents as equal; file names are bytes.
            let shown = Set(try world.sessions().map { Array($0.utf8) })
            #expect(shown == Set(names.map { Array($0.utf8) }))
            for (number, name) in names.enumerated() {
                #expect(try Files.read(world.body(name)) == Array("{\"n\": \(number)}".utf8), "\(name)")
            }
            let found = Shell.run("find", [world.point + "/sessions", "-type", "f", "-print0"])
            #expect(found.output.split(separator: "\0").count == names.count)
        }
    }

    @Test func namesThatCannotBeFilesAreCountedOnly() throws {
        try MountWorld.with(.directory, .fixture) { world in
            let tooLong = String(repeating: "y", count: 250) + ".fastshot"
            let rows = ["../escape.fastshot", "a/b.fastshot", "..", tooLong, "nul\\u0000.fastshot"].map {
                "{\"filename\": \"\($0)\", \"created_at\": null, \"file_size\": 3, \"checksum\": \"\"}"
            }
            let original = String(decoding: try Fixture.read("overall_meta.json"), as: UTF8.self)
            let changed = original.replacingOccurrences(
                of: "\"sessions\": [", with: "\"sessions\": [" + rows.joined(separator: ",") + ",")
            try world.bucket.put("overall_meta.json", changed)
            try world.mount()
            #expect(try world.sessions() == Fixture.names())
            #expect(try world.status().number("sessions.count") == 37)
            #expect(try world.status().number("sessions.rejected") >= 4)
            let text = world.run(["status", world.point]).output
            #expect(text.contains("names that cannot be files"), "\(text)")
            for name in try Fixture.names() {
                #expect(try Noise.same(Files.read(world.body(name)), Fixture.read("sessions/" + name)))
            }
        }
    }
}
