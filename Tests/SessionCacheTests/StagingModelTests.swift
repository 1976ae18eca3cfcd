import Catalog
import Digests
import ObjectStore
import Platform
import Testing

@testable import SessionCache

/// Random operations, ends of uploads and kills against a map of names to contents.
@Suite(.timeLimit(.minutes(10))) struct StagingModelTests {
    private static let names = [
        "a.fastshot", "b.fastshot", "c.fastshot", "d.fastshot", "a.part", "b~", ".c.fastshot",
    ]
    /// Histories of few names meet themselves more often.
    private static let fewNames = [["a.fastshot"], ["a.fastshot", "c.fastshot"], ["a.fastshot", "a.part"]]

    private struct OpenFile {
        var file: StagedFile
        var name: String?
        var bytes: [UInt8]
        /// What a kill leaves; nil: no file.
        var accepted: [UInt8]?
        var wasFlushed = false
        var isChanged = false
    }

    private struct World {
        let fixture: StagingFixture
        var random: SystemRandom
        /// What every name is to hold.
        var files: [String: [UInt8]] = [:]
        var open: [Int64: OpenFile] = [:]
        var running: [PendingChange] = []
        var refresh: ModelRefresh?
        var log: [String] = []
        var serial: UInt64 = 0
        var names = StagingModelTests.names
    }

    private struct SystemRandom {
        var state: UInt64
        mutating func below(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(limit))
        }
    }

    /// `SESSIONFS_MODEL_SEED=N` or `N-M` plays others.
    private static let seeds = ModelSeeds.wanted.map(Array.init) ?? Array(1...24) + [98, 176]

    @Test(arguments: seeds) func everyHistoryIsShownAndSent(seed: Int) async throws {
        try await run(seed, StagingModelTests.names)
    }

    @Test(arguments: seeds + [89]) func everyHistoryOfFewNamesIsShownAndSent(seed: Int) async throws {
        let few = StagingModelTests.fewNames
        try await run(seed + 1000, few[seed % few.count])
    }

    private func run(_ seed: Int, _ names: [String]) async throws {
        let fixture = try StagingFixture()
        var world = World(fixture: fixture, random: SystemRandom(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15))
        world.names = names
        for name in ["a.fastshot", "c.fastshot"] {
            let bytes = pattern(1000 + seed, seed: UInt64(seed))
            try await fixture.base.add(name, bytes)
            let publisher = ModelPublisher(fixture: fixture)
            publisher.setIndex(name, bytes)
            publisher.setRow(name, bytes)
            world.files[name] = bytes
        }
        do {
            for _ in 0..<(ModelSeeds.steps ?? 160) {
                try await step(&world)
                try check(&world)
            }
            try await finish(&world)
        } catch {
            let log = world.log.suffix(ModelSeeds.wanted == nil ? 60 : 400)
            Issue.record("seed \(seed): \(error)\n\(log.joined(separator: "\n"))")
        }
    }

    // MARK: Steps

    private func step(_ world: inout World) async throws {
        let name = world.names[world.random.below(world.names.count)]
        switch world.random.below(26) {
        case 0, 1, 2: try save(&world, name)
        case 3: try begin(&world, create: name)
        case 4, 5: try await edit(&world, name)
        case 6, 7: try closeOne(&world)
        case 8, 9: try remove(&world, name)
        case 10, 11, 12:
            try rename(&world, name, world.names[world.random.below(world.names.count)])
        case 13, 14, 15: try beginSending(&world)
        case 16, 17, 18: try endSending(&world)
        case 19, 20, 21, 22, 23, 24: try refresh(&world)
        default: try kill(&world)
        }
    }

    private func fresh(_ world: inout World) -> [UInt8] {
        world.serial += 1
        return pattern(100 + world.random.below(3000), seed: world.serial)
    }

    private func save(_ world: inout World, _ name: String) throws {
        let bytes = fresh(&world)
        do {
            try world.fixture.save(name, bytes)
            #expect(world.files[name] == nil)
            world.files[name] = bytes
            world.log.append("save \(name)")
        } catch let error as StagingError where error.kind == .exists {
            #expect(world.files[name] != nil)
        }
    }

    private func begin(_ world: inout World, create name: String) throws {
        guard world.files[name] == nil else { return }
        let file = try world.fixture.staging.create(name)
        let bytes = fresh(&world)
        try file.write(bytes.span.bytes, at: 0)
        world.open[file.id] = OpenFile(file: file, name: name, bytes: bytes, accepted: nil, isChanged: true)
        world.files[name] = bytes
        world.log.append("create \(name) = \(file.id)")
    }

    private func edit(_ world: inout World, _ name: String) async throws {
        guard let old = world.files[name] else { return }
        let id = try require_(world.fixture.staging.entry(fileName: name)?.id)
        guard world.open[id] == nil else { return }
        let truncating = world.random.below(2) == 0
        let file: StagedFile
        do { file = try await world.fixture.edit(id, truncating: truncating) } catch let error as StagingError
            where error.kind == .notFound && world.fixture.staging.change(id: id).map({ $0.content == nil }) ?? false
        {
            // A rename of it has come half its way in the bucket, and nobody has heard of that yet.
            return
        }
        var open = OpenFile(file: file, name: name, bytes: old, accepted: old)
        if truncating {
            open.bytes = []
            open.isChanged = true
        }
        if world.random.below(3) > 0 {
            let bytes = fresh(&world)
            try file.write(bytes.span.bytes, at: 0)
            open.bytes = bytes + open.bytes.dropFirst(bytes.count)
            open.isChanged = true
        }
        world.open[id] = open
        world.files[name] = open.bytes
        world.log.append("edit \(name) = \(id)\(truncating ? " truncating" : "")")
        if world.random.below(2) == 0 { try flush(&world, id) }
    }

    private func flush(_ world: inout World, _ id: Int64) throws {
        guard var open = world.open[id] else { return }
        try open.file.flush()
        if open.isChanged { open.wasFlushed = true }
        open.accepted = open.bytes
        world.open[id] = open
        world.log.append("flush \(id)")
    }

    private func closeOne(_ world: inout World) throws {
        let ids = world.open.keys.sorted()
        guard !ids.isEmpty else { return }
        let id = ids[world.random.below(ids.count)]
        world.open[id]?.file.close()
        world.open[id] = nil
        world.log.append("close \(id)")
    }

    private func remove(_ world: inout World, _ name: String) throws {
        let id: Int64
        do throws(StagingError) { id = try world.fixture.staging.remove(name) } catch {
            guard error.kind == .notFound else { throw error }
            #expect(world.files[name] == nil)
            return
        }
        #expect(world.files[name] != nil)
        world.files[name] = nil
        world.open[id]?.name = nil
        world.log.append("remove \(name) = \(id)")
    }

    private func rename(_ world: inout World, _ name: String, _ target: String) throws {
        do {
            let done = try world.fixture.staging.rename(name, to: target, replacing: true)
            let bytes = try require_(world.files[name])
            world.log.append("rename \(name) -> \(target) = \(done)")
            if name == target { return }
            world.files[name] = nil
            world.files[target] = bytes
            if let replaced = done.replaced { world.open[replaced]?.name = nil }
            world.open[done.id]?.name = target
            // An unflushed file is flushed by its rename.
            if let open = world.open[done.id], open.accepted == nil {
                world.open[done.id]?.accepted = open.bytes
                world.open[done.id]?.wasFlushed = true
            }
        } catch let error as StagingError where [.busy, .crossDevice].contains(error.kind) {
            world.log.append("rename \(name) -> \(target): \(error)")
        } catch let error as StagingError where error.kind == .notFound {
            #expect(world.files[name] == nil)
        }
    }

    // MARK: Sending

    private func beginSending(_ world: inout World) throws {
        let ready = world.fixture.staging.sendable(limit: 10)
        guard !ready.isEmpty else { return }
        let change = try require_(world.fixture.staging.begin(ready[world.random.below(ready.count)].id))
        world.running.append(change)
        world.log.append("begin \(text(change))")
    }

    private func text(_ change: PendingChange) -> String {
        "\(change.id).\(change.generation) \(change.remoteName ?? "-") \(change.remote?.etag ?? "?") -> "
            + "\(change.name ?? "-") \(change.content == nil ? "" : "with contents") replacing "
            + "\(change.replaces?.etag ?? "-")"
    }

    private func endSending(_ world: inout World) throws {
        guard !world.running.isEmpty else { return }
        let change = world.running.remove(at: world.random.below(world.running.count))
        var publisher = ModelPublisher(fixture: world.fixture)
        switch world.random.below(3) {
        case 0:
            let steps = world.random.below(6)
            world.log.append("postpone after \(steps) \(text(change))")
            try publisher.perform(change, stopping: steps)
            world.fixture.staging.postponed(change, reason: "the connection is gone")
        default:
            world.log.append("send \(text(change))")
            try publisher.perform(change)
            try world.fixture.staging.sent([world.fixture.sent(change)])
        }
    }

    /// Goes on with a refresh, to which much may happen between its steps.
    private func refresh(_ world: inout World) throws {
        let lists = world.random.below(2) == 0
        let names = StagingModelTests.names
        var refresh = try world.refresh ?? ModelRefresh(world.fixture, names: names, alwaysLists: lists)
        world.log.append("refresh \(try refresh.goOn())")
        world.refresh = refresh.isOver ? nil : refresh
    }

    private func kill(_ world: inout World) throws {
        for change in world.running where world.random.below(2) == 0 {
            var publisher = ModelPublisher(fixture: world.fixture)
            try publisher.perform(change, stopping: world.random.below(6))
        }
        world.running = []
        world.refresh = nil
        try world.fixture.kill()
        world.log.append("kill")
        for (_, open) in world.open {
            guard let name = open.name else { continue }
            world.files[name] = open.wasFlushed ? open.bytes : open.accepted
        }
        world.open = [:]
    }

    // MARK: Checks

    private func check(_ world: inout World) throws {
        let listing = try world.fixture.listing()
        let shown = listing.map(\.name).sorted()
        guard shown == world.files.keys.sorted() else {
            throw FalseConflict(description: "shown \(shown), wanted \(world.files.keys.sorted())")
        }
        #expect(listing.map(\.id) == listing.map(\.id).sorted())
        #expect(Set(listing.map(\.id)).count == listing.count)
        for row in listing {
            let wanted = world.files[row.name] ?? []
            let entry = try world.fixture.staging.entry(fileName: row.name)
            guard entry?.id == row.id, entry?.size == row.size, row.size == UInt64(wanted.count),
                try world.fixture.staging.entry(id: row.id)?.fileName == row.name
            else {
                throw FalseConflict(
                    description: "\(row) is \(String(describing: entry)), wanted \(wanted.count) bytes")
            }
            guard try world.fixture.reads(row.name, wanted) else {
                throw FalseConflict(description: "\(row) has other contents")
            }
        }
    }

    /// Everything is closed and sent: the bucket is what the names say, and nothing is left behind.
    private func finish(_ world: inout World) async throws {
        for (_, open) in world.open { open.file.close() }
        world.open = [:]
        for change in world.running {
            var publisher = ModelPublisher(fixture: world.fixture)
            try publisher.perform(change)
            try world.fixture.staging.sent([world.fixture.sent(change)])
        }
        world.running = []
        world.log.append("send all")
        try world.fixture.sendAll()
        try check(&world)
        let rest = world.fixture.staging.changes().filter { $0.state != .local }
        if !rest.isEmpty { throw FalseConflict(description: "left: \(rest)") }
        for name in StagingModelTests.names where Staging.isPublished(name) {
            guard world.fixture.bucket(name)?.bytes == world.files[name] else {
                throw FalseConflict(description: "the bucket has another \(name)")
            }
            guard world.fixture.isWhole(name) else {
                throw FalseConflict(description: "index or row of \(name) are not those of its body")
            }
        }
        let files = try Files.names(in: world.fixture.directory + "/staging")
        #expect(files.count == world.files.keys.filter { !Staging.isPublished($0) }.count)
        try world.fixture.kill()
        try check(&world)
    }
}
