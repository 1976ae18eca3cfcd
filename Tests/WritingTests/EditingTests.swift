import Foundation
import MountHarness
import Platform
import Testing

/// Sessions that are in the bucket already: edited, removed, renamed.
@Suite(.timeLimit(.minutes(4))) struct EditingTests {
    /// A mount of a bucket with four sessions that another client saved; none of them is cached.
    private func withSessions(_ kind: StoreKind = .directory, _ body: (MountWorld) throws -> Void) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            for number in 0..<4 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            try world.drain()
            try world.unmount()
            try world.mount()
            try body(world)
        }
    }

    /// Holds the mount and the bucket to the same contents, and the bucket to its rules.
    private func expect(
        _ world: Machine, _ seeds: [Int: Int], bodies more: [String: [UInt8]] = [:],
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let expected = Dictionary(
            uniqueKeysWithValues: seeds.map { (TestSession.fileName($0.key), TestSession.bytes($0.value)) }
        ).merging(more) { $1 }
        #expect(try world.sessions() == expected.keys.sorted(), sourceLocation: location)
        for (name, bytes) in expected { #expect(world.holds(name, bytes), "\(name)", sourceLocation: location) }
        try world.drain(location)
        let bodies = try world.bucket.bodies()
        #expect(bodies.keys.sorted() == expected.keys.sorted(), sourceLocation: location)
        for (name, bytes) in expected {
            #expect(Noise.same(bodies[name] ?? [], bytes), "\(name) in the bucket", sourceLocation: location)
        }
        try world.bucket.expectClean(location)
        #expect(try world.sessions() == expected.keys.sorted(), sourceLocation: location)
        for (name, bytes) in expected { #expect(world.holds(name, bytes), "\(name) after", sourceLocation: location) }
    }

    private func name(_ number: Int) -> String { TestSession.fileName(number) }

    @Test(arguments: StoreKind.writable) func editRemoveRename(_ kind: StoreKind) throws {
        try withSessions(kind) { world in
            try world.save(name(0), TestSession.bytes(10, size: 5000))
            try world.delete(name(1))
            try world.rename(name(2), to: name(7))
            #expect(try world.sessions() == [name(0), name(3), name(7)])
            #expect(world.holds(name(0), TestSession.bytes(10, size: 5000)))
            #expect(world.holds(name(7), TestSession.bytes(2)))
            try world.drain()
            let bodies = try world.bucket.bodies()
            #expect(
                bodies == [
                    name(0): TestSession.bytes(10, size: 5000), name(3): TestSession.bytes(3),
                    name(7): TestSession.bytes(2),
                ])
            try world.bucket.expectClean()
            let facts = ExtendedAttributes.value("user.fastshot.name", of: world.body(name(7)))
            #expect(facts == TestSession.title(2))
            // Another machine learns all of it.
            let other = try world.machine(1)
            try other.mount()
            #expect(try other.sessions() == [name(0), name(3), name(7)])
            #expect(other.holds(name(7), TestSession.bytes(2)))
        }
    }

    /// One byte in the middle of a body that is not here: it is fetched first, and everything else stays.
    @Test(arguments: [StoreKind.directory, .ministack]) func oneByteOfARemoteBody(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.bucket.client.save(name(0), TestSession.bytes(0, size: 3 << 20))
            try world.mount()
            #expect(world.state(name(0)) == "remote")
            var expected = TestSession.bytes(0, size: 3 << 20)
            // A letter of a picture's text.
            expected[1 << 20] ^= 1
            let file = try OpenedFile(world.body(name(0)), O_RDWR)
            try file.write([expected[1 << 20]], at: 1 << 20)
            try file.close()
            #expect(world.holds(name(0), expected))
            try world.drain()
            #expect(Noise.same(try world.bucket.bodies()[name(0)] ?? [], expected))
            try world.bucket.expectClean()
        }
    }

    @Test func aRenameTakesTheOthersPlace() throws {
        try withSessions { world in
            try world.rename(name(0), to: name(1))
            try expect(world, [1: 0, 2: 2, 3: 3])
            // A new one over an old one, and at once away again.
            try world.save(name(9), TestSession.bytes(9))
            try world.rename(name(9), to: name(2))
            try world.rename(name(2), to: name(5))
            try expect(world, [1: 0, 5: 9, 3: 3])
        }
    }

    @Test func removedAndMadeAgain() throws {
        try withSessions { world in
            try world.delete(name(0))
            try world.save(name(0), TestSession.bytes(20))
            try expect(world, [0: 20, 1: 1, 2: 2, 3: 3])
            for round in 0..<10 {
                try world.delete(name(1))
                try world.save(name(1), TestSession.bytes(30 + round))
            }
            try world.delete(name(2))
            try expect(world, [0: 20, 1: 39, 3: 3])
        }
    }

    /// There and back again, before anything was sent and after.
    @Test func renamedThereAndBack() throws {
        try withSessions { world in
            try world.tell("offline", "on")
            try world.rename(name(0), to: name(8))
            try world.rename(name(8), to: name(0))
            try world.rename(name(1), to: name(8))
            try world.save(name(8), TestSession.bytes(40))
            try world.rename(name(8), to: name(1))
            try world.tell("offline", "off")
            try expect(world, [0: 0, 1: 40, 2: 2, 3: 3])
            // A ring of names, over one that is free.
            try world.rename(name(0), to: name(8))
            try world.drain()
            try world.rename(name(1), to: name(0))
            try world.drain()
            try world.rename(name(8), to: name(1))
            try expect(world, [0: 40, 1: 0, 2: 2, 3: 3])
        }
    }

    /// New files that go before they were sent leave nothing anywhere.
    @Test func madeAndRemovedBeforeItWasSent() throws {
        try withSessions { world in
            try world.tell("offline", "on")
            for number in 50..<60 {
                try world.save(name(number), TestSession.bytes(number))
                try world.rename(name(number), to: name(number + 100))
                try world.delete(name(number + 100))
            }
            #expect(try world.queue().isEmpty)
            try world.tell("offline", "off")
            try expect(world, [0: 0, 1: 1, 2: 2, 3: 3])
        }
    }

    /// POSIX: who has a file open goes on with it, whatever becomes of its name.
    @Test func openFilesOutliveTheirNames() throws {
        try withSessions { world in
            let reader = try FileDescriptor.open(world.body(name(0)))
            #expect(Noise.same(try reader.read(at: 0, count: 1 << 20), TestSession.bytes(0)))
            let writer = try OpenedFile(world.body(name(5)), O_RDWR | O_CREAT)
            try writer.write(TestSession.bytes(5), at: 0)
            try world.delete(name(0))
            try world.delete(name(5))
            #expect(try world.sessions() == [name(1), name(2), name(3)])
            try writer.write([1, 2, 3], at: 0)
            #expect(try writer.read(at: 0, count: 3) == [1, 2, 3])
            #expect(Noise.same(try reader.read(at: 0, count: 1 << 20), TestSession.bytes(0)))
            try writer.close()
            // A writer whose file was renamed meanwhile writes to the file of the new name.
            let renamed = try OpenedFile(world.body(name(6)), O_RDWR | O_CREAT)
            try renamed.write(Array(TestSession.bytes(6).prefix(10)), at: 0)
            try world.rename(name(6), to: name(7))
            try renamed.write(TestSession.bytes(6), at: 0)
            try renamed.close()
            try expect(world, [1: 1, 2: 2, 3: 3, 7: 6])
        }
    }

    /// Downloads and editors rename before they close: what is still written to is not sent, whatever it is called.
    @Test func renamedWhileItIsWritten() throws {
        try withSessions { world in
            let body = TestSession.bytes(5, size: 50_000)
            for (number, old) in ["5.part", name(0), name(8)].enumerated() {
                let new = name(10 + number)
                let writer = try OpenedFile(world.body(old), O_RDWR | O_CREAT)
                try writer.truncate(0)
                try writer.write(Array(body[..<20_000]), at: 0)
                try writer.synchronize()
                try world.rename(old, to: new)
                // Time to be sent in.
                #expect(world.flush(["--timeout", "3"]).status == 3)
                #expect(world.state(new) == "writing")
                try writer.write(Array(body[20_000...]), at: 20_000)
                #expect(try !world.bucket.names().contains(new))
                try writer.close()
                #expect(world.holds(new, body))
            }
            try expect(world, [1: 1, 2: 2, 3: 3], bodies: [name(10): body, name(11): body, name(12): body])
        }
    }

    /// The times that programs set are shown until the upload; then the time is the session's own, as everywhere.
    @Test func times() throws {
        try withSessions { world in
            try world.tell("offline", "on")
            try world.save(name(5), TestSession.bytes(5))
            #expect(Shell.run("touch", ["-d", "2001-02-03T04:05:06Z", world.body(name(5))]).status == 0)
            #expect(try Files.status(world.body(name(5)))?.modified.seconds == 981_173_106)
            try world.tell("offline", "off")
            try world.drain()
            let other = try #require(try Files.status(world.body(name(1)))?.modified.seconds)
            // Sessions of the maker are all of one second.
            #expect(try Files.status(world.body(name(5)))?.modified.seconds == other)
            try expect(world, [0: 0, 1: 1, 2: 2, 3: 3, 5: 5])
        }
    }

    @Test(arguments: ["@-9223372036", "@9223372037", "9999-12-31", "1500-01-01"]) func anyTimeCanBeSet(time: String)
        throws
    {
        try withSessions { world in
            try world.save("x.part", [1])
            #expect(Shell.run("touch", ["-d", time, world.body("x.part")]).status == 0)
            #expect(try Files.read(world.body("x.part")) == [1])
            #expect(world.holds(name(0), TestSession.bytes(0)))
        }
    }

    /// Inode numbers are the files': an upload does not change them, nor does a rename.
    @Test func inodesStay() throws {
        try withSessions { world in
            try world.tell("offline", "on")
            try world.save(name(5), TestSession.bytes(5))
            let new = try Files.status(world.body(name(5)))?.inode
            let old = try Files.status(world.body(name(1)))?.inode
            try world.rename(name(1), to: name(6))
            try world.tell("offline", "off")
            try world.drain()
            #expect(try Files.status(world.body(name(5)))?.inode == new)
            #expect(try Files.status(world.body(name(6)))?.inode == old)
            try world.unmount()
            try world.mount()
            #expect(try Files.status(world.body(name(5)))?.inode == new)
            #expect(try Files.status(world.body(name(6)))?.inode == old)
        }
    }

    /// What one machine does is seen by another, in the open mount.
    @Test(arguments: [StoreKind.ministack]) func twoMachines(_ kind: StoreKind) throws {
        try withSessions(kind) { world in
            let other = try world.machine(1)
            try other.mount()
            #expect(other.holds(name(0), TestSession.bytes(0)))
            try world.save(name(0), TestSession.bytes(60, size: 9000))
            try world.delete(name(1))
            try world.save(name(4), TestSession.bytes(4))
            try world.drain()
            try other.refresh()
            #expect(try other.sessions() == [name(0), name(2), name(3), name(4)])
            #expect(other.holds(name(0), TestSession.bytes(60, size: 9000)))
            // And back: both have written now, and nothing is a conflict.
            try other.save(name(0), TestSession.bytes(61))
            try other.rename(name(4), to: name(5))
            try other.drain()
            try world.refresh()
            #expect(world.holds(name(0), TestSession.bytes(61)))
            #expect(world.holds(name(5), TestSession.bytes(4)))
            #expect(try world.conflicts().isEmpty && other.conflicts().isEmpty)
            try world.bucket.expectClean()
        }
    }
}
