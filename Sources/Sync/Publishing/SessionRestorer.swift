internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Makes index and row of a name tell of the body that stands under it, whoever put it there. Whoever wrote those last may
/// not be who wrote the body last: a FastShot client overwrites without looking, and conditions hold for one object at a
/// time.
struct SessionRestorer {
    let context: PublishContext

    /// How often the body may be another one meanwhile.
    private static let mostTries = 6

    /// Looks at the body, writes what belongs to it, and looks again.
    /// - Parameters:
    ///   - id: of the job.
    ///   - own: bytes of indexes that this machine has written for other bodies. Another index that is there stays
    ///     where it may belong to the body: every client writes it after the body.
    ///   - hasRow: whether the row is looked after, too.
    ///   - isGone: the body has just been removed.
    /// - Returns: what stands under the name; nil: nothing, and neither index nor row.
    @discardableResult
    func settle(
        _ name: SessionName, of id: Int64, own: [[UInt8]] = [], hasRow: Bool = true, isGone: Bool = false
    ) async throws(StoreError) -> ObjectInfo? {
        var own = own
        var found = isGone ? nil : try await look(name)
        for _ in 0..<Self.mostTries {
            if let info = found {
                if let facts = try await describe(name, info, own) {
                    own.append(facts.index)
                    let stands =
                        hasRow
                        ? try await context.writeRows([.set(facts.row)], about: facts.object, of: id) == .stands
                        : try await look(name)?.etag == info.etag
                    if stands { return info }
                }
                found = try await look(name)
            } else {
                try await context.finishing { () throws(StoreError) in
                    try await context.store.delete(name.indexKey, ifMatch: nil)
                }
                if hasRow {
                    _ = try await context.writeRows(
                        [.remove(fileName: name.fileName, checksum: nil)], about: nil, of: id)
                }
                found = try await look(name)
                if found == nil { return nil }
            }
        }
        throw StoreError(.temporary, key: name.bodyKey, message: "the object changes all the time")
    }

    /// What has become of a session for which this machine has written index and row.
    enum Overtaken {
        /// The body is this machine's.
        case own
        /// There is none.
        case gone
        /// It changes again: who changes it writes its index and row.
        case changing
        /// The row that belongs to what is there now, and the tag of that.
        case replaced(OverallRow, etag: String?)
    }

    /// Gives the body that is in the bucket the index that belongs to it, if it has another one. For who writes rows: the
    /// row is left to him.
    /// - Parameter etag: of this machine's body.
    func repairIndex(of name: SessionName, etag: String?) async throws(StoreError) -> Overtaken {
        guard let info = try await look(name) else { return .gone }
        if info.etag == etag { return .own }
        guard let facts = try await describe(name, info, []) else { return .changing }
        return .replaced(facts.row, etag: info.etag)
    }

    // MARK: One body

    /// What belongs to a body.
    private struct Description {
        var object: ObjectInfo
        var index: [UInt8]
        var row: OverallRow
    }

    private func look(_ name: SessionName) async throws(StoreError) -> ObjectInfo? {
        try await context.finishing { () throws(StoreError) in try await context.head(name.bodyKey) }
    }

    /// Reads a body and writes the index for it where there is none, or a wrong one.
    /// - Parameter own: indexes that this machine has written for other bodies.
    /// - Returns: nil when somebody else is changing the session.
    private func describe(
        _ name: SessionName, _ info: ObjectInfo, _ own: [[UInt8]]
    ) async throws(StoreError) -> Description? {
        let sink = HashingSink(skimming: context.options.key)
        do throws(StoreError) {
            try await context.finishing { () throws(StoreError) in
                _ = try await context.store.get(name.bodyKey, ReadOptions(ifMatch: info.etag), into: sink)
            }
        } catch  where error.kind == .precondition || error.kind == .notFound { return nil }
        let digests = sink.finish()
        guard digests.info?.etag == info.etag else { return nil }
        let read = sink.metadata(name)
        let metadata = read ?? SessionMetadata(basicFactsOf: name, size: info.size)
        guard let index = try await writeIndex(name, metadata, own, mayDiffer: read == nil) else { return nil }
        var object = info
        object.contentMD5 = info.contentMD5 ?? digests.md5
        let row = context.row(name.fileName, object, sha256: digests.sha256, metadata: metadata)
        return Description(object: object, index: index, row: row)
    }

    /// - Parameter mayDiffer: the body cannot be read here; who wrote its index may have known more.
    /// - Returns: the index as this machine writes it; nil when somebody writes one at this moment.
    private func writeIndex(
        _ name: SessionName, _ metadata: SessionMetadata, _ own: [[UInt8]], mayDiffer: Bool
    ) async throws(StoreError) -> [UInt8]? {
        do throws(StoreError) {
            guard let (info, found) = try await index(name) else {
                let bytes = context.index(name, metadata)
                _ = try await context.put(name.indexKey, bytes, .ifAbsent)
                return bytes
            }
            let bytes = context.index(name, metadata, keeping: MetadataIndex.Foreign(found).ofAnyBody)
            guard !found.isEmpty, found != bytes, own.contains(found) || !belongs(found, to: metadata, mayDiffer)
            else { return bytes }
            PublishContext.log.info("the index of another version is replaced", ["session": name.fileName])
            _ = try await context.put(name.indexKey, bytes, info.etag.map { .ifMatch($0) } ?? .always)
            return bytes
        } catch  where error.kind == .precondition { return nil }
    }

    /// Whether an index that is there may be of the body that says this of itself.
    private func belongs(_ found: [UInt8], to metadata: SessionMetadata, _ mayDiffer: Bool) -> Bool {
        guard let found = try? MetadataIndex.decode(found).metadata else { return false }
        return mayDiffer ? found.fileSize == nil || found.fileSize == metadata.fileSize : found == metadata
    }

    private func index(_ name: SessionName) async throws(StoreError) -> (info: ObjectInfo, bytes: [UInt8])? {
        do throws(StoreError) {
            return try await context.store.bytes(name.indexKey, limit: 1 << 20)
        } catch {
            switch error.kind {
            case .notFound: return nil
            // Larger than any index: none of ours.
            case .permanent: return (ObjectInfo(key: name.indexKey, size: 0), [])
            default: throw error
            }
        }
    }

    /// The index that stands under a name, if it is one that this machine writes for some metadata.
    func ownIndex(of name: SessionName, _ metadata: SessionMetadata) async throws(StoreError) -> [UInt8]? {
        guard let found = try await index(name)?.bytes,
            found == context.index(name, metadata, keeping: MetadataIndex.Foreign(found))
        else { return nil }
        return found
    }
}
