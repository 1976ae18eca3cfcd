import Catalog
import Foundation
import ObjectStore
import Operations
import Platform
import SessionCache
import SessionFormat
import Testing

@testable import FileTree

/// A tree over a directory store with two sessions, one of them with an index.
private final class World {
    let directory: String
    let catalog: Catalog
    let cache: SessionCache
    let tree: FileTree
    let body = [UInt8]("not a real session, but its bytes".utf8)

    init() async throws {
        directory = FileManager.default.temporaryDirectory.path + "/filetree-\(UUID().uuidString)"
        let store = LocalDirectoryStore(directory: directory + "/bucket")
        try await store.createContainer()
        catalog = try Catalog.open(directory: directory + "/cache/meta_cache")
        for name in ["20250622085632_login.fastshot", "20250624134247_截图_page.fastshot"] {
            let info = try await store.put("sessions/" + name, .bytes(body), .always)
            _ = try catalog.apply([
                .object(fileName: name, ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified))
            ])
        }
        cache = try SessionCache(
            directory: directory + "/cache/sessions", catalog: catalog, store: store,
            operations: OperationRegistry(), onFactsChanged: { _ in })
        tree = FileTree(
            FileTree.Sources(
                catalog: catalog, cache: cache, overallPath: directory + "/cache/meta_cache/overall_meta.json",
                status: { Array("{\"version\":1}\n".utf8) }))
    }

    deinit {
        cache.shutdown()
        try? Files.removeTree(directory)
    }

    func names(_ inode: Inode, after cookie: UInt64 = 0, limit: Int = .max) throws -> [(name: String, next: UInt64)] {
        var found: [(String, UInt64)] = []
        try tree.readDirectory(inode, after: cookie) { name, _, next in
            guard found.count < limit else { return false }
            found.append((name.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }, next))
            return true
        }
        return found
    }

    /// Why pages cannot be read; nil when they can.
    func pages(_ handle: UInt64, _ count: Int) async -> FileSystemError.Kind? {
        await withCheckedContinuation { continuation in
            tree.readPages(handle, at: 0, count: count) { result in
                if case .failure(let error) = result { return continuation.resume(returning: error.kind) }
                continuation.resume(returning: nil)
            }
        }
    }

    func contents(_ inode: Inode) async throws -> [UInt8] {
        let opened = try tree.open(inode)
        defer { tree.close(opened.handle) }
        return try await withCheckedThrowingContinuation { continuation in
            tree.read(opened.handle, at: 0, count: 1 << 20) { result in
                switch result {
                case .success(.memory(let bytes, let range)): continuation.resume(returning: Array(bytes[range]))
                case .success(.file(let file, let offset, let count)):
                    continuation.resume(with: Result { try file.read(at: offset, count: count) })
                case .failure(let error): continuation.resume(throwing: error)
                }
            }
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct FileTreeTests {
    @Test func theRootShowsWhatThereIs() async throws {
        let world = try await World()
        #expect(try world.names(.root).map(\.name) == [".", "..", "sessions", "meta_indexes", ".sessionfs"])
        try Files.replace(world.directory + "/cache/meta_cache/overall_meta.json", with: Array("{}".utf8))
        #expect(try world.names(.root).map(\.name).contains("overall_meta.json"))
    }

    @Test func aListingGoesOnBehindEachEntry() async throws {
        let world = try await World()
        let sessions = Inode(slot: .sessions)
        let all = try world.names(sessions)
        #expect(all.count == 4)
        var cookie: UInt64 = 0
        var oneByOne: [String] = []
        while let entry = try world.names(sessions, after: cookie, limit: 1).first {
            oneByOne.append(entry.name)
            cookie = entry.next
        }
        #expect(oneByOne == all.map(\.name))
    }

    @Test func namesLeadToInodesThatStayTheSame() async throws {
        let world = try await World()
        let found = try world.tree.lookup("20250624134247_截图_page.fastshot", in: Inode(slot: .sessions))
        #expect(found.size == UInt64(world.body.count))
        #expect(found.permissions == 0o444)
        #expect(try world.tree.attributes(found.inode) == found)
        #expect(throws: FileSystemError(.notFound)) {
            try world.tree.lookup("absent.fastshot", in: Inode(slot: .sessions))
        }
        #expect(throws: FileSystemError(.nameTooLong)) {
            try world.tree.lookup(String(repeating: "x", count: 256), in: Inode(slot: .sessions))
        }
        #expect(throws: FileSystemError(.notDirectory)) { try world.tree.lookup("x", in: found.inode) }
    }

    @Test func aBodyReadsAsTheObject() async throws {
        let world = try await World()
        let found = try world.tree.lookup("20250622085632_login.fastshot", in: Inode(slot: .sessions))
        #expect(try await world.contents(found.inode) == world.body)
        #expect(world.tree.openFiles == 0)
    }

    /// Between the moment when the catalog knows of another version and that when the kernel is told, too.
    @Test func pagesOfAnotherVersionAreNotKept() async throws {
        let world = try await World()
        let name = "20250622085632_login.fastshot"
        let inode = try world.tree.lookup(name, in: Inode(slot: .sessions)).inode
        #expect(try await world.contents(inode) == world.body)
        // Nothing was whole when it was opened first.
        var isWhole = false
        while !isWhole {
            try await Task.sleep(for: .milliseconds(2))
            let opened = try world.tree.open(inode)
            if case .local = opened.file.caching { isWhole = true }
            world.tree.close(opened.handle)
        }
        let old = try world.tree.open(inode)
        #expect(old.file.keepsPages)
        let other = [UInt8](world.body.reversed())
        let info = try await LocalDirectoryStore(directory: world.directory + "/bucket").put(
            "sessions/" + name, .bytes(other), .always)
        _ = try world.catalog.apply([
            .object(fileName: name, ObjectFacts(size: info.size, etag: info.etag, uploaded: info.modified))
        ])
        let new = try world.tree.open(inode)
        #expect(!new.file.keepsPages)
        // Who reads on fills no pages that the other would see.
        let kind: FileSystemError.Kind? = await withCheckedContinuation { continuation in
            world.tree.read(old.handle, at: 0, count: 10) { result in
                if case .failure(let error) = result { return continuation.resume(returning: error.kind) }
                continuation.resume(returning: nil)
            }
        }
        #expect(kind == .changed)
        for handle in [old.handle, new.handle] { world.tree.close(handle) }
        #expect(try await world.contents(inode) == other)
    }

    /// Dropping pages waits for those that a reader waits for: who joins a download keeps what it has brought.
    @Test func pagesOfADownloadAreShared() async throws {
        let world = try await World()
        let inode = try world.tree.lookup("20250622085632_login.fastshot", in: Inode(slot: .sessions)).inode
        let first = try world.tree.open(inode)
        // The kernel has none, and the other's open may be answered before.
        #expect(first.file.keepsPages && !first.file.isSameVersion)
        let second = try world.tree.open(inode)
        // While it is arriving now, it was when it was opened.
        if case .keep = second.file.caching { #expect(second.file.keepsPages) }
        for handle in [first.handle, second.handle] { world.tree.close(handle) }
    }

    /// The kernel asks for pages by the size that it was told.
    @Test func aShorterVersionIsNotFilledUp() async throws {
        let world = try await World()
        let name = "20250622085632_login.fastshot"
        let inode = try world.tree.lookup(name, in: Inode(slot: .sessions)).inode
        _ = try await LocalDirectoryStore(directory: world.directory + "/bucket").put(
            "sessions/" + name, .bytes(Array(world.body.prefix(5))), .always)
        let opened = try world.tree.open(inode)
        defer { world.tree.close(opened.handle) }
        #expect(await world.pages(opened.handle, 4096) == .changed)
        let size = try await world.contents(inode).count
        #expect(size == 5)
        // A page of the right size is not whole, either, and one more than there is shows that another size was told.
        let next = try world.tree.open(inode)
        defer { world.tree.close(next.handle) }
        #expect(await world.pages(next.handle, 8192) == .changed)
    }

    @Test func attributesOutsideTheUserNamespaceDoNotExist() async throws {
        let world = try await World()
        let found = try world.tree.lookup("20250622085632_login.fastshot", in: Inode(slot: .sessions))
        for name in ["security.selinux", "system.posix_acl_access", "trusted.x"] {
            #expect(throws: FileSystemError(.attributesUnsupported)) { try world.tree.attribute(name, of: found.inode) }
        }
        #expect(throws: FileSystemError(.noAttribute)) {
            try world.tree.attribute("user.other", of: found.inode)
        }
        #expect(try world.tree.attribute("user.sessionfs.state", of: found.inode) == Array("remote".utf8))
    }

    @Test func sessionsThatAreGoneAreStale() async throws {
        let world = try await World()
        let found = try world.tree.lookup("20250622085632_login.fastshot", in: Inode(slot: .sessions))
        let delta = try world.catalog.remove(id: found.inode.row)
        #expect(throws: FileSystemError(.stale)) { try world.tree.attributes(found.inode) }
        #expect(throws: FileSystemError(.stale)) { try world.tree.open(found.inode) }
        let stale = world.tree.invalidations(for: delta)
        #expect(stale.contains(.name("20250622085632_login.fastshot", in: Inode(slot: .sessions))))
        #expect(stale.contains(.name("20250622085632_login.meta.json", in: Inode(slot: .metaIndexes))))
        #expect(stale.contains(.listing(Inode(slot: .sessions))))
    }

    @Test func statusIsTextOfTheMoment() async throws {
        let world = try await World()
        let status = try world.tree.lookup("status.json", in: Inode(slot: .control))
        #expect(status.isDynamic)
        #expect(try await world.contents(status.inode) == Array("{\"version\":1}\n".utf8))
    }

    @Test func tagsAreJoinedUnambiguously() {
        var metadata = SessionMetadata(json: .object([]))
        metadata.tags = ["bug", "a,b", "c\\d"]
        #expect(SessionAttribute.tags.value(metadata) == "bug,a\\,b,c\\\\d")
    }

    @Test func unknownInodesAreStale() async throws {
        let world = try await World()
        #expect(throws: FileSystemError(.stale)) { try world.tree.attributes(Inode(number: 15)) }
        #expect(throws: FileSystemError(.stale)) { try world.tree.attributes(Inode(slot: .body, row: 99_999)) }
    }
}
