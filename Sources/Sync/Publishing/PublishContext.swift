internal import Catalog
internal import ObjectStore
internal import Operations
internal import Platform
internal import SessionCache
internal import SessionFormat

/// What every job that sends a change works with.
struct PublishContext: Sendable {
    let store: any ObjectStore
    let staging: Staging
    let catalog: Catalog
    /// The bodies at hand, to put an old one back; nil where there is no cache.
    let cache: SessionCache?
    let operations: OperationRegistry
    let options: PublisherOptions
    /// `<state>/<store-id>`.
    let stateDirectory: String
    let conditions: PublishConditions
    let gathering: PublishGathering
    let committer: SentCommitter
    let board: PublishBoard
    let begun: BegunUploads
    let early: EarlyPasses
    let pool: BlockingPool
    /// For what computes and waits for nobody.
    let hashing: BlockingPool
    /// For what comes after the row.
    let slots: Slots

    static let log = Log("publish")

    /// The names, as bytes, that this machine's pending changes have or had.
    var pendingNames: Set<[UInt8]> {
        Set(staging.changes().flatMap { [$0.name, $0.remoteName].compactMap { $0.map { Array($0.utf8) } } })
    }

    /// The facts of an object; nil when there is none.
    func head(_ key: String) async throws(StoreError) -> ObjectInfo? {
        do throws(StoreError) { return try await store.head(key) } catch  where error.kind == .notFound { return nil }
    }

    /// The MD5 of an object's contents: the store's word, else by reading it. Nil when it is another by now.
    func md5(of info: ObjectInfo) async throws(StoreError) -> String? {
        if let known = info.contentMD5 { return known }
        let sink = HashingSink()
        do throws(StoreError) {
            _ = try await store.get(info.key, ReadOptions(ifMatch: info.etag), into: sink)
        } catch  where error.kind == .notFound || error.kind == .precondition { return nil }
        return sink.finish().md5
    }

    /// What a look at an object showed.
    enum Finding: Sendable {
        case absent
        /// The version that was expected.
        case expected(ObjectInfo)
        /// The very contents that were to be sent.
        case ours(ObjectInfo)
        /// Contents that an earlier try of this change sent.
        case attempted(ObjectInfo)
        /// Somebody else's.
        case foreign(ObjectInfo)
    }

    /// Looks at an object and says what it is to a change.
    /// - Parameters:
    ///   - expected: the version that the change goes out from; nil: none.
    ///   - ours: the contents to be sent; nil where there are none.
    func examine(
        _ key: String, expected: ObjectVersion?, ours: ContentFingerprint?, attempted: [ContentFingerprint]
    ) async throws(StoreError) -> Finding {
        guard let info = try await head(key) else { return .absent }
        return try await examine(info, expected: expected, ours: ours, attempted: attempted)
    }

    func examine(
        _ info: ObjectInfo, expected: ObjectVersion?, ours: ContentFingerprint?, attempted: [ContentFingerprint]
    ) async throws(StoreError) -> Finding {
        if let tag = expected?.etag, tag == info.etag { return .expected(info) }
        let mayBeExpected = expected?.size == info.size && expected?.contentMD5 != nil
        let known = ([ours].compactMap { $0 } + attempted).contains { $0.size == info.size }
        if mayBeExpected || known {
            guard let md5 = try await md5(of: info) else {
                throw StoreError(.temporary, key: info.key, message: "the object was replaced while it was looked at")
            }
            if let ours, ours.size == info.size, ours.md5 == md5 { return .ours(info) }
            if mayBeExpected, expected?.contentMD5 == md5 { return .expected(info) }
            if attempted.contains(ContentFingerprint(size: info.size, md5: md5)) { return .attempted(info) }
        }
        // Nothing but the length was ever known of it.
        if let expected, expected.etag == nil, expected.contentMD5 == nil, expected.size == info.size {
            return .expected(info)
        }
        return .foreign(info)
    }

    /// Runs work that waits for the disk.
    func onDisk<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value { await pool.result(work) }

    /// Hands rows over and waits until they are written.
    /// - Parameter object: what a row that is set tells of.
    /// - Returns: what stands in the object's place after that. Whoever wrote an index or a row that tells of another
    ///   body has to put it right.
    func writeRows(
        _ changes: [RowChange], about object: ObjectInfo?, of id: Int64
    ) async throws(StoreError) -> Standing {
        try await gathering.write(changes, about: object) { board.prepared(id) }
    }

    /// Writes a small object under a condition; where the server honours none, after a look.
    func put(_ key: String, _ bytes: [UInt8], _ condition: WriteCondition) async throws(StoreError) -> ObjectInfo {
        try await put(key, .bytes(bytes), condition)
    }

