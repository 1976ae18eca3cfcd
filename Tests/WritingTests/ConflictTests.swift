import Foundation
import MountHarness
import Platform
import Testing

/// The same sessions changed here and by another client meanwhile.
@Suite(.timeLimit(.minutes(5))) struct ConflictTests {
    /// Which change collides with which.
    enum Kind: Int, CaseIterable {
        case created = 1, edited, editedRemoved, removedEdited, renamed

        var name: String { TestSession.fileName(rawValue) }
        /// What a rename wanted.
        var newName: String { TestSession.fileName(100 + rawValue) }
        var mine: [UInt8] { TestSession.bytes(10 + rawValue) }
        var theirs: [UInt8] { TestSession.bytes(20 + rawValue) }
        var word: String {
            switch self {
            case .created: "created"
            case .edited: "edited"
            case .editedRemoved: "edited_removed"
            case .removedEdited: "removed_edited"
            case .renamed: "renamed"
            }
        }
        /// Whether the local side has contents of its own.
        var hasContents: Bool { self == .created || self == .edited || self == .editedRemoved }
    }

    /// A mount whose every kind of change collides when it is online again.
    private func withCollisions(
        _ kind: StoreKind, _ options: [String] = [], mineFirst: Bool = true, _ body: (MountWorld) throws -> Void
    ) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"] + options
            try world.mount()
            for kind in Kind.allCases where kind != .created {
                try world.save(kind.name, TestSession.bytes(kind.rawValue))
            }
            try world.drain()
            try world.tell("offline", "on")
            if mineFirst { try changeHere(world) }
            let client = world.bucket.client
            for kind in Kind.allCases {
                if kind == .editedRemoved {
                    try client.delete(kind.name)
                } else {
                    try client.save(kind.name, kind.theirs)
                }
            }
            if !mineFirst { try changeHere(world) }
            try world.tell("offline", "off")
            try body(world)
            try world.bucket.expectClean()
        }
    }

    private func changeHere(_ world: Machine) throws {
        for kind in Kind.allCases where kind.hasContents { try world.save(kind.name, kind.mine) }
        try world.delete(Kind.removedEdited.name)
        try world.rename(Kind.renamed.name, to: Kind.renamed.newName)
    }

    /// Holds mount and bucket to exactly these sessions.
    private func expect(
        _ world: Machine, _ expected: [String: [UInt8]], _ location: SourceLocation = #_sourceLocation
    ) throws {
        try world.drain(location)
        try world.refresh(nil, location)
        #expect(try world.sessions() == expected.keys.sorted(), sourceLocation: location)
        let bodies = try world.bucket.bodies()
        #expect(bodies.keys.sorted() == expected.keys.sorted(), sourceLocation: location)
        for (name, bytes) in expected {
            #expect(Noise.same(bodies[name] ?? [], bytes), "\(name) in the bucket", sourceLocation: location)
            #expect(world.holds(name, bytes), "\(name) in the mount", sourceLocation: location)
        }
    }

    enum Choice: String, CaseIterable, CustomTestStringConvertible {
        case mine, theirs, both
        var testDescription: String { rawValue }
    }

    /// Every choice on a directory, and on each server one that sends something; of these, one honours no conditions.
    static let decisions = StoreKind.usually(
        Choice.allCases.map { (StoreKind.directory, $0) }
            + [(.ministack, .mine), (.ceph, .both), (.openStackSwift, .mine)],
        thorough: StoreKind.writable.flatMap { kind in Choice.allCases.map { (kind, $0) } })

    /// Both versions are readable until the user decides, and then it is as decided.
    @Test(arguments: decisions) func manual(_ kind: StoreKind, _ choice: Choice) throws {
        try withCollisions(kind) { world in
            let flushed = world.flush()
            #expect(flushed.status == 3, "\(flushed)")
            let conflicts = try world.conflicts()
            #expect(Set(conflicts.map(\.kind)) == Set(Kind.allCases.map(\.word)))
            #expect(try world.status().number("queue.conflicts") == 5)
            try world.refresh()
            var localNames: [Kind: String] = [:]
            for kind in Kind.allCases {
                let conflict = try #require(conflicts.first { $0.kind == kind.word })
                #expect(conflict.name == kind.name)
                if kind.hasContents {
                    let localName = try #require(conflict.localName)
                    localNames[kind] = localName
                    #expect(localName.hasSuffix("(conflict \(conflict.id)).fastshot"), "\(localName)")
                    #expect(world.holds(localName, kind.mine), "\(localName)")
                    #expect(world.state(localName) == "conflict")
                }
                if kind == .editedRemoved {
                    #expect(Posix.open(world.body(kind.name)) == ENOENT)
                } else {
                    #expect(world.holds(kind.name, kind.theirs), "\(kind)")
                }
            }
            #expect(Posix.open(world.body(Kind.renamed.newName)) == ENOENT)
            // All of that is there after a crash.
            try world.killDaemon()
            try world.mount()
            #expect(try world.conflicts().map(\.id) == conflicts.map(\.id))
            for (kind, localName) in localNames { #expect(world.holds(localName, kind.mine)) }
            for conflict in conflicts { try world.resolve(conflict.id, choice.rawValue) }
            var expected: [String: [UInt8]] = [:]
            for kind in Kind.allCases {
                if kind != .editedRemoved { expected[kind.name] = kind.theirs }
                switch (choice, kind) {
                case (.mine, .removedEdited): expected[kind.name] = nil
                case (.mine, .renamed):
                    expected[kind.name] = nil
                    expected[kind.newName] = kind.theirs
                case (.mine, _): expected[kind.name] = kind.mine
                case (.both, _): if let localName = localNames[kind] { expected[localName] = kind.mine }
                case (.theirs, _): break
                }
            }
            try expect(world, expected)
            #expect(try world.conflicts().isEmpty)
            // The history says how it was decided; what lost is kept.
            let history = try world.conflicts(all: true)
            #expect(history.map(\.id) == conflicts.map(\.id))
            #expect(history.allSatisfy { $0.choice == choice.rawValue && $0.decidedBy == "user" })
            for kind in Kind.allCases where choice == .theirs && kind.hasContents {
                let kept = try #require(history.first { $0.kind == kind.word }?.kept)
                #expect(Noise.same(try Files.read(kept), kind.mine))
            }
        }
    }

    @Test(arguments: [StoreKind.directory, .ministack]) func localPreferred(_ kind: StoreKind) throws {
        try withCollisions(kind, ["--conflicts", "local_preferred"]) { world in
            try expect(
                world,
                [
                    Kind.created.name: Kind.created.mine, Kind.edited.name: Kind.edited.mine,
                    Kind.editedRemoved.name: Kind.editedRemoved.mine, Kind.renamed.newName: Kind.renamed.theirs,
                ])
            #expect(try world.conflicts(all: true).allSatisfy { $0.decidedBy == "local_preferred" })
        }
    }

    @Test(arguments: [StoreKind.directory, .ministack]) func serverPreferred(_ kind: StoreKind) throws {
        try withCollisions(kind, ["--conflicts", "server_preferred"]) { world in
            let kinds = Kind.allCases.filter { $0 != .editedRemoved }
            try expect(world, Dictionary(uniqueKeysWithValues: kinds.map { ($0.name, $0.theirs) }))
            let history = try world.conflicts(all: true)
            #expect(history.count == 5 && history.allSatisfy { $0.decidedBy == "server_preferred" })
            for kind in Kind.allCases where kind.hasContents {
                let kept = try #require(history.first { $0.kind == kind.word }?.kept)
                #expect(Noise.same(try Files.read(kept), kind.mine))
            }
        }
    }

    @Test func lastWriteWinsForThem() throws {
        try withCollisions(.directory, ["--conflicts", "last_write_wins"]) { world in
            try world.drain()
            let bodies = try world.bucket.bodies()
            for kind in Kind.allCases where kind != .editedRemoved {
                #expect(Noise.same(bodies[kind.name] ?? [], kind.theirs), "\(kind)")
            }
            #expect(bodies[Kind.renamed.newName] == nil)
        }
    }

    @Test func lastWriteWinsForMe() throws {
        try withCollisions(.directory, ["--conflicts", "last_write_wins"], mineFirst: false) { world in
            try world.drain()
            let bodies = try world.bucket.bodies()
            for kind in [Kind.created, .edited, .editedRemoved] {
                #expect(Noise.same(bodies[kind.name] ?? [], kind.mine), "\(kind)")
            }
            #expect(bodies[Kind.removedEdited.name] == nil && bodies[Kind.renamed.name] == nil)
            #expect(Noise.same(bodies[Kind.renamed.newName] ?? [], Kind.renamed.theirs))
        }
    }

    /// A way of its own for each kind.
    @Test func aStrategyForEachKind() throws {
        let options = "conflict_created=local_preferred,conflict_edited=server_preferred"
        try withCollisions(.directory, ["-o", options]) { world in
            #expect(world.flush().status == 3)
            #expect(Set(try world.conflicts().map(\.kind)) == ["edited_removed", "removed_edited", "renamed"])
            #expect(world.holds(Kind.created.name, Kind.created.mine))
            #expect(world.holds(Kind.edited.name, Kind.edited.theirs))
            for conflict in try world.conflicts() { try world.resolve(conflict.id, "theirs") }
            try world.drain()
        }
    }

    /// The other client goes on while a conflict waits: `mine` replaces what is there by then.
    @Test(arguments: [StoreKind.directory, .ministack]) func theBucketMovesOnMeanwhile(_ kind: StoreKind) throws {
        try withCollisions(kind) { world in
            #expect(world.flush().status == 3)
            let client = world.bucket.client
            try client.save(Kind.edited.name, TestSession.bytes(99))
            try client.delete(Kind.created.name)
            for conflict in try world.conflicts() { try world.resolve(conflict.id, "mine") }
            try expect(
                world,
                [
                    Kind.created.name: Kind.created.mine, Kind.edited.name: Kind.edited.mine,
                    Kind.editedRemoved.name: Kind.editedRemoved.mine, Kind.renamed.newName: Kind.renamed.theirs,
                ])
        }
    }

    /// Both sides did the same: nothing to decide.
    @Test(arguments: StoreKind.writable) func theSameOnBothSidesIsNoConflict(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile()]
            try world.mount()
            for number in 0..<3 { try world.save(TestSession.fileName(number), TestSession.bytes(number)) }
            try world.drain()
            try world.tell("offline", "on")
            try world.save(TestSession.fileName(0), TestSession.bytes(10))
            try world.delete(TestSession.fileName(1))
            try world.save(TestSession.fileName(5), TestSession.bytes(5))
            try world.bucket.client.save(TestSession.fileName(0), TestSession.bytes(10))
            try world.bucket.client.delete(TestSession.fileName(1))
            try world.bucket.client.save(TestSession.fileName(5), TestSession.bytes(5))
            try world.tell("offline", "off")
            try world.drain()
            #expect(try world.conflicts(all: true).isEmpty)
            #expect(try world.sessions() == [0, 2, 5].map { TestSession.fileName($0) })
            try world.bucket.expectClean()
        }
    }

    /// A thousand conflicts are listed, shown, and decided one by one or all at once.
    @Test func aThousandConflicts() throws {
        try MountWorld.with(seconds: 280) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            try world.mount()
            try world.tell("offline", "on")
            let theirs = TestSession.bytes(2000)
            for number in 0..<1000 {
                try world.save(TestSession.fileName(number), TestSession.bytes(number))
                try world.bucket.put("sessions/" + TestSession.fileName(number), theirs)
            }
            try world.tell("offline", "off")
            #expect(world.flush(seconds: 170).status == 3)
            let conflicts = try world.conflicts()
            #expect(conflicts.count == 1000)
            #expect(Set(conflicts.map(\.name)).count == 1000)
            let listed = Shell.run("ls", ["-l", world.point + "/sessions"]).output.split(separator: "\n")
            #expect(listed.count { $0.contains("(conflict ") } == 1000)
            // One by its number, one by another, and all that are left at once.
            try world.resolve(conflicts[0].id, "theirs")
            try world.resolve(conflicts[1].id, "both")
            #expect(try world.conflicts().count == 998)
            let resolved = world.run(["conflicts", "resolve", world.point, "all", "mine"], seconds: 120)
            #expect(resolved.status == 0 && resolved.output.contains("998 of 998"), "\(resolved)")
            #expect(try world.conflicts().isEmpty)
            #expect(try world.conflicts(all: true).count == 1000)
            try world.drain(seconds: 170)
            let bodies = try world.bucket.bodies()
            #expect(bodies.count == 1001)
            let unreplaced = Set(conflicts[..<2].map(\.name))
            for number in 0..<1000 {
                let name = TestSession.fileName(number)
                let wanted = unreplaced.contains(name) ? theirs : TestSession.bytes(number)
                #expect(Noise.same(bodies[name] ?? [], wanted), "\(name)")
            }
        }
    }

    /// Two machines edit one session: the second to send finds the first one's, and both versions are there.
    @Test(arguments: StoreKind.remote) func twoMachinesEditOneSession(_ kind: StoreKind) throws {
        try MountWorld.with(kind) { world in
            world.options = ["--key-file", try world.keyFile(), "-o", "poll_interval=1h"]
            let name = TestSession.fileName(1)
            let other = try world.machine(1)
            try world.mount()
            try world.save(name, TestSession.bytes(1))
            try world.drain()
            try other.mount()
            try other.tell("offline", "on")
            try other.save(name, TestSession.bytes(2))
            try world.save(name, TestSession.bytes(3))
            try world.drain()
            try other.tell("offline", "off")
            #expect(other.flush().status == 3)
            let conflict = try #require(try other.conflicts().first)
            #expect(conflict.kind == "edited")
            try other.refresh()
            #expect(other.holds(name, TestSession.bytes(3)))
            #expect(other.holds(try #require(conflict.localName), TestSession.bytes(2)))
            try other.resolve(conflict.id, "both")
            try other.drain()
            try world.refresh()
            #expect(try world.sessions().count == 2)
            try world.bucket.expectClean()
        }
    }
}
