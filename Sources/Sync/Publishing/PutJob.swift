internal import Catalog
internal import ObjectStore
internal import Platform
internal import SessionCache
internal import SessionFormat

/// Sends contents under a name: body, index, row; then takes away what the session was called before.
struct PutJob {
    let context: PublishContext
    let change: PendingChange
    let content: StagedContent
    let name: SessionName

    /// The name that the session has in the bucket and is to lose.
    private var oldName: SessionName? {
        guard let old = change.remoteName.flatMap({ SessionName(fileName: $0) }), old != name else { return nil }
        return old
    }

    /// What is expected under the name; nil: nothing.
    var expected: ObjectVersion? {
        // A conflict that was decided for this machine sets what is replaced, whoever had the name before.
        change.replaces ?? (hasOwnName ? change.remote : nil)
    }

    /// The session whose object is replaced.
    private var replacedID: Int64? {
        hasOwnName ? change.id : change.replacedID
    }

    /// Whether the session has its name in the bucket already.
    private var hasOwnName: Bool { change.remoteName.map { SessionName(fileName: $0) == name } ?? false }

    func run() async throws(PublishStop) {
        let oldRemoval = oldName.map {
            ObjectRemoval(context: context, name: $0, id: change.id, version: change.remote)
        }
        let (body, facts, late) = try await sendContents()
        defer { late?.cancel() }
        let indexETag: String?
        let foreign = try await foreignMembers()
        let index = context.index(name, facts.metadata, keeping: foreign)
        let standing: Standing
        var hasIndex = false
        context.board.touch(change.id)
        do throws(PublishStop) {
            FaultPoint.reached("publish.index.before")
            indexETag = try await stopping { () throws(StoreError) in
                try await context.store.put(name.indexKey, .bytes(index), .always).etag
            }
            FaultPoint.reached("publish.index.after")
            hasIndex = true
            standing = try await writeRow(body, facts)
        } catch {
            if error.isFinal { await rollBack(body, index: hasIndex ? index : nil) }
            throw error
        }
        if let found = try await context.giveWay(to: standing, name, index, of: change.id, undoes: false) {
            context.board.note(change.id, nil)
            throw conflict(found.object)
        }
        if let oldRemoval { try await removeOld(oldRemoval) }
        var sent = Staging.Sent(
            change: change, object: body, contentMD5: facts.md5, sha256: facts.sha256, metadata: facts.metadata,
            indexETag: indexETag)
        if let late { sent.contentMD5 = await late.md5 }
        if foreign != MetadataIndex.Foreign() { sent.indexBytes = index }
        try await context.commit(sent)
        context.board.note(change.id, nil)
        context.board.untouch(change.id)
    }

    /// What other clients have written into the index of the session that is edited.
    private func foreignMembers() async throws(PublishStop) -> MetadataIndex.Foreign {
        if expected == nil, oldName == nil { return MetadataIndex.Foreign() }
        let inquiry = SessionInquiry(context: context, id: change.id)
        if let old = oldName, let found = try await inquiry.index(old, undoes: false) {
            return MetadataIndex.Foreign(found.bytes).ofAnyBody
        }
        // An earlier try may have come so far that the old one has gone.
        if oldName != nil, !context.mayHaveBegun(change) { return MetadataIndex.Foreign() }
        guard let found = try await inquiry.index(name, undoes: false) else { return MetadataIndex.Foreign() }
        return MetadataIndex.Foreign(found.bytes).ofAnyBody
    }

    /// - Parameter found: what stands in place of what was expected, or of what was sent; nil: nothing.
    func conflict(_ found: ObjectInfo?) -> PublishStop {
        guard let found else { return .conflict(.editedRemoved, found: nil) }
        return .conflict(expected == nil ? .created : .edited, found: found)
    }

    /// The staged file is open no longer than this, or than its MD5 takes: thousands of changes may wait for their rows.
    /// - Returns: also what takes the MD5 where it is not known.
    private func sendContents() async throws(PublishStop) -> (ObjectInfo, StagedFacts, LateMD5?) {
        let examination = try examine()
        // Parts of large contents, which nobody sees, are sent while it is still found out whether they may be.
        if !isSentInParts || change.conflict != nil { _ = try await examination.facts() }
        let late = isSentInParts ? LateMD5(examination) : nil
        do throws(PublishStop) {
            let body = try await sendBody(examination)
            late?.begin()
            let facts = try await examination.facts()
            context.board.note(change.id, .init(change, facts: facts, body: body))
            return (body, facts, late)
        } catch {
            late?.cancel()
            throw error
        }
    }

