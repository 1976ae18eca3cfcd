internal import Platform
internal import SessionCache
internal import SessionFormat

/// The metadata of sessions whose contents are not in the bucket yet, read from the contents themselves and kept until
/// they change.
final class LocalMetadata: Sendable {
    private struct Known {
        var generation: Int64
        /// Nil when the contents are no session.
        var metadata: SessionMetadata?
    }
    private let known = Guarded<[Int64: Known]>([:])
    private let key: Secret?
    /// Changes that were sent are forgotten when there are more than this.
    private static let capacity = 4096
    private static let step = 1 << 20

    /// - Parameter key: FastShot's key, where the bucket has one.
    init(key: Secret?) { self.key = key }

    /// What the contents of a change say; nil when it has none, when they are no session, or while they are written.
    func metadata(_ change: PendingChange) -> SessionMetadata? {
        guard let content = change.content, change.state != .open,
            let name = change.name.flatMap(SessionName.init(fileName:))
        else { return nil }
        if let found = known.withLock({ $0[change.id] }), found.generation == change.generation {
            return found.metadata
        }
        let metadata = read(content, name)
        known.withLock { known in
            if known.count >= Self.capacity { known.removeAll(keepingCapacity: true) }
            known[change.id] = Known(generation: change.generation, metadata: metadata)
        }
        return metadata
    }

    private func read(_ content: StagedContent, _ name: SessionName) -> SessionMetadata? {
        guard let file = try? FileDescriptor.open(content.path) else { return nil }
        let skimmer = SessionSkimmer(key: key?.reveal())
        var offset: UInt64 = 0
        while offset < content.size {
            guard let bytes = try? file.read(at: offset, count: Self.step), !bytes.isEmpty else { return nil }
            skimmer.consume(bytes.span.bytes)
            offset += UInt64(bytes.count)
        }
        return try? skimmer.finish(name: name, fileSize: content.size)
    }
}
