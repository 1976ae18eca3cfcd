internal import Catalog
internal import FileTree
internal import ObjectStore
internal import Platform
internal import SessionCache
internal import Sync

/// How the daemon gets its writing side, and what programs wait for.
extension MountDaemon {
    /// What is staged in the state directory; nil when the mount refuses changes, by configuration or because another
    /// process holds the directory.
    static func openStaging(
        _ plan: MountPlan, _ catalog: Catalog, _ cache: SessionCache,
        onChange: @escaping @Sendable (CatalogDelta) -> Void
    ) throws(MountFailure) -> Staging? {
        guard !plan.readOnly else { return nil }
        do throws(StagingError) {
            let staging = try Staging.open(
                directory: plan.stateDirectory, catalog: catalog, cache: cache, onChange: onChange)
            // What failed for good in an earlier life may have been put right since.
            try staging?.retry(refused: false)
            return staging
        } catch {
            throw MountFailure("cannot open the journal in \(plan.stateDirectory): \(error)")
        }
    }

    /// What the user should know about a mount that refuses changes and was not asked to; nil for others.
    var readOnlyWarning: String? {
        guard staging == nil, !plan.readOnly else { return nil }
        return
            "\(plan.mountpoint) is read-only: another mount holds \(plan.stateDirectory); --state-dir chooses another"
    }

    /// What the user should know about a mount that has just begun.
    var startWarning: String? {
        readOnlyWarning
            ?? staging?.damage.map { "changes of an earlier mount of \(plan.mountpoint): \($0)" }
    }

    /// Waits for a close until the bucket has the file, or will not get it.
    static func cloudWait(
        staging: Staging?, publisher: Publisher?, connectivity: Connectivity
    ) -> (@Sendable (Int64) async -> FileSystemError?)? {
        guard let staging, let publisher else { return nil }
        return { id in
            guard let unsent = await publisher.outcome(of: id) else { return nil }
            let message = "\(unsent.name): \(unsent.reason)"
            if !connectivity.state.isOnline { return FileSystemError(.offline, message) }
            return switch staging.change(id: id)?.state {
            case .conflict: FileSystemError(.changed, message)
            default: FileSystemError(.inputOutput, message)
            }
        }
    }
}
