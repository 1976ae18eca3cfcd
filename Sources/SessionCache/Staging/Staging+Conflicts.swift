internal import Catalog
public import ObjectStore
internal import Platform
internal import SessionFormat
internal import Synchronization

/// Conflicts: noticed by the publisher, decided by a strategy or by the user.
extension Staging {
    /// Conflicts in the order in which they were noticed, pending ones or all.
    public func conflicts(includingDecided: Bool) throws(StagingError) -> [ConflictRecord] {
        let all = view.withLock { view in Array(view.table.conflicts.values) }
        return all.filter { includingDecided || $0.decided == nil }.sorted { $0.id < $1.id }
    }

    /// One conflict; nil when there is none of this id.
    public func conflict(_ id: Int64) throws(StagingError) -> ConflictRecord? {
        view.withLock { $0.table.conflicts[id] }
    }

    /// The bucket holds something else than the change expected. Waits for the disk.
    /// - Parameters:
    ///   - found: what it holds; nil: nothing.
    ///   - decision: by a strategy; nil leaves it to the user: the bucket's version then shows under its own name, and
    ///     local contents under ``ConflictRecord/localName``.
    ///   - decider: the strategy's name.
    /// - Returns: the conflict. When something else is wanted of the session by now, which will meet its own conflict,
    ///   it is decided and has the id 0.
    /// - Throws: `.diskFull`, `.io`.
    public func conflicted(
        _ change: PendingChange, _ kind: ConflictKind, found: ObjectInfo?, decision: ConflictChoice?, decider: String
    ) throws(StagingError) -> ConflictRecord {
        let version = found.map { ObjectVersion(etag: $0.etag, size: $0.size, contentMD5: $0.contentMD5) }
        let isRename =
            change.name != nil && change.remoteName != nil
            && !change.name.hasSameBytes(as: change.remoteName)
        let atTarget = isRename && change.name.map { SessionName.bodyPrefix + $0 }.hasSameBytes(as: found?.key)
        let name = (atTarget ? change.name : change.remoteName ?? change.name) ?? ""
        let base = ConflictRecord(
            id: 0, kind: kind, name: name, expected: atTarget ? change.replaces : change.remote ?? change.replaces,
            found: version, foundModified: found?.modified, wantedName: change.content == nil ? change.name : nil,
            sourceName: atTarget && change.content == nil ? change.remoteName : nil)
        let isCurrent = core.withLock { $0.table.conflicting(change) != nil }
        var delta = CatalogDelta()
        var partedID: Int64?
        if isCurrent, decision != .mine { (delta, partedID) = try learn(change, name, found, decision) }
        let kept = try keepContents(of: change.id, named: "conflict-\(name)", if: isCurrent && decision == .theirs)
        let knownID = try catalogID(name)
        let parted = partedID
        let record = try commit(isVital: true) { core throws(TableError) in
            try core.settleConflict(
                change, base, decision: decision, decider: decider, kept: kept, atTarget: atTarget,
                knownID: parted ?? knownID, in: self)
        }
        FaultPoint.reached("staging.conflict.journal")
        delta.merge(partFromCatalog([change.id]))
        if record.id != 0 {
            Staging.log.warning("conflict", ["name": record.name, "kind": kind.rawValue, "id": "\(record.id)"])
        }
        if let local = record.localName {
            delta.removed.append(.init(id: change.id, fileName: name))
            delta.added.append(.init(id: change.id, fileName: local))
        }
        delta.changed.append(change.id)
        if let name = change.name, change.content == nil || decision == .theirs {
            delta.removed.append(.init(id: change.id, fileName: name))
        }
        if let old = change.remoteName, decision != .mine { delta.added.append(.init(id: change.id, fileName: old)) }
        onChange(delta)
        announceReady()
        return record
    }

    /// The catalog learns what was found. Where the local contents go on under the session's id, the bucket's version
    /// gets another one.
    private func learn(
        _ change: PendingChange, _ name: String, _ found: ObjectInfo?, _ decision: ConflictChoice?
    ) throws(StagingError) -> (CatalogDelta, Int64?) {
        guard Staging.isPublished(name) else { return (CatalogDelta(), nil) }
        do throws(CatalogError) {
            var delta = CatalogDelta()
            let keepsID = change.content != nil && decision != .theirs
            let known = try catalog.entry(fileName: name)
            if let known, found == nil || keepsID && known.id == change.id {
                delta.merge(try catalog.unpublished([known.id]))
            }
            guard let found else { return (delta, nil) }
            let facts = ObjectFacts(
                size: found.size, etag: found.etag, contentMD5: found.contentMD5, uploaded: found.modified)
            delta.merge(try catalog.apply([.object(fileName: name, facts)]))
            return (delta, try catalog.entry(fileName: name)?.id)
        } catch { throw StagingError(error) }
    }

