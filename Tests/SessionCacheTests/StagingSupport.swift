import Catalog
import Digests
import Foundation
import ObjectStore
import Platform
import SessionFormat

@testable import SessionCache

/// Staging over a cache whose store stands for the bucket.
final class StagingFixture {
    let base: Fixture
    private(set) var staging: Staging
    private(set) var directory: String
    let deltas = Guarded<[CatalogDelta]>([])
    /// The overall file.
    let rows = Guarded<[String: OverallRow]>([:])
    private var kills = 0

    /// - Parameter state: the state directory; nil for one that goes with the fixture.
    init(state: String? = nil) throws {
        base = try Fixture()
        directory = state ?? base.root + "/state0"
        staging = try StagingFixture.open(directory, base, deltas)
    }

    private static func open(
        _ directory: String, _ base: Fixture, _ deltas: Guarded<[CatalogDelta]>
    ) throws -> Staging {
        try require_(
            try Staging.open(directory: directory, catalog: base.catalog, cache: base.cache) { delta in
                deltas.withLock { $0.append(delta) }
            })
    }

    /// What a process finds that starts after this one was killed: the state directory as it is at this moment.
    func kill() throws {
        kills += 1
        let next = base.root + "/state\(kills)"
        try FileManager.default.copyItem(atPath: directory, toPath: next)
        staging.close()
        directory = next
        staging = try StagingFixture.open(directory, base, deltas)
    }

    /// Ends this process's staging and begins the next one's, in the same directory.
    func restart(_ between: (String) throws -> Void = { _ in }) throws {
        staging.close()
        try between(directory)
        staging = try StagingFixture.open(directory, base, deltas)
    }

    // MARK: What programs do

    /// Makes a file and closes it.
    @discardableResult
    func save(_ name: String, _ bytes: [UInt8]) throws -> Int64 {
        let file = try staging.create(name)
        try file.write(bytes.span.bytes, at: 0)
        try file.flush()
        file.close()
        return file.id
    }

    func edit(_ id: Int64, truncating: Bool = false) async throws -> StagedFile {
        let staging = staging
        return try await withCheckedContinuation { done in
            staging.openForWriting(id: id, truncating: truncating) { done.resume(returning: $0) }
        }.get()
    }

    /// Overwrites a file with new contents.
    func overwrite(_ name: String, _ bytes: [UInt8]) async throws {
        let id = try require_(staging.entry(fileName: name)?.id)
        let file = try await edit(id, truncating: true)
        try file.write(bytes.span.bytes, at: 0)
        try file.flush()
        file.close()
    }

    /// The names that are shown, with their ids and sizes, as a listing gives them.
    func listing() throws -> [(name: String, id: Int64, size: UInt64)] {
        var found: [(String, Int64, UInt64)] = []
        try staging.scan(after: 0) { row in
            found.append((row.withFileName { name in String(decoding: name) }, row.id, row.size))
            return true
        }
        return found
    }

    func names() throws -> [String] { try listing().map(\.name).sorted() }

    /// Whether a program reads these contents under a name. What is not here is somewhere in the bucket: a rename may
    /// be half done there.
    func reads(_ name: String, _ bytes: [UInt8]) throws -> Bool {
        guard let entry = try staging.entry(fileName: name) else { return false }
        if let file = try staging.openContents(id: entry.id) {
            return try file.descriptor.read(at: 0, count: Int(file.size) + 1) == bytes
        }
        if staging.change(id: entry.id) != nil {
            return base.store.holds(bytes)
        }
        return bucket(name)?.bytes == bytes
    }

    // MARK: The bucket

    func bucket(_ name: String) -> ScriptedStore.Object? {
        base.store.object(SessionCache.keyPrefix + name)
    }

    func info(_ name: String) -> ObjectInfo? {
        bucket(name).map {
            ObjectInfo(
                key: SessionCache.keyPrefix + name, size: UInt64($0.bytes.count), etag: $0.etag,
                modified: Timestamp(seconds: 1_700_000_000), contentMD5: $0.contentMD5)
        }
    }

    func sent(_ change: PendingChange) -> Staging.Sent {
        let object = change.name.flatMap(info)
        return Staging.Sent(change: change, object: object, contentMD5: object?.contentMD5)
    }

    /// Begins the oldest change, and puts its contents where they belong.
    @discardableResult
    func begin(_ id: Int64? = nil) throws -> PendingChange {
        let first = try require_(id ?? staging.sendable(limit: 1).first?.id)
        return try require_(staging.begin(first))
    }

    /// Sends everything that can be sent, as a publisher without rivals does.
    func sendAll() throws {
        while let next = staging.sendable(limit: 1).first {
            let change = try require_(staging.begin(next.id))
            var publisher = ModelPublisher(fixture: self)
            try publisher.perform(change)
            try staging.sent([sent(change)])
        }
    }
}
