internal import Catalog
internal import Platform

/// Which version of a session the kernel's pages of it are of.
///
/// The kernel is told of a change a moment after the catalog knows it. Who opens the session in between reads the new
/// version, and must not be given pages of the old one beside it: pages are kept only for the version that they were
/// read from.
final class PageVersions: Sendable {
    enum Version: Equatable {
        /// A version that the catalog names.
        case whole(etag: String, size: UInt64)
        /// What a download brings, by ``SessionCache/OpenBody/arrival``. Who opens the session beside it must not drop
        /// the pages: the kernel holds those that somebody waits for, and he would wait with him, deaf to signals.
        case arriving(UInt64)
    }

    /// Sessions that are remembered; of more, the pages are read again once.
    private static let most = 10_000

    private let versions = Guarded<[Int64: Version]>([:])

    /// Notes what the next pages of a session are read from.
    /// - Parameter version: nil where it may still turn out to be another one.
    /// - Returns: whether the pages that the kernel may have are of this version.
    func begin(_ id: Int64, _ version: Version?) -> Bool {
        versions.withLock { versions in
            let old = versions[id]
            versions[id] = version
            if versions.count > Self.most { versions = [:] }
            return version != nil && old == version
        }
    }

    /// Something else than a version of the bucket is read or written now.
    func forget(_ id: Int64) { versions.withLock { $0[id] = nil } }
}

extension FileTree {
    /// Decides whether a session that was just opened may be read from pages that the kernel has. Where they may be of
    /// another version, the others that have it open look again which one is theirs, so that they add no more of it.
    /// - Parameter told: the size that the kernel takes it to have, in bytes.
    func settlePages(_ session: SessionFile, told: UInt64?) {
        guard session.isOfBucket else { return pages.forget(session.id) }
        let entry = (try? sources.catalog.entry(id: session.id)) ?? nil
        session.note(entry, told: told ?? entry?.size)
        let isSame = pages.begin(session.id, session.pageVersion(entry))
        session.keepPages(isSame)
        if isSame { return }
        for other in openSessions where other.id == session.id && other !== session { other.follow(sources) }
    }
}
