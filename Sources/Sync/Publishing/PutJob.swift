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
        guard let old = change.remoteName, old != change.name else { return nil }
        return SessionName(fileName: old)
    }

    /// What is expected under the name; nil: nothing.
    var expected: ObjectVersion? {
        // A conflict that was decided for this machine sets what is replaced, whoever had the name before.
        change.replaces ?? (change.remoteName == change.name ? change.remote : nil)
    }

    /// The session whose object is replaced.
    private var replacedID: Int64? {
        change.remoteName == change.name ? change.id : change.replacedID
    }

    func run() async throws(PublishStop) {
        let examination = try examine()
        // Parts of large contents, which nobody sees, are sent while it is still found out whether they may be.
        if !isSentInParts || change.conflict != nil { _ = try await examination.facts() }
        let body = try await sendBody(examination)
        let facts = try await examination.facts()
        context.board.note(change.id, .init(generation: change.generation, facts: facts, body: body))
        let indexETag: String?
        var hasIndex = false
        do throws(PublishStop) {
            FaultPoint.reached("publish.index.before")
            indexETag = try await stopping { () throws(StoreError) in
                try await context.store.put(
                    name.indexKey, .bytes(context.index(name, facts.metadata)), .always
                ).etag
            }
            FaultPoint.reached("publish.index.after")
            hasIndex = true
            try await writeRow(body, facts)
        } catch {
            if error.isFinal { await rollBack(body, facts, hasIndex: hasIndex) }
            throw error
        }
        if let oldName {
            try await context.finishing { () throws(PublishStop) in try await removeOld(oldName) }
        }
        try await context.commit(
            Staging.Sent(
                change: change, object: body, contentMD5: facts.md5, sha256: facts.sha256, metadata: facts.metadata,
                indexETag: indexETag))
        context.board.note(change.id, nil)
    }

    /// Whether the body is large enough for an upload in parts.
    private var isSentInParts: Bool {
        content.size >= MultipartPlan.threshold && context.store.multipart != nil
    }

    private func examine() throws(PublishStop) -> Examination {
        let file: FileDescriptor
        do throws(SystemError) { file = try FileDescriptor.open(content.path) } catch {
            throw .failed("the staged file cannot be opened: \(error)")
        }
        if let reached = context.board.reached(change.id, generation: change.generation) {
            return Examination(of: file, known: reached.facts)
        }
        let (context, change, content, name) = (context, change, content, name)
        return Examination(of: file) {
            let found = await context.onDisk {
                StagedFacts.examine(
                    content, file: file, name: name, key: context.options.key, foreign: context.options.foreign)
            }
            if case .success(let facts) = found {
                context.board.note(change.id, .init(generation: change.generation, facts: facts, body: nil))
            }
            return found
        }
    }

    private func writeRow(_ body: ObjectInfo, _ facts: StagedFacts) async throws(PublishStop) {
        let row = context.row(name.fileName, body, sha256: facts.sha256, metadata: facts.metadata)
        let rows: RowChange = oldName.map { .move(from: $0.fileName, checksum: nil, to: row) } ?? .set(row)
        try await stopping { () throws(StoreError) in try await context.writeRows([rows], about: body, of: change.id) }
    }

    /// Removes what has the old name. Somebody's edit under it stays, and so does what the store does not let go: it is
    /// another session then.
    private func removeOld(_ oldName: SessionName) async throws(PublishStop) {
        let removal = ObjectRemoval(context: context, name: oldName, id: change.id)
        do throws(PublishStop) {
            _ = try await removal.run(expected: change.remote, attempted: change.attempted)
        } catch {
            guard case .undone(let reason) = error else { throw error }
            PublishContext.log.warning("the old name stays", ["name": oldName.fileName, "cause": reason])
            try await stopping { () throws(StoreError) in
                guard let info = try await context.head(oldName.bodyKey) else { return }
                try await SessionRestorer(context: context).restore(oldName, info, id: change.id)
            }
        }
    }

    /// Takes back what a part that failed for good leaves behind, as far as it can be.
    private func rollBack(_ body: ObjectInfo, _ facts: StagedFacts, hasIndex: Bool) async {
        context.board.note(change.id, nil)
        do throws(StoreError) {
            if expected == nil {
                if hasIndex { try await context.store.delete(name.indexKey, ifMatch: nil) }
                try await context.store.delete(name.bodyKey, ifMatch: body.etag)
            } else if let expected {
                let replaced = ReplacedSession(context: context, name: name, id: replacedID, expected: expected)
                try await replaced.putBack(over: body, hasIndex: hasIndex, hasRow: false, of: change.id)
            }
        } catch {
            PublishContext.log.warning("not taken back", ["object": name.bodyKey, "cause": error.description])
        }
    }
}
