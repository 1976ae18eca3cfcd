internal import Catalog
internal import Control
internal import JSON
internal import Platform
internal import SessionCache
internal import SessionFormat

/// `GET /v1/sessions/{name}`.
extension MountDaemon {
    /// A session as the mount shows it; nil when there is none.
    func sessionReport(_ name: String) throws(ControlProblem) -> SessionReport? {
        do throws(CatalogError) {
            var found = try shownEntry(name)
            if found == nil { found = try shownEntry(name + SessionName.fileSuffix) }
            guard let entry = found else { return nil }
            let change = staging?.change(id: entry.id)
            let state = cache.state(entry.id)
            let local: UInt64 =
                switch state {
                case _ where change?.content != nil: entry.size
                case .remote: 0
                case .cached: entry.size
                case .downloading(let done, _): done
                }
            var metadata = change.flatMap(localMetadata.metadata)
            if metadata == nil, change?.content == nil { metadata = try catalog.metadata(id: entry.id) }
            return SessionReport(
                name: entry.fileName, id: entry.id, size: entry.size, modified: entry.modified,
                uploaded: entry.uploaded, etag: entry.etag, state: tree.stateWord(entry.id),
                reason: change.flatMap { $0.reason.isEmpty ? nil : $0.reason }, localBytes: local,
                pinned: try catalog.body(id: entry.id)?.pinned ?? false, metadata: metadata?.json ?? .null)
        } catch {
            throw .failed("catalog: \(error)")
        }
    }

    private func shownEntry(_ name: String) throws(CatalogError) -> SessionEntry? {
        if let staging { return try staging.entry(fileName: name) }
        return try catalog.entry(fileName: name)
    }
}
