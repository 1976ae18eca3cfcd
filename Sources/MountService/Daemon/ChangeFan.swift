internal import Catalog
internal import FileTree
internal import FuseBridge
internal import Platform
internal import SessionCache
internal import Sync

/// Carries changes to all who hold something of what changed: the names that are claimed here, the cache, the kernel,
/// and the publisher.
final class ChangeFan: Sendable {
    private struct Targets {
        var staging: Staging?
        var cache: SessionCache
        var tree: FileTree
        var session: FuseSession
        var publisher: Publisher?
    }
    private let targets = Guarded<Targets?>(nil)

    /// Until then nobody holds anything, and changes go nowhere.
    func connect(staging: Staging?, cache: SessionCache, tree: FileTree, session: FuseSession, publisher: Publisher?) {
        targets.withLock {
            $0 = Targets(staging: staging, cache: cache, tree: tree, session: session, publisher: publisher)
        }
    }

    /// The catalog has changed. Names that are claimed here are looked at first, so that whoever the kernel then sends
    /// finds them right.
    func catalogChanged(_ delta: CatalogDelta) {
        guard let targets = targets.withLock({ $0 }) else { return }
        targets.staging?.apply(delta)
        targets.cache.apply(delta)
        targets.session.invalidate(targets.tree.invalidations(for: delta))
        if delta.overallFile {
            targets.publisher?.overallFileChanged()
        } else if !delta.changed.isEmpty {
            targets.publisher?.objectsChanged()
        }
    }

    /// What is staged has changed, otherwise than by a program's call. The kernel is told soon and not at once: a notice
    /// may have to wait for pages that a download holds, and the caller's thread may be needed for that very download.
    func stagingChanged(_ delta: CatalogDelta) {
        guard let targets = targets.withLock({ $0 }) else { return }
        targets.cache.apply(delta)
        targets.session.invalidateLater(targets.tree.invalidations(for: delta))
    }
}