    /// Whether the body is large enough for an upload in parts.
    private var isSentInParts: Bool {
        content.size >= MultipartPlan.threshold && context.store.multipart != nil
    }

    private func examine() throws(PublishStop) -> Examination {
        let file: FileDescriptor
        do throws(SystemError) { file = try FileDescriptor.open(content.path) } catch {
            if error.isShortage { throw .later(StoreError(error, key: name.bodyKey)) }
            throw .failed("the staged file cannot be opened: \(error)")
        }
        if let reached = context.board.reached(change) {
            return Examination(of: file, known: reached.facts)
        }
        let (context, change, content, name) = (context, change, content, name)
        let pass =
            context.early.take(content.path)
            ?? StagedPass(key: context.options.key, .init(for: context.store, isInParts: isSentInParts))
        return Examination(of: file, pass) {
            let found = await context.hashing.result {
                StagedFacts.examine(content, file: file, name: name, foreign: context.options.foreign, pass)
            }
            if case .success(let facts) = found {
                context.board.note(change.id, .init(change, facts: facts, body: nil))
            }
            return found
        }
    }

    private func writeRow(_ body: ObjectInfo, _ facts: StagedFacts) async throws(PublishStop) -> Standing {
        let row = context.row(name.fileName, body, sha256: facts.sha256, metadata: facts.metadata)
        let rows: RowChange = oldName.map { .move(from: $0.fileName, checksum: nil, to: row) } ?? .set(row)
        return try await stopping { () throws(StoreError) in
            try await context.writeRows([rows], about: body, of: change.id)
        }
    }

    /// Removes what has the old name. Somebody's edit under it stays, and so does what the store does not let go: it is
    /// another session then.
    private func removeOld(_ removal: ObjectRemoval) async throws(PublishStop) {
        do throws(PublishStop) {
            _ = try await removal.run(expected: change.remote, attempted: change.attempted)
        } catch {
            guard case .undone(let reason) = error else { throw error }
            PublishContext.log.warning("the old name stays", ["name": removal.name.fileName, "cause": reason])
            try await stopping { () throws(StoreError) in
                _ = try await SessionRestorer(context: context).settle(removal.name, of: change.id)
            }
        }
    }

    /// An earlier try has written its index over that of the body that stands now, which gets its own again, or beside
    /// none.
    func giveBack(_ facts: StagedFacts, to found: ObjectInfo?) async throws(PublishStop) {
        guard context.mayHaveBegun(change) else { return }
        let restorer = SessionRestorer(context: context)
        // Also a removal that this change has taken over.
        let isSure = context.board.hasTouched(change.id) || change.replaces?.mayBeGone ?? false
        try await stopping { () throws(StoreError) in
            let own = try await restorer.ownIndex(of: name, facts.metadata)
            // In an earlier process, if at all. The body is not read for nothing.
            var isNeeded = isSure || own != nil
            if !isNeeded, found == nil { isNeeded = try await context.head(name.indexKey) != nil }
            guard isNeeded else { return }
            try await restorer.settle(name, of: change.id, own: [own ?? context.index(name, facts.metadata)])
        }
    }

    /// Takes back what a part that failed for good leaves behind, as far as it can be.
    private func rollBack(_ body: ObjectInfo, index: [UInt8]?) async {
        context.board.note(change.id, nil)
        do throws(StoreError) {
            if expected == nil {
                // Not before it is known that nobody has put another body there.
                _ = try await context.remove(body)
                guard let index else { return }
                try await SessionRestorer(context: context).settle(name, of: change.id, own: [index], hasRow: false)
            } else if let expected {
                let replaced = ReplacedSession(context: context, name: name, id: replacedID, expected: expected)
                try await replaced.putBack(over: body, hasIndex: index != nil, hasRow: false, of: change.id)
            }
        } catch {
            PublishContext.log.warning("not taken back", ["object": name.bodyKey, "cause": error.description])
        }
    }
}
