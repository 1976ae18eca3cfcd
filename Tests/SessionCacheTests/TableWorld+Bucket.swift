import ObjectStore

@testable import SessionCache

/// What a publisher does to the bucket, part by part, with the conditions that keep other writers' work.
extension TableWorld {
    /// Does the next part of a change.
    /// - Returns: whether it was the last.
    mutating func advance(_ run: inout Run) throws -> Bool {
        defer { run.part += 1 }
        let change = run.change
        guard let name = change.name else { return try removePart(&run, change.remoteName ?? "") }
        let old = change.remoteName.flatMap { $0 == name ? nil : $0 }
        switch run.part {
        case 0: run.object = try change.content == nil ? copy(&run, from: old ?? "", to: name) : put(run, name)
        case 1: indexes[name] = run.object?.value
        case 2:
            if let old { rows[old] = nil }
            rows[name] = run.object?.value
        case 3:
            guard let old else { return true }
            if change.content != nil { run.old = try look(change, old) }
            indexes[old] = nil
        default:
            if let old, let there = run.old, bodies[old] == there { bodies[old] = nil }
            return true
        }
        return run.part == 2 && old == nil
    }

    private mutating func removePart(_ run: inout Run, _ name: String) throws -> Bool {
        switch run.part {
        case 0:
            run.old = try look(run.change, name)
            rows[name] = nil
        case 1: indexes[name] = nil
        default:
            if let there = run.old, bodies[name] == there { bodies[name] = nil }
            return true
        }
        return false
    }

    /// What the old name holds; it must be what is expected there.
    private func look(_ change: PendingChange, _ name: String) throws -> Object? {
        guard let there = bodies[name] else { return nil }
        guard there.tag == change.remote?.etag || change.attempted.contains(there.mark) else {
            throw FalseConflict(description: "\(name) holds another version, \(there): \(text(change))")
        }
        return there
    }

    private mutating func put(_ run: Run, _ name: String) throws -> Object {
        let change = run.change
        guard let path = change.content?.path, let value = contents[path] else {
            throw FalseConflict(description: "no contents: \(text(change))")
        }
        let expected = change.replaces ?? (change.remoteName == name ? change.remote : nil)
        if let there = bodies[name] {
            if there.value == value { return there }
            guard there.tag == expected?.etag || change.attempted.contains(there.mark) else {
                throw FalseConflict(description: "\(name) is taken by \(there): \(text(change))")
            }
        } else if let expected, !expected.mayBeGone {
            throw FalseConflict(description: "\(name) is gone: \(text(change))")
        }
        return write(value, name)
    }

    private mutating func copy(_ run: inout Run, from old: String, to name: String) throws -> Object {
        let change = run.change
        run.old = try look(change, old)
        let there = bodies[name]
        guard let source = run.old else {
            guard let there, there.version.contentMD5 == change.remote?.contentMD5 else {
                throw FalseConflict(description: "nothing to rename: \(text(change))")
            }
            return there
        }
        if let there {
            let isExpected = there.tag == change.replaces?.etag || change.attempted.contains(there.mark)
            if !isExpected, there.value == source.value { return there }
            guard isExpected else {
                throw FalseConflict(description: "\(name) is taken by \(there): \(text(change))")
            }
        }
        return write(source.value, name)
    }

    private mutating func write(_ value: Int, _ name: String) -> Object {
        let object = Object(value: value, tag: nextTag())
        bodies[name] = object
        return object
    }

    // MARK: What has to hold at any moment

    func check() throws {
        try checkNames()
        for name in Set(bodies.keys).union(files.keys) where Staging.isPublished(name) { try checkAccount(name) }
    }

    /// The names that are shown, with their contents, are those that programs made.
    private func checkNames() throws {
        var shown: [String: Int?] = [:]
        for row in table.rows.values {
            guard let name = row.change.name else { continue }
            if let path = row.change.content?.path {
                shown[name] = .some(contents[path])
            } else {
                // A rename may be half done.
                let places = [row.change.remoteName, row.unfinished?.name, row.change.name].compactMap { $0 }
                let isHeld = places.contains { bodies[$0]?.value == files[name] }
                shown[name] = .some(isHeld ? files[name] : nil)
            }
        }
        for (name, known) in catalog where !table.hides(id: known.id, fileName: name) {
            if shown[name] != nil { throw FalseConflict(description: "\(name) is shown twice") }
            shown[name] = .some(bodies[name]?.value)
        }
        let wanted = files.mapValues { Optional($0) }
        guard shown == wanted else { throw FalseConflict(description: "shown \(shown), wanted \(wanted)") }
    }

    /// For what the bucket holds or may hold under a name exactly one answers: the catalog, when it is wanted as it is;
    /// else a row, which knows it again.
    private func checkAccount(_ name: String) throws {
        let home = table.holder(ofRemote: name)
        let arriving = table.holder(ofUnfinished: name)
        let claimant = table.holder(of: name).flatMap { $0.change.remoteName == name ? nil : $0 }
        if let home, let arriving {
            throw FalseConflict(description: "\(name) is of two rows: \(text(home)) and \(text(arriving))")
        }
        if let claimant, claimant.change.replaces != nil, home != nil || arriving != nil {
            throw FalseConflict(description: "\(text(claimant)) replaces what is another's, \(name)")
        }
        guard let object = bodies[name] else { return }
        guard let row = home ?? arriving ?? claimant else {
            guard let known = catalog[name] else {
                throw FalseConflict(description: "nobody knows of \(name) = \(object)")
            }
            guard known.version.etag == object.tag else {
                throw FalseConflict(description: "\(name) = \(object), and the catalog has \(known)")
            }
            return
        }
        guard knows(row, object, name) else {
            throw FalseConflict(description: "\(name) = \(object) is strange to \(text(row))")
        }
    }

    private func knows(_ row: PendingTable.Row, _ object: Object, _ name: String) -> Bool {
        let changes = [row.change, row.unfinished, table.runs[row.change.id]].compactMap { $0 }
        return changes.contains { change in
            if change.attempted.contains(object.mark) { return true }
            if change.remoteName == name, change.remote?.etag == object.tag { return true }
            guard change.name == name else { return false }
            if let path = change.content?.path { if contents[path] == object.value { return true } }
            // A copy of what is under the old name.
            if change.content == nil, change.remote?.contentMD5 == object.mark.md5 { return true }
            return change.replaces?.etag == object.tag
        }
    }

    // MARK: Texts

    func text(_ change: PendingChange) -> String {
        let contents = change.content.map { " = \($0.path)" } ?? ""
        let replaced = change.replaces.map { " replacing \($0.etag ?? "?")\($0.mayBeGone ? "?" : "")" } ?? ""
        let tried = change.attempted.map { " \($0.size)" }.joined()
        return "\(change.id).\(change.generation) \(change.remoteName ?? "-") (\(change.remote?.etag ?? "?")) -> "
            + "\(change.name ?? "-")\(contents)\(replaced)\(tried.isEmpty ? "" : " tried" + tried) \(change.state)"
    }

    func text(_ row: PendingTable.Row) -> String {
        let first = row.unfinished.map { " after [\(text($0))]" } ?? ""
        return text(row.change) + first + (row.maybeSent ? " maybe sent" : "") + (row.isDurable ? "" : " unflushed")
    }
}
