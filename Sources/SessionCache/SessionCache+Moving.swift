internal import Catalog
public import ObjectStore
internal import Platform
internal import SessionFormat

/// Where a session's object is, when it is not any more where it was looked for.
struct MovedBody: Sendable, Equatable {
    var fileName: String
    /// The version whose bytes these are; nil where that is not known.
    var source: DownloadPlan.Version?
    var version: DownloadPlan.Version
    /// As the catalog knows it.
    var digest: Digest?
}

/// A rename that is wanted and maybe half done.
struct PendingRename: Sendable {
    var oldName: String
    var newName: String
    /// What the bucket was last known to hold under the old name.
    var version: ObjectVersion
}

/// Objects that this machine renames. The old one goes before the catalog learns of the new one: who asks for it in
/// between is told where its bytes are.
extension SessionCache {
    /// The object of a session is about to go from its name; a copy of it has the new one.
    /// - Parameters:
    ///   - source: the version that was copied.
    ///   - copy: what the copy is.
    public func moving(id: Int64, from source: ObjectInfo, to fileName: String, as copy: ObjectInfo) {
        let moved = MovedBody(
            fileName: fileName, source: DownloadPlan.Version(source), version: DownloadPlan.Version(copy))
        let downloads = state.withLock { state in
            state.moved[id] = moved
            return state.active.values.filter { $0.id == id }
        }
        for download in downloads { download.noteMove(moved) }
    }

    /// The catalog knows of it, or the object is back.
    public func moved(id: Int64) { state.withLock { _ = $0.moved.removeValue(forKey: id) } }

    /// What a session is that this machine is renaming and the catalog does not know for a while: a refresh that has met
    /// the rename half done did not find the old name, and takes the new one for another session's.
    func movingEntry(_ id: Int64) -> SessionEntry? {
        if let moved = state.withLock({ $0.moved[id] }) {
            return SessionEntry(
                moving: id, moved.fileName, size: moved.version.size, etag: moved.version.etag,
                contentMD5: moved.version.contentMD5)
        }
        guard let rename = pendingRename.value?(id) else { return nil }
        let version = rename.version
        return SessionEntry(
            moving: id, rename.oldName, size: version.size, etag: version.etag, contentMD5: version.contentMD5)
    }

    /// Where the object of a session is that was not found under a name; nil: nowhere.
    func whereabouts(of id: Int64, besides fileName: String) async throws(StoreError) -> MovedBody? {
        // The catalog has learnt of a move when that is forgotten here.
        if let moved = state.withLock({ $0.moved[id] }), !moved.fileName.hasSameBytes(as: fileName) { return moved }
        let entry = (try? catalog.entry(id: id)) ?? nil
        if let entry, !entry.fileName.hasSameBytes(as: fileName) {
            return MovedBody(
                fileName: entry.fileName,
                version: .init(
                    etag: entry.etag, size: entry.size, contentMD5: entry.contentMD5, modified: entry.uploaded),
                digest: Digest(of: entry))
        }
        // An earlier try, or an earlier process, may have come so far.
        guard let rename = pendingRename.value?(id), rename.oldName.hasSameBytes(as: fileName) else {
            return nil
        }
        let found: ObjectInfo
        do throws(StoreError) { found = try await store.head(SessionCache.keyPrefix + rename.newName) } catch {
            if error.kind == .notFound { return nil }
            throw error
        }
        var source = rename.version
        if let entry, entry.etag == source.etag { source.contentMD5 = source.contentMD5 ?? entry.contentMD5 }
        guard found.size == source.size else { return nil }
        if found.etag == nil || found.etag != source.etag {
            // Where nothing tells that it is the copy, nothing tells that it is another's; what is known of the contents
            // is checked when they have arrived.
            guard let md5 = found.contentMD5, let known = source.contentMD5 else {
                return MovedBody(
                    fileName: rename.newName, version: DownloadPlan.Version(found), digest: entry.flatMap(Digest.init))
            }
            guard md5 == known else { return nil }
        }
        return MovedBody(
            fileName: rename.newName,
            source: .init(etag: source.etag, size: source.size, contentMD5: source.contentMD5),
            version: DownloadPlan.Version(found))
    }
}

extension DownloadPlan {
    /// Where the object has gone is asked, as a rename of this machine may have moved it.
    mutating func lost() -> [Action] {
        moves += 1
        let actions = stopAll()
        phase = .asking
        return actions + [.locate]
    }

    /// The answer to `.locate`.
    mutating func located(_ answer: Result<MovedBody?, StoreError>, now: Timestamp) -> [Action] {
        guard phase == .asking else { return [] }
        let found: MovedBody?
        switch answer {
        case .success(let body): found = body
        case .failure(let error): return end(CacheError(error))
        }
        guard let found, moves <= policy.moves else {
            return [.forget] + end(CacheError(.notFound, "\(subject): no such object"))
        }
        guard holdsTheSame(found) else {
            let actions = follow(found.version, now: now)
            catalogDigest = found.digest
            return actions
        }
        // Other requests for the same bytes.
        if let before = version {
            version = found.version
            version?.contentMD5 = found.version.contentMD5 ?? before.contentMD5
        }
        expectedETag = found.version.etag
        phase = .running
        return schedule(now: now) + watch(now: now)
    }

    /// Whether an object that was moved has the bytes of the one that is being fetched.
    private func holdsTheSame(_ moved: MovedBody) -> Bool {
        guard moved.version.size == size else { return false }
        if let source = moved.source {
            if let version { return version.matches(source) }
            if let expectedETag { return expectedETag == source.etag }
        }
        guard let md5 = moved.version.contentMD5 else { return false }
        if let known = version?.contentMD5 { return known == md5 }
        return catalogDigest == .md5(md5)
    }
}

extension Download {
    /// The object is about to go, and has a copy elsewhere.
    func noteMove(_ moved: MovedBody) { state.withLock { $0.moved = moved } }

    /// Finds out where the object has gone.
    func locate() async {
        let (name, noted) = state.withLock { state in
            defer { state.moved = nil }
            return (state.fileName, state.moved)
        }
        let answer: Result<MovedBody?, StoreError>
        if let noted, !noted.fileName.hasSameBytes(as: name) {
            answer = .success(noted)
        } else {
            do throws(StoreError) { answer = .success(try await cache.whereabouts(of: id, besides: name)) } catch {
                answer = .failure(error)
            }
        }
        step { state in
            if case .success(let moved?) = answer { state.fileName = moved.fileName }
            return state.plan.located(answer, now: .monotonic)
        }
    }
}

extension SessionEntry {
    fileprivate init(moving id: Int64, _ fileName: String, size: UInt64, etag: String?, contentMD5: String?) {
        self.init(pending: id, fileName: fileName, size: size, modified: .now)
        self.etag = etag
        self.contentMD5 = contentMD5
    }
}

extension Digest {
    /// What the catalog knows of an entry's contents.
    init?(of entry: SessionEntry) {
        if let md5 = entry.contentMD5 {
            self = .md5(md5)
        } else if let sha256 = entry.sha256 {
            self = .sha256(sha256)
        } else {
            return nil
        }
    }
}