    private func catalogEntry(_ name: String?) throws(StagingError) -> PendingTable.Remote? {
        guard let name else { return nil }
        do throws(CatalogError) {
            return try catalog.entry(fileName: name).map(PendingTable.Remote.init)
        } catch { throw StagingError(error) }
    }

    private func catalogID(_ name: String) throws(StagingError) -> Int64? {
        do throws(CatalogError) { return try catalog.entry(fileName: name)?.id } catch { throw StagingError(error) }
    }

    /// Gives the accepted contents of a change a second name in `kept`, durably.
    /// - Returns: the path; nil when there are none.
    func keepContents(of id: Int64, named name: String, if wanted: Bool = true) throws(StagingError) -> String? {
        guard wanted, let content = core.withLock({ $0.table.rows[id]?.change.content }) else { return nil }
        let stamp = Timestamp.now.nanoseconds
        let path = "\(directory)/kept/\(id)-\(stamp)-\(name)".cutName()
        do throws(SystemError) {
            try Files.link(content.path, to: path)
            try Files.synchronizeDirectory(directory + "/kept")
            return path
        } catch { throw StagingError(error) }
    }

    /// Decides a conflict. For `.mine`, `current` is what the bucket holds under the name now (nil: nothing), which the
    /// upload or removal then expects. Waits for the disk.
    /// - Throws: `.notFound`; `.busy` when it is decided already or its file is open, or when another pending file has
    ///   its name.
    public func decide(
        _ id: Int64, _ choice: ConflictChoice, by decider: String, current: ObjectVersion?
    ) throws(StagingError) -> ConflictRecord {
        guard let record = try conflict(id) else { throw StagingError(.notFound, "no conflict \(id)") }
        if let changeID = record.changeID, view.withLock({ $0.drafts[changeID] != nil }) {
            throw StagingError(.busy, "\(record.localName ?? record.name) is open")
        }
        var kept: String?
        if choice == .theirs, let changeID = record.changeID {
            kept = try keepContents(of: changeID, named: "conflict-\(id)-\(record.name)")
        }
        let knownID = try catalogID(record.name)
        let source = try catalogEntry(record.sourceName)
        let path = kept
        let decided: ConflictRecord
        do throws(StagingError) {
            decided = try commit(isVital: true) { core throws(TableError) in
                try core.decide(
                    id, choice, by: decider, current: current, knownID: knownID, source: source, kept: path,
                    in: self)
            }
        } catch {
            if let path { try? Files.remove(path) }
            throw error
        }
        FaultPoint.reached("staging.decide.journal")
        var delta = CatalogDelta()
        if let changeID = record.changeID, let local = record.localName, choice != .both {
            delta.removed.append(.init(id: changeID, fileName: local))
            if choice == .mine { delta.added.append(.init(id: changeID, fileName: record.name)) }
        }
        if let knownID, choice == .mine {
            delta.removed.append(.init(id: knownID, fileName: record.name))
            if let source, record.changeID == nil {
                delta.removed.append(.init(id: source.id, fileName: source.fileName))
                delta.added.append(.init(id: source.id, fileName: record.name))
            } else if record.changeID == nil, let wanted = record.wantedName {
                delta.added.append(.init(id: knownID, fileName: wanted))
            }
        }
        onChange(delta)
        announceReady()
        return decided
    }
}

extension String {
    /// A path whose last component fits into a file name.
    fileprivate func cutName() -> String {
        Files.parentDirectory(self) + "/" + Files.lastComponent(self).cut(toBytes: 255)
    }
}

extension Staging.Core {
    /// What becomes of the change, and the conflict's record.
    mutating func settleConflict(
        _ change: PendingChange, _ base: ConflictRecord, decision: ConflictChoice?, decider: String, kept: String?,
        atTarget: Bool, knownID: Int64?, in staging: Staging
    ) throws(TableError) -> ConflictRecord {
        var record = base
        let row = table.conflicting(change)
        table.end(change)
        guard let row else {
            record.decided = .now
            record.decidedBy = "superseded"
            return record
        }
        lastConflict += 1
        record.id = lastConflict
        if let decision {
            record.decided = .now
            record.choice = decision
            record.decidedBy = decider
            record.keptPath = kept
        }
        let hasContents = row.change.content != nil
        if hasContents, decision != .mine {
            try table.leaveAttempts(of: change.id, except: record.name, reserve: staging.reserveID)
        }
        switch decision {
        case .mine where hasContents || record.found != nil || atTarget:
            table.rebase(change.id, on: record.found, atTarget: atTarget, replaced: knownID)
        case .mine, .theirs:
            table.drop(change.id)
            // Who has it open goes on from what was found.
            if let version = record.found, hasContents {
                rebased.append(.init(id: change.id, fileName: record.name, version: version))
            } else if hasContents {
                detached.append(change.id)
            }
        case .both where hasContents, nil where hasContents:
            let local = try localName(record, staging)
            record.localName = local
            table.setAside(change.id, as: local, conflict: record.id)
            if decision == .both {
                table.release(change.id, as: local, replacing: nil, of: nil)
            } else {
                record.changeID = change.id
            }
        case .both, nil: table.drop(change.id)
        }
        table.put(record)
        return record
    }

