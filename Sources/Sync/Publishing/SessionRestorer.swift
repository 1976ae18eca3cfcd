internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Makes index and row of a name tell of the body that stands under it, whoever put it there.
struct SessionRestorer {
    let context: PublishContext
    /// Of the job.
    let id: Int64

    /// How often the body may be another one meanwhile.
    private static let mostTries = 6

    /// Looks at the body, writes what belongs to it, and looks again.
    /// - Parameters:
    ///   - own: bytes of indexes that this machine has written for other bodies. Another index that is there stays
    ///     where it may belong to the body: every client writes it after the body.
    ///   - hasRow: whether the row is looked after, too.
    ///   - isGone: the body has just been removed.
    /// - Returns: what stands under the name; nil: nothing, and neither index nor row.
    @discardableResult
    func settle(
        _ name: SessionName, own: [[UInt8]] = [], hasRow: Bool = true, isGone: Bool = false
    ) async throws(StoreError) -> ObjectInfo? {
        var own = own
        var found = isGone ? nil : try await look(name)
        for _ in 0..<Self.mostTries {
            if let info = found {
                if try await describe(name, info, &own, hasRow: hasRow) { return info }
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

    private func look(_ name: SessionName) async throws(StoreError) -> ObjectInfo? {
        try await context.finishing { () throws(StoreError) in try await context.head(name.bodyKey) }
    }

    /// Reads a body and writes index and row for it.
    /// - Returns: false when another one has taken its place meanwhile.
    private func describe(
        _ name: SessionName, _ info: ObjectInfo, _ own: inout [[UInt8]], hasRow: Bool
    ) async throws(StoreError) -> Bool {
        let sink = HashingSink(skimming: context.options.key)
        do throws(StoreError) {
            try await context.finishing { () throws(StoreError) in
                _ = try await context.store.get(name.bodyKey, ReadOptions(ifMatch: info.etag), into: sink)
            }
        } catch  where error.kind == .precondition || error.kind == .notFound { return false }
        let digests = sink.finish()
        guard digests.info?.etag == info.etag else { return false }
        let read = sink.metadata(name)
        let metadata = read ?? SessionMetadata(basicFactsOf: name, size: info.size)
        let index = context.index(name, metadata)
        try await writeIndex(name, index, own, mayDiffer: read == nil)
        own.append(index)
        guard hasRow else { return try await look(name)?.etag == info.etag }
        var object = info
        object.contentMD5 = info.contentMD5 ?? digests.md5
        let row = context.row(name.fileName, object, sha256: digests.sha256, metadata: metadata)
        return try await context.writeRows([.set(row)], about: object, of: id) == .stands
    }

    /// - Parameter mayDiffer: the body cannot be read here; who wrote its index may have known more.
    private func writeIndex(
        _ name: SessionName, _ bytes: [UInt8], _ own: [[UInt8]], mayDiffer: Bool
    ) async throws(StoreError) {
        do throws(StoreError) {
            guard let (info, found) = try await index(name) else {
                return _ = try await context.put(name.indexKey, bytes, .ifAbsent)
            }
            guard found != bytes, own.contains(found) || !belongs(found, beside: bytes, mayDiffer) else { return }
            _ = try await context.put(name.indexKey, bytes, info.etag.map { .ifMatch($0) } ?? .always)
        } catch  where error.kind == .precondition {
            // Somebody writes one at this moment, who looks at the body afterwards.
        }
    }

    /// Whether an index that is there may be of the body that another one is made of.
    private func belongs(_ found: [UInt8], beside made: [UInt8], _ mayDiffer: Bool) -> Bool {
        guard let found = try? MetadataIndex.decode(found).metadata, let made = try? MetadataIndex.decode(made).metadata
        else { return false }
        return mayDiffer ? found.fileSize == nil || found.fileSize == made.fileSize : found == made
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

    /// Whether the index that stands under a name is this one.
    func holds(_ name: SessionName, _ bytes: [UInt8]) async throws(StoreError) -> Bool {
        try await index(name)?.bytes == bytes
    }
}
