import Catalog
import Foundation
import ObjectStore
import Operations
import Platform
import SessionCache
import SessionFormat
import Synchronization
import Testing

@testable import FileTree

private let login = "20250622085632_login.fastshot"
private let page = "20250624134247_截图_page.fastshot"
private let sessions = Inode(slot: .sessions)
private let indexes = Inode(slot: .metaIndexes)

/// A tree that can be written, over a directory store with two sessions.
private final class WritableWorld {
    let directory: String
    let catalog: Catalog
    let cache: SessionCache
    let staging: Staging
    let tree: FileTree
    let body = [UInt8]("the bytes that the bucket holds".utf8)
    let heard = Mutex<[CatalogDelta]>([])

    init(awaitCloud: (@Sendable (Int64) async -> FileSystemError?)? = nil) async throws {
        directory = FileManager.default.temporaryDirectory.path + "/filetree-writing-\(UUID().uuidString)"
        let store = LocalDirectoryStore(directory: directory + "/bucket")
        try await store.createContainer()
        catalog = try Catalog.open(directory: directory + "/cache/meta_cache")
        for name in [login, page] {
            let info = try await store.put("sessions/" + name, .bytes(body), .always)
            _ = try catalog.apply([
                .object(fileName: name, ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified))
            ])
        }
        cache = try SessionCache(
            directory: directory + "/cache/sessions", catalog: catalog, store: store,
            operations: OperationRegistry(), onFactsChanged: { _ in })
        try Files.makePrivateDirectory(directory + "/state")
        staging = try #require(
            try Staging.open(directory: directory + "/state", catalog: catalog, cache: cache, onChange: { _ in }))
        tree = FileTree(
            FileTree.Sources(
                catalog: catalog, cache: cache, overallPath: directory + "/cache/meta_cache/overall_meta.json",
                status: { [] }, staging: staging, awaitCloud: awaitCloud))
    }

    deinit {
        tree.closeAll()
        staging.close()
        cache.shutdown()
        catalog.close()
        try? Files.removeTree(directory)
    }

    func names(_ inode: Inode) throws -> [String] {
        var found: [String] = []
        try tree.readDirectory(inode, after: 2) { name, _, _ in
            found.append(name.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
            return true
        }
        return found
    }

    func inode(_ name: String) throws -> Inode { try tree.lookup(name, in: sessions).inode }

    func read(_ handle: UInt64) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            tree.read(handle, at: 0, count: 1 << 20) { result in
                switch result {
                case .success(.memory(let bytes, let range)): continuation.resume(returning: Array(bytes[range]))
                case .success(.file(let file, let offset, let count)):
                    continuation.resume(with: Result { try file.read(at: offset, count: count) })
                case .failure(let error): continuation.resume(throwing: error)
                }
            }
        }
    }

    func contents(_ name: String) async throws -> [UInt8] {
        let opened = try tree.open(try inode(name))
        defer { tree.close(opened.handle) }
        return try await read(opened.handle)
    }

    func openForWriting(_ inode: Inode, truncating: Bool = false) async throws -> UInt64 {
        try await withCheckedThrowingContinuation { continuation in
            tree.openForWriting(inode, truncating: truncating) { result in
                continuation.resume(with: result.map(\.handle).mapError { $0 as any Error })
            }
        }
    }

    func set(_ inode: Inode, _ change: AttributeChange, handle: UInt64? = nil) async throws -> FileAttributes {
        try await withCheckedThrowingContinuation { continuation in
            tree.setAttributes(inode, change, handle: handle) { result in
                continuation.resume(with: result.mapError { $0 as any Error })
            }
        }
    }

    /// Makes a file as a program does: create, write, close.
    @discardableResult
    func save(_ name: String, _ text: String) throws -> Inode {
        let made = try tree.create(name, in: sessions, exclusive: true, truncating: false)
        _ = try tree.write(made.opened.handle, Array(text.utf8).span.bytes, at: 0)
        #expect(try tree.flush(made.opened.handle) == .done)
        tree.close(made.opened.handle)
        return made.attributes.inode
    }

    func state(_ name: String) throws -> String {
        String(decoding: try tree.attribute("user.sessionfs.state", of: try inode(name)), as: UTF8.self)
    }
}

private func write(_ world: WritableWorld, _ handle: UInt64, _ text: String, at offset: UInt64) throws {
    #expect(try world.tree.write(handle, Array(text.utf8).span.bytes, at: offset))
}

