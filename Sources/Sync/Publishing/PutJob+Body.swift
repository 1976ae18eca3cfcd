internal import Digests
internal import ObjectStore
internal import Operations
internal import Platform
internal import SessionCache

extension PutJob {
    /// Bodies of this size are listed as operations, in bytes.
    private static let operationSize: UInt64 = 1 << 20
    /// Bodies from this size on are looked for before they are sent again after a restart, in bytes.
    private static let lookSize: UInt64 = 1 << 20
    /// How often the bucket may change under the job before it is put off.
    private static let mostTries = 6

    /// Puts the body where what is expected stands.
    /// - Returns: the object that holds these contents.
    func sendBody(_ examination: Examination) async throws(PublishStop) -> ObjectInfo {
        if let reached = context.board.reached(change)?.body,
            let found = try await looked({ () throws(StoreError) in try await context.head(name.bodyKey) }),
            found.etag == reached.etag, found.size == reached.size
        {
            return reached
        }
        var base = expected
        if let version = base, version.etag == nil || content.size >= Self.lookSize && isInherited {
            switch try await settle(version, examination) {
            case .done(let info): return info
            case .goOn(let found): base = found
            }
        } else if isInherited, content.size >= Self.lookSize {
            switch try await settle(nil, examination) {
            case .done(let info): return info
            case .goOn(let found): base = found
            }
        }
        if let base, let standing = try await unchanged(base, examination) { return standing }
        for _ in 0..<Self.mostTries {
            if change.conflict != nil, let tag = base?.etag {
                await BucketVersionKeeper(context: context).keep(name, etag: tag, conflict: change.conflict ?? 0)
            }
            FaultPoint.reached("publish.body.before")
            do throws(StoreError) {
                let info = try await upload(examination, base)
                FaultPoint.reached("publish.body.after")
                if let info { return info }
            } catch {
                if let stop = examination.stop { throw stop }
                // Some servers say "not found" where `If-Match` meets nothing.
                guard error.kind == .precondition || (error.kind == .notFound && base != nil) else {
                    throw PublishStop(error)
                }
            }
            switch try await settle(base, examination) {
            case .done(let info): return info
            case .goOn(let found): base = found
            }
        }
        throw .later(StoreError(.temporary, key: name.bodyKey, message: "the object changes all the time"))
    }

    /// The object that an edit goes out from, where it has come to the very same bytes: `rsync` and editors write files
    /// anew that have not changed.
    private func unchanged(
        _ base: ObjectVersion, _ examination: Examination
    ) async throws(PublishStop) -> ObjectInfo? {
        guard let tag = base.etag, base.size == content.size, change.conflict == nil,
            let entry = (try? context.catalog.entry(fileName: name.fileName)) ?? nil, entry.etag == tag
        else { return nil }
        let facts = try await examination.facts()
        // What rows say of an object is not believed, but nothing is asked where it differs already.
        guard facts.md5 == nil || entry.contentMD5 ?? facts.md5 == facts.md5,
            entry.sha256 ?? facts.sha256 == facts.sha256,
            let found = try await looked({ () throws(StoreError) in try await context.head(name.bodyKey) }),
            found.etag == tag, found.size == content.size
        else { return nil }
        if let md5 = facts.md5, md5 == found.contentMD5 { return found }
        return await isOurMultipart(found, examination.file) ? found : nil
    }

    /// Whether an earlier process may have begun with it.
    private var isInherited: Bool { change.multipart != nil || !change.attempted.isEmpty }

    private enum Settled {
        case done(ObjectInfo)
        /// What the next try goes out from.
        case goOn(ObjectVersion?)
    }

    private func looked<Value: Sendable>(
        _ request: () async throws(StoreError) -> Value
    ) async throws(PublishStop) -> Value {
        try await stopping { () throws(StoreError) in try await request() }
    }

    /// Looks at what the bucket holds in place of what was expected.
    private func settle(
        _ base: ObjectVersion?, _ examination: Examination
    ) async throws(PublishStop) -> Settled {
        let facts = try await examination.facts()
        let size = content.size
        let found = try await looked { () throws(StoreError) -> PublishContext.Finding in
            guard let info = try await context.head(name.bodyKey) else { return .absent }
            if await isOurMultipart(info, examination.file) { return .ours(info) }
            // Contents of another length are others.
            let ours = info.size == size ? try await fingerprint(facts, examination.file) : nil
            return try await context.examine(info, expected: base, ours: ours, attempted: change.attempted)
        }
        switch found {
        case .ours(let info): return .done(info)
        case .expected(let info), .attempted(let info): return .goOn(ObjectVersion(info))
        case .absent where base?.mayBeGone ?? true: return .goOn(nil)
        case .absent:
            try await giveBack(facts, to: nil)
            throw .conflict(.editedRemoved, found: nil)
        case .foreign(let info):
            try await giveBack(facts, to: info)
            throw .conflict(base == nil ? .created : .edited, found: info)
        }
    }

