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
        let mayHaveBegun = context.mayHaveBegun(change)
        do throws(PublishStop) { try await move() } catch {
            // A copy by an earlier try stays where the rename cannot go on from it; somebody may have taken it for his.
            if case .conflict = error, mayHaveBegun {
                try await stopping(undoes: true) { () throws(StoreError) in
                    _ = try await SessionRestorer(context: context).settle(newName, of: change.id)
                }
            }
            throw error
        }
        context.board.untouch(change.id)
    }

    private func move() async throws(PublishStop) {
        let removal = ObjectRemoval(context: context, name: oldName, id: change.id, version: change.remote)
        let source: ObjectInfo
        switch try await removal.look(expected: change.remote, attempted: change.attempted) {
        case .absent: return try await goOnWithoutSource()
        case .expected(let found), .ours(let found), .attempted(let found): source = found
        case .foreign(let found):
            try await removal.giveBack(change)
            throw .conflict(.renamed, found: found)
        }
        let facts = try await inquiry.facts(of: source, called: oldName)
        let (target, replaced) = try await copy(source)
        FaultPoint.reached("publish.rename.copy.after")
        if await !context.conditions.support().ifMatch {
            // A server that honours no conditions may have copied another version.
            let now = try await stopping(undoes: true) { () throws(StoreError) in
                try await context.head(oldName.bodyKey)
            }
            if let now, now.etag != source.etag || now.size != source.size {
                await takeBack(target, facts, replaced, hasIndex: false, hasRow: false)
                throw .conflict(.renamed, found: now)
            }
        }
        let indexETag = try await writeIndexAndRows(target, facts, replaced)
        // Whoever reads the session finds it under its new name from now on, until the catalog knows of that.
        context.cache?.moving(id: change.id, from: source, to: newName.fileName, as: target)
        defer { context.cache?.moved(id: change.id) }
        do throws(PublishStop) {
            _ = try await removal.remove(source)
        } catch {
            if case .undone = error {
                await Before(context, change.id, oldName, source, facts).putBack()
                await takeBack(target, facts, replaced, hasIndex: true, hasRow: true)
            }
            throw error
        }
        FaultPoint.reached("publish.rename.old.after")
        try await commit(target, facts, indexETag)
    }

    private var inquiry: SessionInquiry { SessionInquiry(context: context, id: change.id) }

    private func commit(
        _ target: ObjectInfo, _ facts: SessionFacts, _ indexETag: String?
    ) async throws(PublishStop) {
        var sent = Staging.Sent(
            change: change, object: target, contentMD5: target.contentMD5 ?? facts.md5, sha256: facts.sha256,
            metadata: facts.metadata, indexETag: indexETag)
        if facts.foreign != MetadataIndex.Foreign() {
            sent.indexBytes = context.index(newName, facts.metadata, keeping: facts.foreign)
        }
        try await context.commit(sent)
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
        context.cache?.moving(
            id: change.id, from: ObjectInfo(key: oldName.bodyKey, size: remote.size, etag: remote.etag),
            to: newName.fileName, as: target)
        defer { context.cache?.moved(id: change.id) }
        let facts = try await inquiry.facts(ofMoved: target, from: remote, to: newName)
        let indexETag = try await writeIndexAndRows(target, facts, nil)
        _ = try await ObjectRemoval(context: context, name: oldName, id: change.id, version: nil).remove(nil)
        try await commit(target, facts, indexETag)
    }

    /// Whether an object under the new name holds the contents of the version under the old one.
    /// - Parameter source: the object of that version, where it is there to be read.
    private func isSame(
        _ target: ObjectInfo, as version: ObjectVersion, source: ObjectInfo? = nil
    ) async throws(PublishStop) -> Bool {
        guard target.size == version.size else { return false }
        if let tag = target.etag, tag == version.etag { return true }
        return try await stopping(undoes: true) { () throws(StoreError) in
            var md5 = knownMD5(of: version)
            // A copy that is not known again would be a conflict with oneself.
            if md5 == nil, let source { md5 = try await context.md5(of: source) }
            guard let md5 else { return false }
            return try await context.md5(of: target) == md5
        }
    }

    private func knownMD5(of version: ObjectVersion) -> String? {
        if let md5 = version.contentMD5 { return md5 }
        if let remote = change.remote, remote.etag == version.etag, let md5 = remote.contentMD5 { return md5 }
        let entry = (try? context.catalog.entry(id: change.id)) ?? nil
        return entry?.etag == version.etag ? entry?.contentMD5 : nil
    }

    /// Copies the body to the new name.
    /// - Returns: the copy, and what it took the place of.
    private func copy(_ source: ObjectInfo) async throws(PublishStop) -> (ObjectInfo, ReplacedSession?) {
        let found = try await stopping(undoes: true) { () throws(StoreError) in
            try await context.head(newName.bodyKey)
        }
        let condition: WriteCondition
        var replaced: ReplacedSession?
        if let found {
            if let base = try await expected(found, change.replaces) {
                condition = base.etag.map { .ifMatch($0) } ?? .always
                replaced = ReplacedSession(context: context, name: newName, id: change.replacedID, object: base)
                if let conflict = change.conflict, let tag = base.etag {
                    await BucketVersionKeeper(context: context).keep(newName, etag: tag, conflict: conflict)
                }
            } else if try await isSame(found, as: ObjectVersion(source), source: source) {
                // An earlier try whose answer was lost.
                return (found, nil)
            } else {
                throw .conflict(.renamed, found: found)
            }
        } else {
            condition = .ifAbsent
        }
        FaultPoint.reached("publish.rename.copy.before")
        context.board.touch(change.id)
        do throws(StoreError) {
            let copy = try await context.store.copy(
                oldName.bodyKey, ifSourceMatch: source.etag, to: newName.bodyKey, condition)
            return (copy, replaced)
        } catch {
            guard error.kind == .precondition || error.kind == .notFound else {
                throw PublishStop(error, undoes: true)
            }
        }
        let (before, after) = try await stopping(undoes: true) { () throws(StoreError) in
            (try await context.head(oldName.bodyKey), try await context.head(newName.bodyKey))
        }
        if let after, after != found, try await isSame(after, as: ObjectVersion(source), source: source) {
            return (after, replaced)
        }
        guard let before, before.etag == source.etag else { throw .conflict(.renamed, found: before) }
        guard after?.etag != found?.etag else {
            throw .later(StoreError(.temporary, key: newName.bodyKey, message: "the copy fails, and nothing changed"))
        }
        throw .conflict(.renamed, found: after)
    }

    /// What stands under the new name, if it is the version that the user replaced, or contents of ours that were tried.
    private func expected(_ found: ObjectInfo, _ version: ObjectVersion?) async throws(PublishStop) -> ObjectInfo? {
        let finding = try await stopping(undoes: true) { () throws(StoreError) in
            try await context.examine(found, expected: version, ours: nil, attempted: change.attempted)
        }
        switch finding {
        case .expected(let info), .attempted(let info): return info
        case .absent, .ours, .foreign: return nil
        }
    }

    private func writeIndexAndRows(
        _ target: ObjectInfo, _ facts: SessionFacts, _ replaced: ReplacedSession?
    ) async throws(PublishStop) -> String? {
        var tag: String?
        var hasIndex = false
        let index = context.index(newName, facts.metadata, keeping: facts.foreign)
        let standing: Standing
        context.board.touch(change.id)
        do throws(PublishStop) {
            tag = try await stopping(undoes: true) { () throws(StoreError) in
                try await context.store.put(newName.indexKey, .bytes(index), .always).etag
            }
            hasIndex = true
            FaultPoint.reached("publish.rename.index.after")
            let row = context.row(newName.fileName, target, sha256: facts.sha256, metadata: facts.metadata)
            standing = try await stopping(undoes: true) { () throws(StoreError) in
                try await context.writeRows(
                    [.move(from: oldName.fileName, checksum: nil, to: row)], about: target, of: change.id)
            }
            FaultPoint.reached("publish.rename.row.after")
        } catch {
            if case .undone = error { await takeBack(target, facts, replaced, hasIndex: hasIndex, hasRow: false) }
            throw error
        }
        if let found = try await context.giveWay(to: standing, newName, index, of: change.id, undoes: true) {
            throw .conflict(.renamed, found: found.object)
        }
        return tag
    }

    /// Removes what the job has made under the new name, or puts back what it replaced there.
    private func takeBack(
        _ object: ObjectInfo, _ facts: SessionFacts, _ replaced: ReplacedSession?, hasIndex: Bool, hasRow: Bool
    ) async {
        do throws(StoreError) {
            if let replaced {
                return try await replaced.putBack(over: object, hasIndex: hasIndex, hasRow: hasRow, of: change.id)
            }
            // What another try has replaced is not known any more.
            guard change.replaces == nil else {
                try await SessionRestorer(context: context).settle(newName, of: change.id)
                return
            }
            // Not before it is known that nobody has put another body there.
            _ = try await context.remove(object)
            guard hasIndex || hasRow else { return }
            let index = context.index(newName, facts.metadata, keeping: facts.foreign)
            try await SessionRestorer(context: context).settle(newName, of: change.id, own: [index], hasRow: hasRow)
        } catch {
            PublishContext.log.warning("not taken back", ["object": newName.bodyKey, "cause": error.description])
        }
    }
}
