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

/// What went wrong with a change although nobody else writes.
struct FalseConflict: Error, CustomStringConvertible {
    var description: String
}

/// Does to the bucket what a change says, with the conditions that keep other writers' work.
struct ModelPublisher {
    let fixture: StagingFixture
    private static let tags = Guarded<Int>(0)

    private func put(_ name: String, _ bytes: [UInt8]) {
        let tag = ModelPublisher.tags.withLock { tag in
            tag += 1
            return "t\(tag)"
        }
        fixture.base.store.set(SessionCache.keyPrefix + name, bytes, etag: tag)
    }

    private func remove(_ name: String) { fixture.base.store.remove(SessionCache.keyPrefix + name) }

    private func isOurs(_ object: ScriptedStore.Object, _ change: PendingChange, _ own: [UInt8]?) -> Bool {
        let mark = ContentFingerprint(size: UInt64(object.bytes.count), md5: MD5.hex(object.bytes))
        return object.bytes == own || change.attempted.contains(mark)
    }

    /// - Parameter stopping: as if the connection went after so many steps; nil does all.
    mutating func perform(_ change: PendingChange, stopping: Int? = nil) throws {
        var left = stopping ?? Int.max
        func isOver() -> Bool {
            left -= 1
            return left < 0
        }
        if isOver() { return }
        guard let name = change.name else { return try take(change, change.remoteName ?? "", nil) }
        let isRename = change.remoteName.map { $0 != name } ?? false
        var own: [UInt8]?
        if let content = change.content { own = try Files.read(content.path) }
        let there = fixture.bucket(name)
        let expected = isRename || change.remoteName == nil ? change.replaces : change.remote
        if isRename, own == nil {
            let source = fixture.bucket(change.remoteName ?? "")
            guard let source else {
                guard there != nil else { throw FalseConflict(description: "nothing to rename: \(change)") }
                return
            }
            if let remote = change.remote, remote.etag != source.etag {
                throw FalseConflict(description: "the source is another: \(change)")
            }
            own = source.bytes
        }
        if let there {
            guard expected?.etag == there.etag || isOurs(there, change, own) else {
                throw FalseConflict(description: "\(name) is taken: \(change)")
            }
        } else if let expected, !expected.mayBeGone {
            throw FalseConflict(description: "\(name) is gone: \(change)")
        }
        if let own { put(name, own) }
        if isOver() { return }
        if isRename { try take(change, change.remoteName ?? "", own) }
    }

    private func take(_ change: PendingChange, _ name: String, _ own: [UInt8]?) throws {
        guard let there = fixture.bucket(name) else { return }
        if let remote = change.remote {
            guard remote.etag == there.etag || isOurs(there, change, own) else {
                throw FalseConflict(description: "\(name) is another: \(change)")
            }
        } else if !isOurs(there, change, own) {
            return
        }
        remove(name)
    }
}