    /// What tells the contents apart from others. Reads them where their MD5 is not known yet.
    func fingerprint(
        _ facts: StagedFacts, _ file: FileDescriptor
    ) async throws(StoreError) -> ContentFingerprint {
        if let md5 = facts.md5 { return ContentFingerprint(size: facts.size, md5: md5) }
        let body = ObjectBody.file(file, length: facts.size)
        let digest = try await ContentDigests.of(body, sha256: false).md5 ?? []
        return ContentFingerprint(size: facts.size, md5: Hex.encode(digest))
    }

    /// Whether an object is the one that an upload of this file in parts makes: its tag tells without reading it.
    private func isOurMultipart(_ info: ObjectInfo, _ file: FileDescriptor) async -> Bool {
        let size = content.size
        guard size >= MultipartPlan.threshold, info.size == size, let tag = info.etag, tag.contains("-") else {
            return false
        }
        return (try? await MultipartPlan(length: size).tag(of: file)) == tag
    }

    /// - Returns: nil where somebody was faster.
    private func upload(
        _ examination: Examination, _ base: ObjectVersion?
    ) async throws(StoreError) -> ObjectInfo? {
        let conditions = context.conditions
        let isHonoured: Bool
        if base == nil {
            isHonoured = conditions.ifAbsent
        } else {
            isHonoured = await conditions.support().ifMatch && base?.etag != nil
        }
        if isHonoured {
            return try await transfer(examination, base?.etag.map { .ifMatch($0) } ?? .ifAbsent)
        }
        // Without conditions: look, write, look again a little later, when others who looked before are done, too.
        let before = try await context.head(name.bodyKey)
        guard before?.etag == base?.etag, (before == nil) == (base == nil) else { return nil }
        let written = try await transfer(examination, .always)
        await context.options.pause(Double.random(in: 0.05...0.25))
        guard let after = try await context.head(name.bodyKey) else { return nil }
        if after.etag == written.etag, after.size == written.size { return written }
        return nil
    }

    /// Sends the bytes, as an operation when they are many.
    private func transfer(
        _ examination: Examination, _ condition: WriteCondition
    ) async throws(StoreError) -> ObjectInfo {
        let (board, staging, change, total) = (context.board, context.staging, change, content.size)
        board.progress(change.id, (0, total))
        defer { board.progress(change.id, nil) }
        let key = name.bodyKey
        let store = context.store
        let parts = Guarded(change.multipart)
        let begun = context.begun
        let beginning: @Sendable () -> Void = { begun.begin(key) }
        defer { begun.end(key) }
        let note: @Sendable (MultipartProgress?) throws(StoreError) -> Void = { progress throws(StoreError) in
            do throws(StagingError) { try staging.note(change, multipart: progress) } catch {
                throw StoreError(.local, key: key, message: error.description)
            }
            parts.withLock { $0 = progress }
        }
        let digests: @Sendable () async throws(StoreError) -> ContentDigests = { () throws(StoreError) in
            do throws(PublishStop) {
                let facts = try await examination.facts()
                return ContentDigests(md5: facts.md5.flatMap { Hex.decode($0) }, sha256: Hex.decode(facts.sha256))
            } catch { throw StoreError(.permanent, key: key, message: "the contents are not to be sent") }
        }
        guard total >= Self.operationSize else {
            return try await store.upload(
                key, examination.file, length: total, condition, digests: digests, resuming: change.multipart,
                note: note, progress: { board.progress(change.id, ($0, total)) })
        }
        let started = Guarded<OperationHandle?>(nil)
        let task = Task { () async -> Result<ObjectInfo, StoreError> in
            do throws(StoreError) {
                return .success(
                    try await store.upload(
                        key, examination.file, length: total, condition, digests: digests,
                        parts: { examination.digests(of: $0) }, resuming: change.multipart, beginning: beginning,
                        note: note,
                        progress: { done in
                            board.progress(change.id, (done, total))
                            started.withLock { $0 }?.progress(completed: done)
                        }))
            } catch { return .failure(error) }
        }
        let handle = context.operations.begin(.upload, subject: key, total: total) {
            board.cancel(change.id)
            task.cancel()
        }
        started.withLock { $0 = handle }
        // What is not to be sent does not take up the line any longer.
        let watch = Task { await examination.ifStopped { task.cancel() } }
        let result = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        watch.cancel()
        if examination.stop != nil, case .failure = result, let sent = parts.withLock({ $0 }) {
            await Task { await giveUp(sent, note) }.value
        }
        switch result {
        case .success: handle.finish()
        case .failure(let error) where error.kind == .cancelled: handle.cancelled()
        case .failure(let error): handle.fail(error.description)
        }
        return try result.get()
    }

    /// Takes the parts of contents that are not to be sent off the server.
    private func giveUp(
        _ begun: MultipartProgress, _ note: @Sendable (MultipartProgress?) throws(StoreError) -> Void
    ) async {
        do throws(StoreError) {
            try await context.store.abandon(begun)
            try note(nil)
        } catch {
            PublishContext.log.warning("not taken back", ["object": begun.key, "cause": error.description])
        }
    }
}

extension ObjectVersion {
    /// The version that the store told of.
    init(_ info: ObjectInfo) { self.init(etag: info.etag, size: info.size, contentMD5: info.contentMD5) }
}
