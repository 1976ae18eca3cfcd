public import ObjectStore
internal import Platform
internal import Synchronization

/// Uploads in parts, and what becomes of the parts when something else is wanted.
extension Staging {
    /// Notes an upload in parts, durably, so that a later process goes on with it; nil when it has ended.
    /// - Throws: `.diskFull`, `.io`.
    public func note(_ change: PendingChange, multipart: MultipartProgress?) throws(StagingError) {
        try commit { core throws(TableError) in core.table.note(change, multipart) }
        FaultPoint.reached("staging.note.journal")
    }

    /// Uploads whose contents were superseded, removed or given up: none that is under way. Their parts are still in the
    /// bucket, until ``ObjectStore/ObjectStore/abandon(_:)``. Kept across restarts.
    public func abandonedUploads() -> [MultipartProgress] { core.withLock { $0.table.abandonedUploads } }

    /// The ids of all uploads that the journal knows of: those that are gone on with, and abandoned ones.
    public func knownUploads() -> Set<String> {
        core.withLock { core in
            let changes = core.table.rows.values.flatMap { [$0.change, $0.unfinished] }
            return Set(changes.compactMap { $0?.multipart?.uploadID }).union(core.table.abandoned.keys)
        }
    }

    /// The bucket holds no parts of these uploads any more. Waits for the disk; what cannot be noted is asked for again
    /// by the next process.
    public func forgotten(_ uploads: [MultipartProgress]) {
        if uploads.isEmpty { return }
        do throws(StagingError) {
            try commit(isVital: true) { core throws(TableError) in core.table.forget(uploads) }
        } catch { Staging.log.warning("abandoned uploads not forgotten", ["cause": error.description]) }
    }
}
