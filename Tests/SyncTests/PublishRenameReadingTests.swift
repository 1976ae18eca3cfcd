import Catalog
import ObjectStore
import Platform
import SessionCache
import SessionFormat
import TestSupport
import Testing

@testable import Sync

/// A session that is not cached is read while its rename is carried out: the old object has gone, and the catalog still
/// names it.
@Suite(.timeLimit(.minutes(2))) struct PublishRenameReadingTests {
    private let newName = "20250101000009_renamed.fastshot"
    private var newKey: String { "sessions/" + newName }

    private func uncached(tellsMD5: Bool = false) async throws -> (PublishRig, Int64) {
        let rig = try PublishRig(tellsMD5: tellsMD5)
        try await rig.published(1..<3)
        rig.cache.clear(keepPinned: false)
        return (rig, try #require(try rig.staging.entry(fileName: fileName(1))).id)
    }

    @Test(arguments: [false, true]) func betweenTheRemovalAndTheCatalog(tellsMD5: Bool) async throws {
        let (rig, id) = try await uncached(tellsMD5: tellsMD5)
        let read = Guarded<Result<[UInt8], CacheError>?>(nil)
        rig.meddled.once(.delete, bodyKey(1), before: false) {
            #expect(rig.bucket.peek(bodyKey(1)) == nil)
            let outcome = await rig.read(id)
            read.withLock { $0 = outcome }
        }
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        #expect(try read.withLock { $0 }?.get() == session(1))
        #expect(try rig.catalog.entry(fileName: newName)?.id == id)
        #expect(rig.staging.changes() == [])
    }

    /// The answer that it is gone comes when the catalog knows the new name already.
    @Test(arguments: [false, true]) func theCatalogLearnsFirst(opensBefore: Bool) async throws {
        let (rig, id) = try await uncached()
        let gate = Slots(1)
        await gate.acquire()
        rig.meddled.once(.get, bodyKey(1)) { await gate.acquire() }
        let body = Guarded<OpenBody?>(nil)
        if opensBefore {
            try body.withLock { $0 = try rig.cache.open(id) }
        } else {
            rig.meddled.once(.delete, bodyKey(1), before: false) {
                body.withLock { $0 = try? rig.cache.open(id) }
            }
        }
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        #expect(try rig.catalog.entry(fileName: newName)?.id == id)
        gate.release()
        let opened = try #require(body.withLock { $0 })
        #expect(try await PublishRig.bytes(of: opened).get() == session(1))
        #expect(try rig.catalog.entry(id: id) != nil)
    }

    /// A refresh meets the rename half done: it drops the session, and takes the copy for another one.
    @Test(arguments: [false, true]) func aRefreshLooksInBetween(isOpen: Bool) async throws {
        let (rig, id) = try await uncached()
        let read = Guarded<Result<[UInt8], CacheError>?>(nil)
        let key = newKey
        let name = newName
        rig.meddled.once(.delete, bodyKey(1), before: false) {
            do {
                let body = isOpen ? try rig.cache.open(id) : nil
                let info = try await rig.bucket.head(key)
                let facts = ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified)
                rig.cache.apply(try rig.catalog.remove(id: id))
                rig.cache.apply(try rig.catalog.apply([.object(fileName: name, facts)]))
                #expect(try rig.catalog.entry(id: id) == nil)
                let outcome = if let body { await PublishRig.bytes(of: body) } else { await rig.read(id) }
                read.withLock { $0 = outcome }
            } catch { Issue.record(error) }
        }
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        #expect(await rig.flush() == [])
        #expect(try read.withLock { $0 }?.get() == session(1))
        #expect(try rig.catalog.entry(fileName: newName)?.id == id)
        #expect(rig.staging.changes() == [])
    }

    /// An earlier process came as far as the removal.
    @Test func aRenameThatIsHalfDone() async throws {
        let (rig, id) = try await uncached(tellsMD5: true)
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        rig.bucket.set(newKey, session(1))
        rig.bucket.unset(bodyKey(1))
        #expect(try await rig.read(id).get() == session(1))
        #expect(try rig.catalog.entry(id: id) != nil)
    }

    /// Somebody else has removed the session, and another one has the new name.
    @Test func whatIsTrulyGoneIsNotFound() async throws {
        let (rig, id) = try await uncached(tellsMD5: true)
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        rig.bucket.set(newKey, session(1, "other"))
        rig.bucket.unset(bodyKey(1))
        guard case .failure(let error) = await rig.read(id) else {
            Issue.record("another session was read")
            return
        }
        #expect(error.kind == .notFound)
    }

    /// Another machine has renamed it, which this one has seen under the new name only.
    @Test func anotherMachinesRenameIsAnotherSession() async throws {
        let (rig, id) = try await uncached()
        rig.bucket.set(newKey, session(1))
        rig.bucket.unset(bodyKey(1))
        let info = try await rig.bucket.head(newKey)
        _ = try rig.catalog.apply([
            .object(fileName: newName, ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified))
        ])
        guard case .failure(let error) = await rig.read(id) else {
            Issue.record("a session that has gone was read")
            return
        }
        #expect(error.kind == .notFound)
        while try rig.catalog.entry(id: id) != nil { try await Task.sleep(for: .milliseconds(2)) }
        let other = try #require(try rig.catalog.entry(fileName: newName)).id
        #expect(try await rig.read(other).get() == session(1))
    }

    /// The store refuses the removal: who reads the copy goes back to the object.
    @Test func aRenameThatIsTakenBack() async throws {
        let (rig, id) = try await uncached()
        rig.store.inject(.fail(.denied), verb: .delete, key: bodyKey(1))
        _ = try rig.staging.rename(fileName(1), to: newName, replacing: false)
        _ = await rig.flush()
        #expect(rig.bucket.peek(newKey) == nil)
        #expect(try await rig.read(id).get() == session(1))
    }
}

extension PublishRig {
    /// The whole body of a session as the cache gives it.
    fileprivate func read(_ id: Int64) async -> Result<[UInt8], CacheError> {
        do throws(CacheError) { return await Self.bytes(of: try cache.open(id)) } catch { return .failure(error) }
    }

    fileprivate static func bytes(of body: OpenBody) async -> Result<[UInt8], CacheError> {
        let reply = await withCheckedContinuation { done in
            body.read(at: 0, count: 1 << 20) { done.resume(returning: $0) }
        }
        return reply.map { bytes in
            switch bytes {
            case .file(let file, let offset, let count): (try? file.read(at: offset, count: count)) ?? []
            }
        }
    }
}
