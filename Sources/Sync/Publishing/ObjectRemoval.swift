internal import ObjectStore
internal import Platform
internal import SessionCache
internal import SessionFormat

/// Takes a session's index and body out of the bucket, once its row is gone, unless somebody else has put another body
/// in its place: then index and row of that one are put back.
struct ObjectRemoval {
    let context: PublishContext
    let name: SessionName
    let id: Int64

    enum Outcome: Sendable {
        case removed
        /// Somebody's session has the name now.
        case replaced(ObjectInfo)
    }

    /// Looks first whether the body is the expected one; nil: one that was attempted.
    func run(expected: ObjectVersion?, attempted: [ContentFingerprint]) async throws(PublishStop) -> Outcome {
        switch try await look(expected: expected, attempted: attempted) {
        case .absent: return try await remove(nil)
        case .expected(let info), .ours(let info), .attempted(let info): return try await remove(info)
        case .foreign(let info): return try await giveBack(info)
        }
    }

    /// What stands under the name.
    func look(
        expected: ObjectVersion?, attempted: [ContentFingerprint]
    ) async throws(PublishStop) -> PublishContext.Finding {
        try await stopping(undoes: true) { () throws(StoreError) in
            guard let info = try await context.head(name.bodyKey) else { return .absent }
            return try await context.examine(info, expected: expected, ours: nil, attempted: attempted)
        }
    }

    /// Removes this version; nil: the body is gone already.
    func remove(_ info: ObjectInfo?) async throws(PublishStop) -> Outcome {
        try await stopping(undoes: true) { () throws(StoreError) in
            try await context.store.delete(name.indexKey, ifMatch: nil)
        }
        FaultPoint.reached("publish.remove.index.after")
        guard let info else { return .removed }
        let isGone = try await stopping(undoes: true) { () throws(StoreError) in try await removeBody(info) }
        FaultPoint.reached("publish.remove.body.after")
        if isGone { return .removed }
        let now = try await stopping(undoes: true) { () throws(StoreError) in try await context.head(name.bodyKey) }
        guard let now else { return .removed }
        return try await giveBack(now)
    }

    /// - Returns: false when another version is there.
    private func removeBody(_ info: ObjectInfo) async throws(StoreError) -> Bool {
        do throws(StoreError) {
            if await context.conditions.support().deleteIfMatch {
                try await context.store.delete(name.bodyKey, ifMatch: info.etag)
                return true
            }
            guard let now = try await context.head(name.bodyKey) else { return true }
            guard now.etag == info.etag, now.size == info.size else { return false }
            try await context.store.delete(name.bodyKey, ifMatch: nil)
            return true
        } catch  where error.kind == .precondition {
            return false
        } catch  where error.kind == .notFound {
            return true
        }
    }

    private func giveBack(_ info: ObjectInfo) async throws(PublishStop) -> Outcome {
        try await stopping(undoes: true) { () throws(StoreError) in
            try await SessionRestorer(context: context).restore(name, info, id: id)
        }
        return .replaced(info)
    }
}

/// Gives a body that is in the bucket the index and the row that belong to it.
struct SessionRestorer {
    let context: PublishContext

    /// Reads the body for it.
    func restore(_ name: SessionName, _ info: ObjectInfo, id: Int64) async throws(StoreError) {
        let sink = HashingSink(skimming: context.options.key)
        do throws(StoreError) {
            _ = try await context.store.get(name.bodyKey, ReadOptions(ifMatch: info.etag), into: sink)
        } catch  where error.kind == .precondition || error.kind == .notFound {
            // It changes again: who changes it writes its index and row.
            return
        }
        let digests = sink.finish()
        let metadata =
            sink.metadata(name)
            ?? SessionMetadata(basicFactsOf: name, size: info.size)
        do throws(StoreError) {
            _ = try await context.store.put(name.indexKey, .bytes(context.index(name, metadata)), .ifAbsent)
        } catch  where error.kind == .precondition {}
        var object = info
        object.contentMD5 = info.contentMD5 ?? digests.md5
        try await context.writeRows(
            [.set(context.row(name.fileName, object, sha256: digests.sha256, metadata: metadata))], about: object,
            of: id)
    }
}

/// Keeps the bucket's version of a session aside before this machine's takes its place.
struct BucketVersionKeeper {
    let context: PublishContext

    /// Fetches a version into `<state>/kept/`, once for a conflict. It is a kindness: what fails is logged.
    func keep(_ name: SessionName, etag: String, conflict: Int64) async {
        let directory = context.stateDirectory + "/kept"
        let target = directory + "/" + Self.fileName(name, conflict: conflict)
        let temporary = Files.temporaryPath(beside: target)
        let made = await context.onDisk { () -> Result<FileDescriptor?, SystemError> in
            do throws(SystemError) {
                if Files.exists(target) { return .success(nil) }
                try Files.makePrivateDirectory(directory)
                return .success(try FileDescriptor.open(temporary, [.readWrite, .exclusive]))
            } catch { return .failure(error) }
        }
        do {
            guard let file = try made.get() else { return }
            _ = try await context.store.get(name.bodyKey, ReadOptions(ifMatch: etag), into: FileSink(file))
            try await context.onDisk { () -> Result<Void, SystemError> in
                do throws(SystemError) {
                    try file.synchronize()
                    try Files.rename(temporary, to: target)
                    return .success(())
                } catch { return .failure(error) }
            }.get()
        } catch {
            try? Files.remove(temporary)
            PublishContext.log.warning(
                "the bucket's version is not kept", ["name": name.fileName, "cause": "\(error)"])
        }
    }

    /// `<conflict>-bucket-<name>`, cut between characters to what a file may be called.
    static func fileName(_ name: SessionName, conflict: Int64) -> String {
        let head = "\(conflict)-bucket-"
        var stem = name.stem[...]
        while head.utf8.count + stem.utf8.count + SessionName.fileSuffix.utf8.count > 255 { stem.removeLast() }
        return head + stem + SessionName.fileSuffix
    }
}
