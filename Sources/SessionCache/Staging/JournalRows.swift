internal import Catalog
internal import ObjectStore
internal import Platform

/// How changes and conflicts lie in the journal.
extension Statement {
    /// Binds all but the part.
    func bind(_ change: PendingChange) {
        bind(0, change.id)
        bind(2, change.generation)
        bind(3, change.sequence)
        bind(4, change.name)
        bind(5, change.content.map { Files.lastComponent($0.path) })
        bind(6, change.content.map { Int64(bitPattern: $0.size) })
        bind(7, change.content?.modified.nanoseconds)
        bind(8, change.remoteName)
        bind(9, change.remote)
        bind(13, change.replaces)
        bind(17, change.replacedID)
        bind(18, change.attempted.map { "\($0.size):\($0.md5)" }.joined(separator: " "))
        bind(19, change.multipart?.uploadID)
        bind(20, change.multipart?.key)
        bind(21, change.multipart.map { Int64(bitPattern: $0.partSize) })
        bind(22, change.state.rawValue)
        bind(23, change.reason)
        bind(24, change.changed.nanoseconds)
        bind(25, change.batch)
        bind(26, change.conflict)
    }

    /// The change of a row.
    /// - Parameter directory: where contents lie.
    func change(_ directory: String) -> PendingChange {
        var change = PendingChange(
            id: integer(0), generation: integer(2), sequence: integer(3), name: text(4),
            remoteName: text(8), remote: version(9), replaces: version(13), replacedID: optionalInteger(17),
            attempted: fingerprints(18), state: text(22).flatMap(PendingChange.State.init) ?? .ready,
            reason: text(23) ?? "", changed: Timestamp(nanoseconds: integer(24)), batch: optionalInteger(25),
            conflict: optionalInteger(26))
        if let file = text(5) {
            change.content = StagedContent(
                path: directory + "/" + file, size: UInt64(bitPattern: integer(6)),
                modified: Timestamp(nanoseconds: integer(7)))
        }
        if let uploadID = text(19), let key = text(20) {
            change.multipart = MultipartProgress(
                uploadID: uploadID, key: key, partSize: UInt64(bitPattern: integer(21)))
        }
        return change
    }

    func bind(_ record: ConflictRecord) {
        bind(0, record.id)
        bind(1, record.kind.rawValue)
        bind(2, record.name)
        bind(3, record.localName)
        bind(4, record.changeID)
        bind(5, record.expected)
        bind(9, record.found)
        bind(13, record.foundModified?.nanoseconds)
        bind(14, record.wantedName)
        bind(15, record.opened.nanoseconds)
        bind(16, record.decided?.nanoseconds)
        bind(17, record.choice?.rawValue)
        bind(18, record.decidedBy)
        bind(19, record.keptPath)
        bind(20, record.sourceName)
    }

    func conflict() -> ConflictRecord {
        ConflictRecord(
            id: integer(0), kind: text(1).flatMap(ConflictKind.init) ?? .edited, name: text(2) ?? "",
            localName: text(3), changeID: optionalInteger(4), expected: version(5), found: version(9),
            foundModified: time(13), wantedName: text(14), sourceName: text(20),
            opened: Timestamp(nanoseconds: integer(15)),
            decided: time(16), choice: text(17).flatMap(ConflictChoice.init), decidedBy: text(18), keptPath: text(19))
    }

    private func time(_ column: Int32) -> Timestamp? { optionalInteger(column).map(Timestamp.init(nanoseconds:)) }

    /// A version takes four columns; the first tells whether there is one: 0 none, 1, 2 for one that may be gone.
    private func bind(_ column: Int32, _ version: ObjectVersion?) {
        bind(column, version.map { $0.mayBeGone ? 2 : 1 } ?? Int64(0))
        bind(column + 1, version?.etag)
        bind(column + 2, version.map { Int64(bitPattern: $0.size) })
        bind(column + 3, version?.contentMD5)
    }

    private func version(_ column: Int32) -> ObjectVersion? {
        guard integer(column) != 0 else { return nil }
        return ObjectVersion(
            etag: text(column + 1), size: UInt64(bitPattern: integer(column + 2)), contentMD5: text(column + 3),
            mayBeGone: integer(column) == 2)
    }

    private func fingerprints(_ column: Int32) -> [ContentFingerprint] {
        (text(column) ?? "").split(separator: " ").compactMap { part in
            let fields = part.split(separator: ":")
            guard fields.count == 2, let size = UInt64(fields[0]) else { return nil }
            return ContentFingerprint(size: size, md5: String(fields[1]))
        }
    }
}
