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
    /// Whether this machine has put the session there, as a whole.
    private let isOwn: Bool

    /// Seconds after which nobody can be on his way any more with the index and the row of a body that he has put there.
    private static let longestPublication = 3600.0

    enum Outcome: Sendable {
        case removed
        /// It was removed, and somebody has put a new session there.
        case followed
        /// Somebody's session has the name now.
        case replaced(ObjectInfo)
    }

    /// Made before the session's row goes.
    /// - Parameter version: what is expected to be there.
    init(context: PublishContext, name: SessionName, id: Int64, version: ObjectVersion?) {
        self.context = context
        self.name = name
        self.id = id
        isOwn = version.map { context.gathering.hasWritten(name, etag: $0.etag) } ?? false
    }

    /// Looks first whether the body is the expected one; nil: one that was attempted.
    func run(expected: ObjectVersion?, attempted: [ContentFingerprint]) async throws(PublishStop) -> Outcome {
        switch try await look(expected: expected, attempted: attempted) {
        case .absent: return try await remove(nil)
        case .expected(let info), .ours(let info), .attempted(let info): return try await remove(info)
        case .foreign: return try await settle().map { .replaced($0) } ?? .removed
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
        let isGone = try await stopping(undoes: true) { () throws(StoreError) in
            try await context.finishing { () throws(StoreError) in
                try await context.store.delete(name.indexKey, ifMatch: nil)
                FaultPoint.reached("publish.remove.index.after")
                guard let info else { return try await context.head(name.bodyKey) == nil }
                return try await context.remove(info)
            }
        }
        FaultPoint.reached("publish.remove.body.after")
        if !isGone { return try await settle().map { .replaced($0) } ?? .removed }
        guard let info, await mayBeFollowed(info) else { return .removed }
        return try await settle(isGone: true) == nil ? .removed : .followed
    }

    /// Whether somebody may still be on his way with an index and a row: who has put the session there, or put another
    /// version in its place without anybody noticing.
    private func mayBeFollowed(_ info: ObjectInfo) async -> Bool {
        guard await context.conditions.support().deleteIfMatch else { return true }
        if isOwn { return false }
        guard let modified = info.modified else { return true }
        return Timestamp.now.seconds(since: modified) < Self.longestPublication
    }

    /// - Returns: what has the name now.
    private func settle(isGone: Bool = false) async throws(PublishStop) -> ObjectInfo? {
        try await stopping(undoes: true) { () throws(StoreError) in
            try await SessionRestorer(context: context).settle(name, of: id, isGone: isGone)
        }
    }

    /// An earlier try of the job may have taken index and row away, and what stands now is not to be removed: it gets
    /// them back.
    func giveBack(_ change: PendingChange) async throws(PublishStop) {
        guard context.mayHaveBegun(change) else { return }
        if !context.board.hasTouched(change.id) {
            // In an earlier process, if at all. The body is not read for nothing.
            let index = try await stopping(undoes: true) { () throws(StoreError) in
                try await context.head(name.indexKey)
            }
            if index != nil { return }
        }
        _ = try await settle()
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
