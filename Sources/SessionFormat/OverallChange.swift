internal import JSON

/// One wanted change of the overall file.
public enum OverallChange: Sendable, Equatable {
    /// The session has this row, unless one of the same name tells of other contents that were uploaded later. What a
    /// row of the same name holds beyond it stays.
    case set(OverallRow)
    /// The session has no row. With a checksum, a row that has another one of the same kind stays: it is somebody
    /// else's.
    case remove(fileName: String, checksum: ObjectChecksum?)
    /// The session has another name: its row goes as by ``remove(fileName:checksum:)``, and what it held beyond
    /// FastShot's members goes over to the new one.
    case move(from: String, checksum: ObjectChecksum?, to: OverallRow)
}

/// Changes of rows on their way through a file. A value: every pass begins with a fresh one.
struct OverallChangeSet {
    private struct Slot {
        let row: OverallRow
        /// A later change has taken its place.
        var isDropped = false
        /// It takes the place of rows of other names.
        var isMoved = false
        var isWritten = false
        /// The row of a name that it was moved from, and that of its own name.
        var origin: JSONValue?
        var held: JSONValue?
    }
    private enum Rule {
        case set(Int)
        /// With the slot that the row's foreign members go to.
        case remove(ObjectChecksum?, Int?)
    }

    private var slots: [Slot] = []
    /// By the names' bytes: texts that only look alike are different names.
    private var rules: [[UInt8]: Rule] = [:]
    /// Whether the result differs from what was there.
    private(set) var isChanged = false

    /// - Parameter changes: in their order; of several for a name the last one counts.
    init(_ changes: [OverallChange]) {
        for change in changes {
            switch change {
            case .set(let row): set(row)
            case .remove(let fileName, let checksum):
                let name = Array(fileName.utf8)
                if case .set(let slot) = rules[name] {
                    slots[slot].isDropped = true
                    rules[name] = .remove(nil, nil)
                } else {
                    rules[name] = .remove(checksum, nil)
                }
            case .move(let from, let checksum, let row):
                let (old, new) = (Array(from.utf8), Array(row.fileName.utf8))
                set(row)
                guard old != new else { continue }
                let slot = slots.count - 1
                slots[slot].isMoved = true
                var checksum = checksum
                if case .set(let earlier) = rules[old] {
                    slots[earlier].isDropped = true
                    pass(originsOf: earlier, to: slot)
                    checksum = nil
                }
                rules[old] = .remove(checksum, slot)
            }
        }
    }

    private mutating func set(_ row: OverallRow) {
        let name = Array(row.fileName.utf8)
        var slot = Slot(row: row)
        if case .set(let earlier) = rules[name] {
            slots[earlier].isDropped = true
            slot.isMoved = slots[earlier].isMoved
            pass(originsOf: earlier, to: slots.count)
        }
        rules[name] = .set(slots.count)
        slots.append(slot)
    }

    /// What the one slot's rows held goes to the other.
    private mutating func pass(originsOf earlier: Int, to slot: Int) {
        for (name, rule) in rules {
            if case .remove(let checksum, earlier) = rule { rules[name] = .remove(checksum, slot) }
        }
    }

    /// What becomes of an element of the list; nil: it goes, or comes with ``rest()``.
    mutating func apply(to element: JSONValue) -> JSONValue? {
        // What is no row is somebody's all the same.
        guard let row = OverallRow(json: element), let rule = rules[Array(row.fileName.utf8)] else { return element }
        switch rule {
        case .remove(let checksum, let slot):
            if let checksum, let other = row.checksum, checksum.contradicts(other) { return element }
            isChanged = true
            if let slot, slots[slot].origin == nil { slots[slot].origin = element }
            return nil
        case .set(let slot) where slots[slot].isMoved:
            if slots[slot].held != nil { isChanged = true } else { slots[slot].held = element }
            return nil
        case .set(let slot):
            guard !slots[slot].isWritten else {
                isChanged = true
                return nil
            }
            slots[slot].isWritten = true
            if Self.isLater(row, than: slots[slot].row) { return element }
            let result = Self.merge(slots[slot].row.json, over: element)
            if result != element { isChanged = true }
            return result
        }
    }

    /// The rows that stand behind those of the file.
    mutating func rest() -> [JSONValue] {
        var rows: [JSONValue] = []
        for slot in slots where !slot.isDropped && !slot.isWritten {
            guard let base = slot.origin ?? slot.held else {
                isChanged = true
                rows.append(slot.row.json)
                continue
            }
            let result = Self.merge(slot.row.json, over: base)
            if result != base { isChanged = true }
            rows.append(result)
        }
        return rows
    }

    /// Whether a row tells of other contents, uploaded later: their writer was faster with the row.
    private static func isLater(_ row: OverallRow, than mine: OverallRow) -> Bool {
        guard let theirs = row.checksum, let ours = mine.checksum, theirs.contradicts(ours),
            let found = row.createdAt.flatMap(NaiveTime.init(iso8601:)), found.offsetSeconds == 0,
            let own = mine.createdAt.flatMap(NaiveTime.init(iso8601:)), own.offsetSeconds == 0
        else { return false }
        if found.stamp != own.stamp { return found.stamp > own.stamp }
        return found.nanoseconds > own.nanoseconds
    }

    /// The new members in the places of the old; members that only the old row has stay where they are.
    private static func merge(_ new: JSONValue, over old: JSONValue) -> JSONValue {
        var fresh = new.members ?? []
        var result: [(String, JSONValue)] = []
        for (key, value) in old.members ?? [] {
            guard let place = fresh.firstIndex(where: { $0.0 == key }) else {
                // Metadata tells of contents that are gone.
                if key != "metadata" { result.append((key, value)) }
                continue
            }
            let (_, wanted) = fresh.remove(at: place)
            result.append((key, key == "metadata" && value.members != nil ? merge(wanted, over: value) : wanted))
        }
        return .object(result + fresh)
    }
}