    func put(_ key: String, _ body: ObjectBody, _ condition: WriteCondition) async throws(StoreError) -> ObjectInfo {
        let support = await conditions.support()
        switch condition {
        case .always: break
        case .ifAbsent where support.ifAbsent, .ifMatch where support.ifMatch:
            return try await store.put(key, body, condition)
        case .ifAbsent: if try await head(key) != nil { throw refused(key) }
        case .ifMatch(let tag): if try await head(key)?.etag != tag { throw refused(key) }
        }
        return try await store.put(key, body, .always)
    }

    private func refused(_ key: String) -> StoreError {
        StoreError(.precondition, key: key, message: "the object is another one than was meant")
    }

    var bodyCheck: BodyCheck {
        BodyCheck(store: store, mayList: store.capabilities.isRemote && (conditions.known?.ifMatch ?? false))
    }

    /// Whether an earlier try of a change, or of what was wanted before it, may have written or removed something.
    func mayHaveBegun(_ change: PendingChange) -> Bool {
        board.hasTouched(change.id) || staging.isInherited(change) || !change.attempted.isEmpty
            || change.replaces?.mayBeGone ?? false
    }

    /// What has taken the place of a job's body.
    struct Overtaken: Sendable {
        /// Nil: nothing, it was removed.
        var object: ObjectInfo?
    }

    /// Lets another body be that came before the job's row was there: it gets its index and its row.
    /// - Parameter index: the one that the job has written.
    /// - Returns: nil where the job's body stands, or was taken away by somebody who knew it; else what has to be decided.
    func giveWay(
        to standing: Standing, _ name: SessionName, _ index: [UInt8], of id: Int64, undoes: Bool
    ) async throws(PublishStop) -> Overtaken? {
        if standing == .stands { return nil }
        let found = try await stopping(undoes: undoes) { () throws(StoreError) in
            try await SessionRestorer(context: self).settle(name, of: id, own: [index])
        }
        let support = await conditions.support()
        // Every mount names the version that it replaces or removes.
        guard found == nil ? support.deleteIfMatch : support.ifMatch else { return Overtaken(object: found) }
        Self.log.info("somebody has changed the session meanwhile", ["session": name.fileName])
        // The catalog is about to learn what was sent, which is not what is there.
        try? catalog.setValue(Catalog.listingNeededKey, "a session was changed while it was sent")
        return nil
    }

    /// Removes one version of an object.
    /// - Returns: false when another version is there.
    func remove(_ info: ObjectInfo) async throws(StoreError) -> Bool {
        do throws(StoreError) {
            if await conditions.support().deleteIfMatch {
                try await store.delete(info.key, ifMatch: info.etag)
                return true
            }
            guard let now = try await head(info.key) else { return true }
            guard now.etag == info.etag, now.size == info.size else { return false }
            try await store.delete(info.key, ifMatch: nil)
            return true
        } catch  where error.kind == .precondition {
            return false
        } catch  where error.kind == .notFound {
            return true
        }
    }

    /// Tells the staging that a change is in the bucket.
    func commit(_ sent: Staging.Sent) async throws(PublishStop) {
        do throws(StagingError) { try await committer.commit(sent) } catch {
            throw .later(StoreError(.local, message: error.description))
        }
    }

    /// The row of an object.
    func row(_ fileName: String, _ object: ObjectInfo, sha256: String?, metadata: SessionMetadata?) -> OverallRow {
        OverallRow(
            fileName, object, sha256: sha256, metadata: metadata,
            etagIsContentMD5: store.capabilities.etagIsContentMD5)
    }

    /// An index object's bytes.
    func index(
        _ name: SessionName, _ metadata: SessionMetadata, keeping foreign: MetadataIndex.Foreign = .init()
    ) -> [UInt8] {
        MetadataIndex(
            fileName: name.fileName, metadata: metadata, createdAt: metadata.createdAt,
            lastUpdated: metadata.createdAt
        ).encode(keeping: foreign)
    }

    /// Makes the requests of the last part of a job, of which no more than the uploads' number go on at the same time.
    /// It must not wait for rows: thousands of changes do so together.
    func finishing<Value: Sendable>(
        _ work: () async throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        await slots.acquire()
        defer { slots.release() }
        return try await work()
    }
}

/// Makes a request whose failure stops the job.
func stopping<Value: Sendable>(
    undoes: Bool = false, _ request: () async throws(StoreError) -> Value
) async throws(PublishStop) -> Value {
    do throws(StoreError) { return try await request() } catch { throw PublishStop(error, undoes: undoes) }
}
