import Digests
import ObjectStore
import Platform
import SessionFormat

@testable import SessionCache

/// Does to the bucket what a change says, part by part (body, index, row, and what the old name had), with the
/// conditions that keep other writers' work.
struct ModelPublisher {
    let fixture: StagingFixture
    private static let tags = Guarded<Int>(0)

    private func isOurs(_ object: ScriptedStore.Object, _ change: PendingChange, _ own: [UInt8]?) -> Bool {
        let mark = ContentFingerprint(size: UInt64(object.bytes.count), md5: MD5.hex(object.bytes))
        return object.bytes == own || change.attempted.contains(mark)
    }

    /// - Parameter stopping: as if the connection went after so many parts; nil does all.
    mutating func perform(_ change: PendingChange, stopping: Int? = nil) throws {
        var left = stopping ?? Int.max
        func isOver() -> Bool {
            left -= 1
            return left < 0
        }
        if isOver() { return }
        let old = change.remoteName.flatMap { $0 == change.name ? nil : $0 }
        guard let name = change.name else {
            let there = try look(change, old ?? "", nil)
            setRow(old ?? "", nil)
            if isOver() { return }
            setIndex(old ?? "", nil)
            if !isOver(), there { setBody(old ?? "", nil) }
            return
        }
        let bytes = try sendBody(change, name, old)
        if isOver() { return }
        setIndex(name, bytes)
        if isOver() { return }
        if let old { setRow(old, nil) }
        setRow(name, bytes)
        guard let old, !isOver() else { return }
        let there = try look(change, old, bytes)
        setIndex(old, nil)
        if !isOver(), there { setBody(old, nil) }
    }

    /// - Returns: what the name holds now.
    private func sendBody(_ change: PendingChange, _ name: String, _ old: String?) throws -> [UInt8] {
        let there = fixture.bucket(name)
        let own: [UInt8]
        if let content = change.content {
            own = try Files.read(content.path)
        } else if let source = fixture.bucket(old ?? "") {
            guard change.remote?.etag == nil || change.remote?.etag == source.etag else {
                throw FalseConflict(description: "the source is another: \(change)")
            }
            own = source.bytes
        } else {
            guard let there, MD5.hex(there.bytes) == change.remote?.contentMD5 ?? MD5.hex(there.bytes) else {
                throw FalseConflict(description: "nothing to rename: \(change)")
            }
            return there.bytes
        }
        let expected = old != nil || change.remoteName == nil ? change.replaces : change.remote
        if let there {
            guard expected?.etag == there.etag || isOurs(there, change, own) else {
                throw FalseConflict(description: "\(name) is taken: \(change)")
            }
        } else if let expected, !expected.mayBeGone {
            throw FalseConflict(description: "\(name) is gone: \(change)")
        }
        setBody(name, own)
        return own
    }

    /// - Returns: whether there is an object of the old name; it must be the one that is expected.
    private func look(_ change: PendingChange, _ name: String, _ own: [UInt8]?) throws -> Bool {
        guard let there = fixture.bucket(name) else { return false }
        guard there.etag == change.remote?.etag || isOurs(there, change, own) else {
            throw FalseConflict(description: "\(name) is another: \(change)")
        }
        return true
    }

    // MARK: Parts

    private func setBody(_ name: String, _ bytes: [UInt8]?) { set(SessionCache.keyPrefix + name, bytes) }

    private func set(_ key: String, _ bytes: [UInt8]?) {
        guard let bytes else { return fixture.base.store.remove(key) }
        let tag = ModelPublisher.tags.withLock { tag in
            tag += 1
            return "t\(tag)"
        }
        fixture.base.store.set(key, bytes, etag: tag)
    }

    /// An index tells here whose it is.
    func setIndex(_ name: String, _ body: [UInt8]?) {
        guard let key = SessionName(fileName: name)?.indexKey else { return }
        set(key, body.map { Array(MD5.hex($0).utf8) })
    }

    func setRow(_ name: String, _ body: [UInt8]?) {
        let row = body.map {
            OverallRow(
                fileName: name, createdAt: "2023-11-14T22:13:20+00:00", fileSize: UInt64($0.count),
                checksum: .etag(MD5.hex($0)))
        }
        fixture.rows.withLock { $0[name] = row }
    }
}

extension StagingFixture {
    /// The tag of a session's index; nil where there is none.
    func index(_ name: String) -> ScriptedStore.Object? {
        SessionName(fileName: name).flatMap { base.store.object($0.indexKey) }
    }

    /// Whether index and row of a name are those of its body, or not there when it is not.
    func isWhole(_ name: String) -> Bool {
        let (body, index, row) = (bucket(name), index(name), rows.withLock { $0[name] })
        guard let body else { return index == nil && row == nil }
        let digest = MD5.hex(body.bytes)
        return index?.bytes == Array(digest.utf8) && row?.checksum == .etag(digest)
            && row?.fileSize == UInt64(body.bytes.count)
    }
}
