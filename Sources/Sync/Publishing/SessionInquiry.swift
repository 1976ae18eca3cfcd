internal import Catalog
internal import ObjectStore
internal import Platform
internal import SessionCache
internal import SessionFormat

/// What belongs to one version of a body: its digests, as far as they are known, and its metadata.
struct SessionFacts: Sendable {
    /// Lower-case hex.
    var md5: String?
    /// Lower-case hex.
    var sha256: String?
    var metadata: SessionMetadata
    /// What other clients have written into its index beside that.
    var foreign = MetadataIndex.Foreign()
}

/// Finds out what belongs to the very object that is in the bucket. The catalog may know its tag already and still hold
/// the metadata of the version before it, until it has read the new index.
struct SessionInquiry {
    let context: PublishContext
    let id: Int64

    /// - Parameters:
    ///   - object: as it was found under `name`.
    ///   - name: its index is asked first, then the catalog, at last the body itself.
    func facts(of object: ObjectInfo, called name: SessionName) async throws(PublishStop) -> SessionFacts {
        let entry = knownEntry(ObjectVersion(object))
        if let found = try await index(name), agrees(found.info, found.index, with: object) {
            var metadata = found.index.metadata
            metadata.fileSize = object.size
            return SessionFacts(
                md5: object.contentMD5 ?? entry?.contentMD5, sha256: entry?.sha256, metadata: metadata,
                foreign: MetadataIndex.Foreign(found.bytes))
        }
        if let known = known(object, entry) { return known }
        return try await read(object, name)
    }

    /// Of an object whose name was another one when the change was made: what it was called does not tell any more.
    /// - Parameters:
    ///   - version: the one that was moved.
    ///   - name: what it is called now.
    func facts(
        ofMoved object: ObjectInfo, from version: ObjectVersion, to name: SessionName
    ) async throws(PublishStop) -> SessionFacts {
        if let known = known(object, knownEntry(version)) { return known }
        return try await read(object, name)
    }

    /// The catalog's entry, if it is of this version.
    private func knownEntry(_ version: ObjectVersion) -> SessionEntry? {
        guard let entry = (try? context.catalog.entry(id: id)) ?? nil, entry.isKnown(to: version) else { return nil }
        return entry
    }

    /// What the catalog says, where its digest came with its metadata: looks at the object alone bring no SHA-256.
    private func known(_ object: ObjectInfo, _ entry: SessionEntry?) -> SessionFacts? {
        guard let entry, let sha256 = entry.sha256,
            let metadata = (try? context.catalog.metadata(id: id)) ?? nil, metadata.fileSize == object.size
        else { return nil }
        return SessionFacts(md5: object.contentMD5 ?? entry.contentMD5, sha256: sha256, metadata: metadata)
    }

    /// The index that stands under a name; nil where there is none that can be read.
    func index(
        _ name: SessionName, undoes: Bool = true
    ) async throws(PublishStop) -> (info: ObjectInfo, index: MetadataIndex, bytes: [UInt8])? {
        try await stopping(undoes: undoes) { () throws(StoreError) in
            do throws(StoreError) {
                let (info, bytes) = try await context.store.bytes(name.indexKey, limit: 1 << 20)
                return (try? MetadataIndex.decode(bytes)).map { (info, $0, bytes) }
            } catch  where error.kind == .notFound || error.kind == .permanent { return nil }
        }
    }

    /// Whether an index is that of a body: every client writes it after the body.
    private func agrees(_ info: ObjectInfo, _ index: MetadataIndex, with object: ObjectInfo) -> Bool {
        if let size = index.metadata.fileSize, size != object.size { return false }
        guard let written = info.modified, let uploaded = object.modified else { return false }
        return written >= uploaded
    }

    /// What the body tells; basic facts where it is no session.
    private func read(_ object: ObjectInfo, _ name: SessionName) async throws(PublishStop) -> SessionFacts {
        let sink = HashingSink(skimming: context.options.key)
        try await stopping(undoes: true) { () throws(StoreError) in
            do throws(StoreError) {
                _ = try await context.store.get(object.key, ReadOptions(ifMatch: object.etag), into: sink)
            } catch  where error.kind == .notFound {
                throw StoreError(.temporary, key: object.key, message: "the object went while it was looked at")
            }
        }
        let digests = sink.finish()
        return SessionFacts(
            md5: digests.md5, sha256: digests.sha256,
            metadata: sink.metadata(name) ?? SessionMetadata(basicFactsOf: name, size: object.size))
    }
}

extension SessionEntry {
    /// Whether it is of this version.
    func isKnown(to version: ObjectVersion) -> Bool {
        guard size == version.size else { return false }
        if let etag, let other = version.etag { return etag == other }
        return contentMD5 != nil && contentMD5 == version.contentMD5
    }

    /// Whether it is of this object.
    func isKnown(to object: ObjectInfo) -> Bool { isKnown(to: ObjectVersion(object)) }
}

extension SessionMetadata {
    /// What can be said of a body that is no session.
    init(basicFactsOf name: SessionName, size: UInt64) {
        self.init(name: name.title, createdAt: name.stamp?.iso8601, fileSize: size)
    }
}

/// A session whose name a job gives to another one, so that it can be put back when the job fails for good.
struct ReplacedSession: Sendable {
    let context: PublishContext
    let name: SessionName
    /// The catalog's.
    let id: Int64?
    let version: ObjectVersion

    /// - Parameter expected: what the job expected under the name, and found.
    init(context: PublishContext, name: SessionName, id: Int64?, expected: ObjectVersion) {
        self.context = context
        self.name = name
        self.id = id
        version = expected
    }

    /// - Parameter object: what the job found under the name.
    init(context: PublishContext, name: SessionName, id: Int64?, object: ObjectInfo) {
        self.init(context: context, name: name, id: id, expected: ObjectVersion(object))
    }

    /// Puts body, index and row back where the body is at hand. Where it is not, what stands there now gets the index
    /// and the row that belong to it.
    /// - Parameters:
    ///   - object: what the job has put in its place.
    ///   - hasIndex: whether the job has written an index.
    ///   - hasRow: whether it has written a row.
    ///   - change: the job's.
    func putBack(over object: ObjectInfo, hasIndex: Bool, hasRow: Bool, of change: Int64) async throws(StoreError) {
        guard let id, let entry = (try? context.catalog.entry(id: id)) ?? nil, entry.isKnown(to: version),
            let file = try? context.cache?.cachedBody(id: id)
        else {
            PublishContext.log.warning("the session that was replaced is not at hand", ["session": name.fileName])
            try await SessionRestorer(context: context).settle(name, of: change)
            return
        }
        let body = try await context.put(
            name.bodyKey, .file(file, length: entry.size), object.etag.map { .ifMatch($0) } ?? .always)
        if hasIndex, let bytes = (try? context.catalog.indexBytes(id: id)) ?? nil {
            _ = try await context.store.put(name.indexKey, .bytes(bytes), .always)
        }
        guard hasRow else { return }
        let metadata = (try? context.catalog.metadata(id: id)) ?? nil
        let row = context.row(name.fileName, body, sha256: entry.sha256, metadata: metadata)
        if try await context.writeRows([.set(row)], about: body, of: change) == .stands { return }
        try await SessionRestorer(context: context).settle(name, of: change)
    }
}
