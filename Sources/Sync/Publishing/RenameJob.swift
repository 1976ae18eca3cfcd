internal import Catalog
internal import ObjectStore
internal import Platform
internal import SessionCache
internal import SessionFormat

/// Renames a session whose contents stay: copy, index, rows, and the old index and body go.
struct RenameJob {
    let context: PublishContext
    let change: PendingChange
    let oldName: SessionName
    let newName: SessionName

    func run() async throws(PublishStop) {
        let removal = ObjectRemoval(context: context, name: oldName, id: change.id)
        let source: ObjectInfo
        switch try await removal.look(expected: change.remote, attempted: change.attempted) {
        case .absent: return try await goOnWithoutSource()
        case .expected(let found), .ours(let found), .attempted(let found): source = found
        case .foreign(let found): throw .conflict(.renamed, found: found)
        }
        let metadata = try await metadata()
        let target = try await copy(source)
        FaultPoint.reached("publish.rename.copy.after")
        var facts = Facts(target, source, entry: (try? context.catalog.entry(id: change.id)) ?? nil)
        facts.metadata = metadata
        let indexETag = try await writeIndexAndRows(facts)
        do throws(PublishStop) {
            _ = try await context.finishing { () throws(PublishStop) in try await removal.remove(source) }
        } catch {
            if case .undone = error {
                await Before(context, change, oldName).putBack()
                await takeBack(facts.object, hasIndex: true)
            }
            throw error
        }
        FaultPoint.reached("publish.rename.old.after")
        try await commit(facts, indexETag)
    }

    private struct Facts: Sendable {
        var object: ObjectInfo
        var md5: String?
        var sha256: String?
        var metadata: SessionMetadata?

        init(_ target: ObjectInfo, _ source: ObjectInfo, entry: SessionEntry?) {
            object = target
            let isKnown = entry.map { $0.size == source.size && ($0.etag == nil || $0.etag == source.etag) } ?? false
            md5 = target.contentMD5 ?? source.contentMD5 ?? (isKnown ? entry?.contentMD5 : nil)
            sha256 = isKnown ? entry?.sha256 : nil
        }
    }

    private func commit(_ facts: Facts, _ indexETag: String?) async throws(PublishStop) {
        try await context.commit(
            Staging.Sent(
                change: change, object: facts.object, contentMD5: facts.md5, sha256: facts.sha256,
                metadata: facts.metadata, indexETag: indexETag))
    }

    /// The old body is gone: by an earlier try of this rename that came so far, or by somebody else.
    private func goOnWithoutSource() async throws(PublishStop) {
        let target = try await stopping(undoes: true) { () throws(StoreError) in
            try await context.head(newName.bodyKey)
        }
        guard let target, let remote = change.remote, target.size == remote.size,
            change.replaces == nil || target.etag != change.replaces?.etag,
            try await isSame(target, as: remote)
        else { throw .conflict(.renamed, found: nil) }
        var facts = Facts(target, target, entry: nil)
        facts.metadata = try await metadata()
        let indexETag = try await writeIndexAndRows(facts)
        _ = try await context.finishing { () throws(PublishStop) in
            try await ObjectRemoval(context: context, name: oldName, id: change.id).remove(nil)
        }
        try await commit(facts, indexETag)
    }

    /// Whether an object under the new name holds the contents of the version under the old one.
    private func isSame(_ target: ObjectInfo, as version: ObjectVersion) async throws(PublishStop) -> Bool {
        guard target.size == version.size else { return false }
        if let tag = target.etag, tag == version.etag { return true }
        let entry = (try? context.catalog.entry(id: change.id)) ?? nil
        guard let md5 = version.contentMD5 ?? (entry?.etag == version.etag ? entry?.contentMD5 : nil) else {
            return false
        }
        return try await stopping(undoes: true) { () throws(StoreError) in try await context.md5(of: target) } == md5
    }