@Suite(.timeLimit(.minutes(2))) struct WritingTests {
    @Test func aNewFileIsListedAndReadable() async throws {
        let world = try await WritableWorld()
        let inode = try world.save("20261130101010_new.fastshot", "fresh")
        let found = try world.tree.lookup("20261130101010_new.fastshot", in: sessions)
        #expect(found.inode == inode)
        #expect(found.size == 5)
        #expect(found.permissions == 0o644)
        #expect(try world.tree.attributes(sessions).permissions == 0o755)
        #expect(try world.names(sessions).contains("20261130101010_new.fastshot"))
        #expect(try await world.contents("20261130101010_new.fastshot") == Array("fresh".utf8))
        #expect(try world.state("20261130101010_new.fastshot") == "pending")
        #expect(throws: FileSystemError.self) {
            try world.tree.create("20261130101010_new.fastshot", in: sessions, exclusive: true, truncating: false)
        }
        try world.save("notes.txt", "never sent")
        #expect(try world.state("notes.txt") == "local")
    }

    /// The object has left its old name; a listing that has met it under the new one took it for another session.
    @Test(arguments: [false, true]) func aSessionIsReadWhileItIsRenamed(_ isListed: Bool) async throws {
        let world = try await WritableWorld()
        let (id, name) = (try #require(try world.catalog.entry(fileName: login)).id, "20261130101010_new.fastshot")
        _ = try world.staging.rename(login, to: name, replacing: false)
        let store = LocalDirectoryStore(directory: world.directory + "/bucket")
        let info = try await store.copy("sessions/" + login, ifSourceMatch: nil, to: "sessions/" + name, .ifAbsent)
        try await store.delete("sessions/" + login, ifMatch: nil)
        let facts = ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified)
        if isListed { _ = try world.catalog.apply([.object(fileName: name, facts), .gone(id: id)]) }
        #expect(try await world.contents(name) == world.body)
    }

    @Test func anExistingFileIsOpenedByACreateThatDoesNotInsist() async throws {
        let world = try await WritableWorld()
        let found = try world.tree.create(login, in: sessions, exclusive: false, truncating: true)
        #expect(found.attributes.inode == (try world.inode(login)))
        #expect(found.attributes.size == 0)
        world.tree.close(found.opened.handle)
        #expect(try await world.contents(login).isEmpty)
    }

    @Test func anEditChangesWhatIsThere() async throws {
        let world = try await WritableWorld()
        let inode = try world.inode(login)
        let handle = try await world.openForWriting(inode)
        #expect(try world.state(login) == "writing")
        try write(world, handle, "THE", at: 0)
        #expect(try world.tree.flush(handle) == .done)
        world.tree.close(handle)
        #expect(try await world.contents(login) == Array("THE".utf8) + world.body.dropFirst(3))
        #expect(try world.state(login) == "pending")
        #expect(try world.inode(login) == inode)
        #expect(world.tree.openFiles == 0)
    }

    @Test func openingForWritingAloneChangesNothing() async throws {
        let world = try await WritableWorld()
        let handle = try await world.openForWriting(try world.inode(login))
        #expect(try world.tree.flush(handle) == .done)
        world.tree.close(handle)
        #expect(world.staging.counts.pending == 0)
        #expect(try await world.contents(login) == world.body)
    }

    @Test func readersOfAnEditedFileReadWhatIsWritten() async throws {
        let world = try await WritableWorld()
        let inode = try world.inode(login)
        let before = try world.tree.open(inode)
        #expect(try await world.read(before.handle) == world.body)
        let writer = try await world.openForWriting(inode, truncating: true)
        #expect(try await world.read(before.handle).isEmpty)
        let after = try world.tree.open(inode)
        try write(world, writer, "draft", at: 0)
        for handle in [before.handle, after.handle, writer] {
            #expect(try await world.read(handle) == Array("draft".utf8))
        }
        world.tree.close(writer)
        #expect(try await world.read(before.handle) == Array("draft".utf8))
        world.tree.close(before.handle)
        world.tree.close(after.handle)
    }

    @Test func givingUpAnEditShowsTheBucketsVersionToWhoStillReads() async throws {
        let world = try await WritableWorld()
        let inode = try world.inode(login)
        let writer = try await world.openForWriting(inode, truncating: true)
        try write(world, writer, "mine", at: 0)
        world.tree.close(writer)
        let reader = try world.tree.open(inode)
        #expect(try await world.read(reader.handle) == Array("mine".utf8))
        _ = try world.staging.discard(id: inode.row)
        _ = world.tree.invalidations(for: CatalogDelta(changed: [inode.row]))
        #expect(try await world.read(reader.handle) == world.body)
        world.tree.close(reader.handle)
    }

    @Test func appendingGoesToTheEnd() async throws {
        let world = try await WritableWorld()
        let handle = try await world.openForWriting(try world.inode(login))
        let end = UInt64(world.body.count)
        #expect(try world.tree.write(handle, Array("+1".utf8).span.bytes, at: end, appending: true))
        #expect(try !world.tree.write(handle, Array("+2".utf8).span.bytes, at: end, appending: true))
        world.tree.close(handle)
        #expect(try await world.contents(login) == world.body + Array("+1+2".utf8))
    }

    @Test func lengthsAreSetWithAndWithoutAnOpenFile() async throws {
        let world = try await WritableWorld()
        let inode = try world.inode(login)
        #expect(try await world.set(inode, AttributeChange(size: 9)).size == 9)
        #expect(try await world.contents(login) == Array("the bytes".utf8))
        let handle = try await world.openForWriting(inode)
        #expect(try await world.set(inode, AttributeChange(size: 3), handle: handle).size == 3)
        try world.tree.allocate(handle, 0..<8, keepingSize: true)
        #expect(try world.tree.attributes(inode).size == 3)
        try world.tree.allocate(handle, 0..<8, keepingSize: false)
        world.tree.close(handle)
        #expect(try await world.contents(login) == Array("the".utf8) + [0, 0, 0, 0, 0])
        #expect(try await world.set(inode, AttributeChange(size: 0)).size == 0)
    }

    @Test func timesAreShownUntilTheUpload() async throws {
        let world = try await WritableWorld()
        let inode = try world.save("20261130101010_new.fastshot", "x")
        let time = Timestamp(seconds: 1_000_000_000, nanoseconds: 5)
        #expect(try await world.set(inode, AttributeChange(modified: time)).modifiedNanoseconds == time.nanoseconds)
        let remote = try world.tree.lookup(login, in: sessions)
        #expect(try await world.set(remote.inode, AttributeChange(modified: time)) == remote)
        _ = try await world.set(sessions, AttributeChange(modified: time))
    }

    @Test func namesGoAndComeBack() async throws {
        let world = try await WritableWorld()
        let inode = try world.inode(login)
        let stale = try world.tree.remove(login, in: sessions)
        #expect(stale.contains(.name("20250622085632_login.meta.json", in: indexes)))
        #expect(throws: FileSystemError(.notFound)) { try world.tree.lookup(login, in: sessions) }
        #expect(throws: FileSystemError(.stale)) { try world.tree.attributes(inode) }
        #expect(try world.names(sessions) == [page])
        let again = try world.save(login, "again")
        #expect(again != inode)
        #expect(try await world.contents(login) == Array("again".utf8))
    }

    /// Indexes are listed for sessions that are shown under the names that the indexes go by.
    @Test func indexesOfWhatMovedAreNotListed() async throws {
        let world = try await WritableWorld()
        let others = (0..<5).map { "2025070100000\($0)_other.fastshot" }
        _ = try world.catalog.apply(
            others.map { name in
                let row = OverallRow(fileName: name, fileSize: 1, metadata: SessionMetadata(name: "x"))
                return .row(row, etagIsContentMD5: false)
            })
        func listed() throws -> [String] { try world.names(indexes).filter { $0.hasSuffix("_other.meta.json") } }
        #expect(try listed().count == 5)
        _ = try world.tree.remove(others[0], in: sessions)
        _ = try world.tree.rename(
            others[1], in: sessions, to: "20260101000000_else.fastshot", in: sessions, replacing: true)
        // Replaced by a new file, and edited in its place.
        _ = try world.save("20260101000001_new.fastshot", "new")
        _ = try world.tree.rename(
            "20260101000001_new.fastshot", in: sessions, to: others[2], in: sessions, replacing: true)
        let edited = try world.tree.create(others[3], in: sessions, exclusive: false, truncating: true)
        world.tree.close(edited.opened.handle)
        #expect(try listed() == others[3...].map { $0.dropLast(9) + ".meta.json" })
        for name in try listed() { #expect(throws: Never.self) { try world.tree.lookup(name, in: indexes) } }
    }

    @Test func aFileThatIsOpenOutlivesItsName() async throws {
        let world = try await WritableWorld()
        let made = try world.tree.create(
            "20261130101010_new.fastshot", in: sessions, exclusive: true, truncating: false)
        try write(world, made.opened.handle, "12345", at: 0)
        _ = try world.tree.remove("20261130101010_new.fastshot", in: sessions)
        let seen = try world.tree.attributes(made.attributes.inode)
        #expect(seen.size == 5)
        #expect(!seen.hasName)
        try write(world, made.opened.handle, "6", at: 5)
        #expect(try await world.read(made.opened.handle) == Array("123456".utf8))
        world.tree.close(made.opened.handle)
        #expect(world.staging.counts.pending == 0)
    }

    @Test func editorsSaveByRenaming() async throws {
        let world = try await WritableWorld()
        let temporary = try world.save(".login.swp", "edited")
        _ = try world.tree.rename(".login.swp", in: sessions, to: login, in: sessions, replacing: true)
        #expect(try world.inode(login) == temporary)
        #expect(try await world.contents(login) == Array("edited".utf8))
        #expect(try world.names(sessions).filter { $0 == login }.count == 1)
        #expect(throws: FileSystemError.self) {
            try world.tree.rename(page, in: sessions, to: login, in: sessions, replacing: false)
        }
        #expect(throws: FileSystemError(.readOnly)) {
            try world.tree.rename(page, in: sessions, to: page, in: .root, replacing: true)
        }
    }

    @Test func onlySessionsCanBeChanged() async throws {
        let world = try await WritableWorld()
        for directory in [Inode.root, indexes, Inode(slot: .control)] {
            #expect(throws: FileSystemError(.readOnly)) {
                try world.tree.create("x", in: directory, exclusive: false, truncating: false)
            }
            #expect(throws: FileSystemError(.readOnly)) { try world.tree.remove("x", in: directory) }
            #expect(throws: FileSystemError(.readOnly)) { try world.tree.refuseSpecialFile(in: directory) }
        }
        #expect {
            try world.tree.refuseSpecialFile(in: sessions)
        } throws: {
            ($0 as? FileSystemError)?.kind == .notPermitted
        }
        await #expect(throws: FileSystemError(.readOnly)) {
            try await world.openForWriting(Inode(slot: .status))
        }
    }

    @Test func aCloseCanWaitForTheBucket() async throws {
        let world = try await WritableWorld(awaitCloud: { _ in nil })
        let made = try world.tree.create(
            "20261130101010_new.fastshot", in: sessions, exclusive: true, truncating: false)
        let id = made.attributes.inode.row
        try write(world, made.opened.handle, "one", at: 0)
        // One of two descriptors is closed: what was written is on its way, and the other one goes on.
        #expect(try world.tree.flush(made.opened.handle) == .awaitsCloud(id))
        #expect(world.staging.change(id: id)?.state == .ready)
        #expect(world.tree.needsReopening(made.opened.handle))
        let reader = try world.tree.open(made.attributes.inode)
        try write(world, made.opened.handle, "two", at: 3)
        #expect(!world.tree.needsReopening(made.opened.handle))
        #expect(try await world.read(reader.handle) == Array("onetwo".utf8))
        world.tree.close(reader.handle)
        #expect(try world.tree.flush(made.opened.handle) == .awaitsCloud(id))
        world.tree.close(made.opened.handle)
        #expect(try await world.contents("20261130101010_new.fastshot") == Array("onetwo".utf8))
        // What is never sent is not waited for.
        let local = try world.tree.create("x.part", in: sessions, exclusive: true, truncating: false)
        try write(world, local.opened.handle, "local", at: 0)
        #expect(try world.tree.flush(local.opened.handle) == .done)
        #expect(!world.tree.needsReopening(local.opened.handle))
        world.tree.close(local.opened.handle)
    }

    /// Nor is what has lost its name since; who has it open goes on with it, and changes nothing that was accepted.
    @Test func whatWasHandedOverAndRemovedCanBeUsedToItsEnd() async throws {
        let world = try await WritableWorld(awaitCloud: { _ in nil })
        let name = "20261130101010_new.fastshot"
        let made = try world.tree.create(name, in: sessions, exclusive: true, truncating: false)
        try write(world, made.opened.handle, "one", at: 0)
        #expect(try world.tree.flush(made.opened.handle) == .awaitsCloud(made.attributes.inode.row))
        let accepted = try FileDescriptor.open(
            try #require(world.staging.change(id: made.attributes.inode.row)?.content?.path))
        let reader = try world.tree.open(made.attributes.inode)
        _ = try world.tree.remove(name, in: sessions)
        try write(world, made.opened.handle, "two", at: 3)
        #expect(try await world.read(made.opened.handle) == Array("onetwo".utf8))
        #expect(try await world.read(reader.handle) == Array("onetwo".utf8))
        #expect(try accepted.read(at: 0, count: 100) == Array("one".utf8))
        #expect(try world.tree.flush(made.opened.handle) == .done)
        world.tree.close(made.opened.handle)
        world.tree.close(reader.handle)
        #expect(try world.names(sessions).sorted() == [login, page])
        #expect(try Files.names(in: world.directory + "/state/staging").isEmpty)
    }

    @Test func theEndOfAMountClosesWhatIsOpen() async throws {
        let world = try await WritableWorld()
        let made = try world.tree.create(
            "20261130101010_new.fastshot", in: sessions, exclusive: true, truncating: false)
        try write(world, made.opened.handle, "unflushed", at: 0)
        world.tree.closeAll()
        #expect(world.staging.change(id: made.attributes.inode.row)?.state == .ready)
        #expect(try await world.contents("20261130101010_new.fastshot") == Array("unflushed".utf8))
    }
}
