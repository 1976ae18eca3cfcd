import Foundation
import MountHarness
import Platform
import Testing

/// Every way in which programs save a file: what they wrote is in the bucket, whole, with its index and its row.
@Suite(.timeLimit(.minutes(4))) struct SavingTests {
    /// How a program saves.
    enum Way: String, CaseIterable, CustomTestStringConvertible {
        case copy, copyKeeping, rsync, dd, move, redirect, outOfOrder, mapped, appended, truncated, temporary, fsynced
        case positioned, install
        var testDescription: String { rawValue }

        /// Saves a file of the local disk under a path of the mount.
        func save(_ source: String, _ target: String) throws {
            switch self {
            case .copy: try expect("cp", [source, target])
            case .copyKeeping: try expect("cp", ["-p", source, target])
            case .rsync: try expect("rsync", ["-a", source, target])
            case .dd: try expect("dd", ["if=" + source, "of=" + target, "bs=7777", "conv=fsync", "status=none"])
            case .move: try expect("mv", [source, target])
            case .redirect: try expect("sh", ["-c", "cat \"$0\" > \"$1\"", source, target])
            case .install: try expect("install", ["-m", "600", source, target])
            case .temporary:
                try expect("sh", ["-c", "cp \"$0\" \"$1.tmp\" && mv \"$1.tmp\" \"$1\"", source, target])
            case .outOfOrder, .mapped, .appended, .truncated, .fsynced, .positioned:
                _ = try Shell.python(Self.program, [rawValue, source, target])
            }
        }

        private func expect(_ program: String, _ arguments: [String]) throws {
            let result = Shell.run(program, arguments)
            try #require(result.status == 0, "\(program) \(arguments): \(result.errors)")
        }

        private static let program = """
            import mmap, os, sys
            way, source, target = sys.argv[1:]
            data = open(source, "rb").read()
            if way == "outOfOrder":
                with open(target, "wb", buffering=0) as f:
                    for start in reversed(range(0, len(data), 5000)):
                        f.seek(start); f.write(data[start:start + 5000])
            elif way == "mapped":
                with open(target, "w+b") as f:
                    f.truncate(len(data))
                    with mmap.mmap(f.fileno(), len(data)) as m:
                        m[:] = data
                        m.flush()
            elif way == "appended":
                for start in range(0, len(data), 20000):
                    with open(target, "ab") as f: f.write(data[start:start + 20000])
            elif way == "truncated":
                with open(target, "wb") as f:
                    f.write(data); f.write(b"more than there should be")
                    f.flush(); f.truncate(len(data))
            elif way == "fsynced":
                with open(target, "wb") as f:
                    for start in range(0, len(data), 30000):
                        f.write(data[start:start + 30000]); f.flush(); os.fsync(f.fileno())
            elif way == "positioned":
                f = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                half = len(data) // 2
                assert os.pwrite(f, data[half:], half) == len(data) - half
                assert os.pread(f, 10, 0) == bytes(10)
                assert os.pwrite(f, data[:half], 0) == half
                assert os.pread(f, len(data), 0) == data
                os.close(f)
            """
    }

    @Test(arguments: Way.allCases) func everyWayOfSaving(_ way: Way) throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let name = TestSession.fileName(1, "Überblick über 会議")
            let body = TestSession.bytes(1, size: 150_000)
            let source = world.root + "/source.fastshot"
            try Files.replace(source, with: body)
            try way.save(source, world.body(name))
            // At once there for everyone, whole.
            #expect(try world.sessions() == [name])
            #expect(world.holds(name, body))
            try world.drain()
            #expect(try world.bucket.bodies() == [name: body])
            try world.bucket.expectClean()
            #expect(world.holds(name, body))
            #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(name)) == TestSession.title(1))
            #expect(["cached", "remote"].contains(world.state(name)), "\(world.state(name))")
            #expect(try world.queue().isEmpty)
        }
    }

    /// The same session at every store, small and in parts.
    @Test(arguments: StoreKind.writable) func everyStore(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let small = TestSession.bytes(2)
            let large = TestSession.bytes(3, size: 21 << 20)
            try world.save(TestSession.fileName(2), small)
            try world.save(TestSession.fileName(3), large)
            try world.drain()
            let bodies = try world.bucket.bodies()
            #expect(bodies.keys.sorted() == [TestSession.fileName(2), TestSession.fileName(3)])
            #expect(Noise.same(bodies[TestSession.fileName(2)] ?? [], small))
            #expect(Noise.same(bodies[TestSession.fileName(3)] ?? [], large))
            try world.bucket.expectClean()
            // Another machine reads them as any session.
            let other = try world.machine(1)
            try other.mount()
            #expect(other.holds(TestSession.fileName(2), small))
            #expect(other.holds(TestSession.fileName(3), large))
        }
    }

    /// A session that is edited in place, as a text: bare JSON is a session, too.
    @Test func sedInPlace() throws {
        try MountWorld.with { world in
            try world.mount()
            let name = "20260101000000_text.fastshot"
            let text =
                #"{"session": {"version": "1.0", "windows": []}, "metadata": {"name": "before", "desc": "", "#
                + #""tags": [], "color": "red", "class": "", "created_at": "2026-01-01T00:00:00.000001", "#
                + #""image_count": 0}}"#
            try world.save(name, Array(text.utf8))
            try world.drain()
            #expect(Shell.run("sed", ["-i", "s/before/after/", world.body(name)]).status == 0)
            let changed = Array(text.replacing("before", with: "after").utf8)
            #expect(world.holds(name, changed))
            try world.drain()
            #expect(try world.bucket.bodies() == [name: changed])
            #expect(ExtendedAttributes.value("user.fastshot.name", of: world.body(name)) == "after")
            try world.bucket.expectClean()
        }
    }

    /// Two descriptors, a slow writer and readers meanwhile: one file, and sent once, when the last writer closes.
    @Test func severalWritersShareTheFile() throws {
        try MountWorld.with { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            let name = TestSession.fileName(4)
            let body = TestSession.bytes(4, size: 60_000)
            let first = try OpenedFile(world.body(name), O_RDWR | O_CREAT | O_EXCL)
            let second = try OpenedFile(world.body(name), O_WRONLY)
            try first.write(Array(body[..<20_000]), at: 0)
            try second.write(Array(body[20_000...]), at: 20_000)
            #expect(Noise.same(try first.read(at: 0, count: 1 << 20), body))
            #expect(world.state(name) == "writing")
            try first.close()
            #expect(try world.bucket.names().isEmpty)
            #expect(world.holds(name, body))
            try second.close()
            try world.drain()
            #expect(try world.bucket.bodies() == [name: body])
            #expect(try world.sessions() == [name])
        }
    }

    /// A file that was opened and not written is an empty file, which is no session; and it does not disturb others.
    @Test func anEmptyFileIsNoSession() throws {
        try MountWorld.with { world in
            try world.mount()
            #expect(Shell.run("touch", [world.body("20260101000000_e.fastshot")]).status == 0)
            try world.save(TestSession.fileName(5), TestSession.bytes(5, key: nil))
            #expect(world.flush().status == 3)
            #expect(try world.bucket.names() == [TestSession.fileName(5)])
            #expect(world.state("20260101000000_e.fastshot") == "refused")
            try world.delete("20260101000000_e.fastshot")
            try world.drain()
        }
    }
}