    /// The metadata that goes with the session: the catalog's, else that of the old index.
    private func metadata() async throws(PublishStop) -> SessionMetadata? {
        if let known = (try? context.catalog.metadata(id: change.id)) ?? nil { return known }
        return try await stopping(undoes: true) { () throws(StoreError) in
            do throws(StoreError) {
                let (_, bytes) = try await context.store.bytes(oldName.indexKey, limit: 1 << 20)
                return (try? MetadataIndex.decode(bytes))?.metadata
            } catch  where error.kind == .notFound || error.kind == .permanent { return nil }
        }
    }

    /// Copies the body to the new name.
    private func copy(_ source: ObjectInfo) async throws(PublishStop) -> ObjectInfo {
        let found = try await stopping(undoes: true) { () throws(StoreError) in
            try await context.head(newName.bodyKey)
        }
        let condition: WriteCondition
        if let found {
            if let replaces = change.replaces, let base = try await replaced(found, replaces) {
                condition = base.etag.map { .ifMatch($0) } ?? .always
            } else if try await isSame(found, as: ObjectVersion(source)) {
                // An earlier try whose answer was lost.
                return found
            } else {
                throw .conflict(.renamed, found: found)
            }
        } else {
            condition = .ifAbsent
        }
        FaultPoint.reached("publish.rename.copy.before")
        do throws(StoreError) {
            return try await context.store.copy(
                oldName.bodyKey, ifSourceMatch: source.etag, to: newName.bodyKey, condition)
        } catch {
            guard error.kind == .precondition || error.kind == .notFound else {
                throw PublishStop(error, undoes: true)
            }
        }
        let (before, after) = try await stopping(undoes: true) { () throws(StoreError) in
            (try await context.head(oldName.bodyKey), try await context.head(newName.bodyKey))
        }
        if let after, after != found, try await isSame(after, as: ObjectVersion(source)) { return after }
        guard let before, before.etag == source.etag else { throw .conflict(.renamed, found: before) }
        throw .conflict(.renamed, found: after)
    }

    /// What stands under the new name, if it is the version that the user replaced.
    private func replaced(_ found: ObjectInfo, _ version: ObjectVersion) async throws(PublishStop) -> ObjectInfo? {
        let finding = try await stopping(undoes: true) { () throws(StoreError) in
            try await context.examine(found, expected: version, ours: nil, attempted: change.attempted)
        }
        switch finding {
        case .expected(let info), .attempted(let info): return info
        case .absent, .ours, .foreign: return nil
        }
    }

    private func writeIndexAndRows(_ facts: Facts) async throws(PublishStop) -> String? {
        var tag: String?
        var hasIndex = false
        do throws(PublishStop) {
            if let metadata = facts.metadata {
                tag = try await stopping(undoes: true) { () throws(StoreError) in
                    try await context.store.put(newName.indexKey, .bytes(context.index(newName, metadata)), .always)
                        .etag
                }
                hasIndex = true
            }
            FaultPoint.reached("publish.rename.index.after")
            let row = context.row(newName.fileName, facts.object, sha256: facts.sha256, metadata: facts.metadata)
            try await stopping(undoes: true) { () throws(StoreError) in
                try await context.writeRows(
                    [.remove(fileName: oldName.fileName, checksum: nil), .set(row)], about: facts.object, of: change.id)
            }
            FaultPoint.reached("publish.rename.row.after")
        } catch {
            if case .undone = error { await takeBack(facts.object, hasIndex: hasIndex) }
            throw error
        }
        return tag
    }

    /// Removes what the job has made under the new name, unless it replaced something.
    private func takeBack(_ object: ObjectInfo, hasIndex: Bool) async {
        guard change.replaces == nil else { return }
        do throws(StoreError) {
            if hasIndex {
                try await context.store.delete(newName.indexKey, ifMatch: nil)
                try await context.writeRows(
                    [.remove(fileName: newName.fileName, checksum: nil)], about: nil, of: change.id)
            }
            try await context.store.delete(newName.bodyKey, ifMatch: object.etag)
        } catch {
            PublishContext.log.warning("not taken back", ["object": newName.bodyKey, "cause": error.description])
        }
    }
}
