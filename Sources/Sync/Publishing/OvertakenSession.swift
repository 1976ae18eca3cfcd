internal import ObjectStore
internal import Platform
internal import SessionFormat

/// A session whose body somebody else has replaced while this machine wrote index and row of its own. Whoever wrote
/// those last may not be who wrote the body last: a FastShot client overwrites without looking, and conditions hold for
/// one object at a time.
struct OvertakenSession {
    let context: PublishContext
    let name: SessionName
    /// The tag of this machine's body.
    let etag: String?

    enum Outcome {
        /// The body is this machine's.
        case own
        /// There is none.
        case gone
        /// It changes again: who changes it writes its index and row.
        case changing
        /// The row that belongs to what is there now, and the tag of that.
        case replaced(OverallRow, etag: String?)
    }

    /// Gives the body that is in the bucket the index that belongs to it, if it has another one.
    func repairIndex() async throws(StoreError) -> Outcome {
        guard var info = try await context.head(name.bodyKey) else { return .gone }
        if info.etag == etag { return .own }
        let sink = HashingSink(skimming: context.options.key)
        do throws(StoreError) {
            _ = try await context.store.get(name.bodyKey, ReadOptions(ifMatch: info.etag), into: sink)
        } catch  where error.kind == .precondition || error.kind == .notFound { return .changing }
        let digests = sink.finish()
        let metadata = sink.metadata(name) ?? SessionMetadata(basicFactsOf: name, size: info.size)
        let wanted = context.index(name, metadata)
        if let condition = try await condition(for: wanted) {
            PublishContext.log.info("the index of another version is replaced", ["session": name.fileName])
            do throws(StoreError) {
                _ = try await context.store.put(name.indexKey, .bytes(wanted), condition)
            } catch  where error.kind == .precondition { return .changing }
        }
        info.contentMD5 = info.contentMD5 ?? digests.md5
        let row = context.row(name.fileName, info, sha256: digests.sha256, metadata: metadata)
        return .replaced(row, etag: info.etag)
    }

    /// How the index is to be written; nil where it agrees.
    private func condition(for wanted: [UInt8]) async throws(StoreError) -> WriteCondition? {
        let support = await context.conditions.support()
        do throws(StoreError) {
            let (info, bytes) = try await context.store.bytes(name.indexKey, limit: 1 << 20)
            if let found = try? MetadataIndex.decode(bytes).metadata, let ours = try? MetadataIndex.decode(wanted),
                found == ours.metadata
            {
                return nil
            }
            return support.ifMatch ? info.etag.map { .ifMatch($0) } ?? .always : .always
        } catch  where error.kind == .notFound {
            return support.ifAbsent ? .ifAbsent : .always
        }
    }
}