    /// The longest name, in bytes, beside which that of an index, which is a byte longer, can be a file's, too.
    private static let longestName = 254

    /// `<stem> (conflict N).fastshot`, which no file has.
    private func localName(
        _ record: ConflictRecord, _ staging: Staging
    ) throws(TableError) -> String {
        let stem = SessionName(fileName: record.name)?.stem ?? record.name
        var number = 1
        while true {
            let suffix =
                " (conflict \(record.id))" + (number > 1 ? "-\(number)" : "") + SessionName.fileSuffix
            let name = stem.cut(toBytes: Self.longestName - suffix.utf8.count) + suffix
            if try staging.find(name, self) == nil { return name }
            number += 1
        }
    }

    /// Decides a pending conflict.
    mutating func decide(
        _ id: Int64, _ choice: ConflictChoice, by decider: String, current: ObjectVersion?, knownID: Int64?,
        source: PendingTable.Remote?, kept: String?, in staging: Staging
    ) throws(TableError) -> ConflictRecord {
        guard var record = table.conflicts[id], record.decided == nil else {
            throw .refused(StagingError(.busy, "conflict \(id) is decided"))
        }
        let isSpokenFor = table.holder(of: record.name) != nil || table.holder(ofRemote: record.name) != nil
        if choice == .mine, isSpokenFor || knownID.map({ table.rows[$0] != nil }) ?? false {
            throw .refused(StagingError(.busy, "\(record.name) has a pending change of its own"))
        }
        if let changeID = record.changeID, let row = table.rows[changeID] {
            switch choice {
            case .mine: table.release(changeID, as: record.name, replacing: current, of: knownID)
            case .both: table.release(changeID, as: row.change.name ?? record.name, replacing: nil, of: nil)
            case .theirs:
                table.drop(changeID)
                detached.append(changeID)
                record.keptPath = kept
            }
        } else if choice == .mine, let sourceName = record.sourceName {
            guard let source, !table.hides(id: source.id, fileName: sourceName) else {
                throw .refused(StagingError(.busy, "\(sourceName) has changed meanwhile"))
            }
            var target: PendingTable.Remote?
            if let current, let knownID { target = .init(id: knownID, fileName: record.name, version: current) }
            try table.renew(
                source, to: record.name, replacing: target, conflict: id, reserve: staging.reserveID, at: .now)
        } else if choice == .mine, let current, let knownID {
            if let wanted = record.wantedName, table.holder(of: wanted) != nil {
                throw .refused(StagingError(.busy, "\(wanted) has been taken by another file"))
            }
            let remote = PendingTable.Remote(id: knownID, fileName: record.name, version: current)
            try table.renew(
                remote, to: record.wantedName, replacing: nil, conflict: id, reserve: staging.reserveID, at: .now)
        }
        close(&record, choice, decider)
        table.put(record)
        return record
    }

    private func close(_ record: inout ConflictRecord, _ choice: ConflictChoice, _ decider: String) {
        record.changeID = nil
        record.decided = .now
        record.choice = choice
        record.decidedBy = decider
    }

    /// The user has removed or replaced the file that stood for a conflict, or given up its change.
    mutating func decide(_ change: PendingChange?, _ choice: ConflictChoice, kept: String? = nil) {
        guard let change, change.state == .conflict, let id = change.conflict, var record = table.conflicts[id],
            record.decided == nil
        else { return }
        close(&record, choice, "user")
        record.keptPath = kept
        table.put(record)
    }

    /// The user has given the local version of a conflict a name: that of the bucket's version, or one of its own.
    mutating func decideRename(_ change: PendingChange?, to name: String) {
        guard let id = change?.conflict, let record = table.conflicts[id] else { return }
        decide(change, record.name.hasSameBytes(as: name) ? .mine : .both)
    }
}
