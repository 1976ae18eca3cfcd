internal import Catalog
internal import Platform

/// Which version of a session the kernel's pages of it are of.
///
/// The kernel is told of a change a moment after the catalog knows it. Who opens the session in between reads the new
/// version, and must not be given pages of the old one beside it: pages are kept only for the version that they were
/// read from.
final class PageVersions: Sendable {
    enum Version: Equatable {
        /// None that could be named.
        case unknown
        /// A version that the catalog names.
        case whole(etag: String, size: UInt64)
        /// What a download brings, by ``SessionCache/OpenBody/arrival``. Who opens the session beside it must not drop
        /// the pages: the kernel holds those that somebody waits for, and he would wait with him, deaf to signals.
        case arriving(UInt64)
    }

    /// Sessions that are remembered; of more, the pages are read again once.
    fileprivate static let most = 10_000

    fileprivate struct State {
        var versions: [Int64: Version] = [:]
        /// Whether all sessions of which the kernel may have pages are there.
        var isComplete = true
    }
    private let state = Guarded(State())

    /// Notes what the next pages of a session are read from.
    /// - Parameter version: nil where it may still turn out to be another one.
    /// - Returns: whether the kernel was last given this version, and whether it has no pages of another one. Of a session
    ///   that was never opened it has none, and need not drop any: whoever opened it at the same moment might wait for
    ///   one already.
    func begin(_ id: Int64, _ version: Version?) -> (isSame: Bool, keepsPages: Bool) {
        state.withLock { state in
            let old = state.note(id, version ?? .unknown)
            guard let version else { return (false, false) }
            return (old == version, old.map { $0 == version } ?? state.isComplete)
        }
    }

    /// Something else than a version of the bucket is read or written now.
    func forget(_ id: Int64) { state.withLock { _ = $0.note(id, .unknown) } }
}

extension PageVersions.State {
    /// - Returns: what was noted before; nil: nothing.
    fileprivate mutating func note(_ id: Int64, _ version: PageVersions.Version) -> PageVersions.Version? {
        let old = versions.updateValue(version, forKey: id)
        if versions.count > PageVersions.most { (versions, isComplete) = ([id: version], false) }
        return old
    }
}

extension FileTree {
    /// Decides whether a session that was just opened may be read from pages that the kernel has. Where they may be of
    /// another version, the others that have it open look again which one is theirs, so that they add no more of it.
    /// - Parameter told: the size that the kernel takes it to have, in bytes.
    func settlePages(_ session: SessionFile, told: UInt64?) {
        guard session.isOfBucket else { return pages.forget(session.id) }
        let entry = (try? sources.catalog.entry(id: session.id)) ?? nil
        session.note(entry, told: told ?? entry?.size)
        let found = pages.begin(session.id, session.pageVersion(entry))
        session.settle(isSame: found.isSame, keepsPages: found.keepsPages)
        if found.isSame { return }
        for other in openSessions where other.id == session.id && other !== session { other.follow(sources) }
    }
}
