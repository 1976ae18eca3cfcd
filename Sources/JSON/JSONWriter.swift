extension JSONValue {
    /// How a document is written.
    public enum Style: Sendable, Equatable {
        /// No space, UTF-8 as it is, numbers by their text.
        case compact
        /// As Python's `json.dumps(x, indent=2, ensure_ascii=False)`: the form of FastShot's files.
        case pretty
        /// As Python's `json.dumps(x, sort_keys=True)`: the form that FastShot's checksums are taken over.
        case pythonCanonical
    }

    /// The document as UTF-8 bytes.
    public func serialized(_ style: Style = .compact) -> [UInt8] {
        var bytes: [UInt8] = []
        serialize(style, into: &bytes)
        return bytes
    }

    /// Appends the document to `bytes`.
    /// - Parameter indent: the level that the lines of `.pretty` behind the first begin with.
    public func serialize(_ style: Style, indent: Int = 0, into bytes: inout [UInt8]) {
        switch style {
        case .compact: writeCompact(into: &bytes)
        case .pretty: writePretty(level: indent, into: &bytes)
        case .pythonCanonical: writeCanonical(into: &bytes)
        }
    }

    /// The document as text, compact.
    public var text: String { String(decoding: serialized(.compact), as: UTF8.self) }
}

extension JSONValue {
    private func writeCompact(into out: inout [UInt8]) {
        switch self {
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                value.writeCompact(into: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                writeString(member.0, into: &out)
                out.append(UInt8(ascii: ":"))
                member.1.writeCompact(into: &out)
            }
            out.append(UInt8(ascii: "}"))
        case .number(let text): out.append(contentsOf: text.utf8)
        default: writeScalar(into: &out)
        }
    }

    private func writePretty(level: Int, into out: inout [UInt8]) {
        switch self {
        case .array(let values) where !values.isEmpty:
            out.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                newLine(level + 1, &out)
                value.writePretty(level: level + 1, into: &out)
            }
            newLine(level, &out)
            out.append(UInt8(ascii: "]"))
        case .object(let members) where !members.isEmpty:
            out.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { out.append(UInt8(ascii: ",")) }
                newLine(level + 1, &out)
                writeString(member.0, into: &out)
                out.append(UInt8(ascii: ":"))
                out.append(UInt8(ascii: " "))
                member.1.writePretty(level: level + 1, into: &out)
            }
            newLine(level, &out)
            out.append(UInt8(ascii: "}"))
        case .array: out.append(contentsOf: "[]".utf8)
        case .object: out.append(contentsOf: "{}".utf8)
        case .number(let text): out.append(contentsOf: pythonNumber(text).utf8)
        default: writeScalar(into: &out)
        }
    }

    private func newLine(_ level: Int, _ out: inout [UInt8]) {
        out.append(0x0A)
        for _ in 0..<level {
            out.append(0x20)
            out.append(0x20)
        }
    }

    private func writeCanonical(into out: inout [UInt8]) {
        switch self {
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { writeSeparator(UInt8(ascii: ","), &out) }
                value.writeCanonical(into: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            var isFirst = true
            withOrder(of: members) { index in
                if !isFirst { writeSeparator(UInt8(ascii: ","), &out) }
                isFirst = false
                writeASCIIString(members[index].0, into: &out)
                writeSeparator(UInt8(ascii: ":"), &out)
                members[index].1.writeCanonical(into: &out)
            }
            out.append(UInt8(ascii: "}"))
        case .string(let text): writeASCIIString(text, into: &out)
        case .number(let text): out.append(contentsOf: pythonNumber(text).utf8)
        default: writeScalar(into: &out)
        }
    }

    private func writeSeparator(_ byte: UInt8, _ out: inout [UInt8]) {
        out.append(byte)
        out.append(UInt8(ascii: " "))
    }

    /// What every style writes alike.
    private func writeScalar(into out: inout [UInt8]) {
        switch self {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
        case .integer(let value): out.append(contentsOf: String(value).utf8)
        case .string(let text): writeString(text, into: &out)
        case .number, .array, .object: preconditionFailure("written by each style")
        }
    }
}

/// Visits the places of members by their keys' code points, which is the order of their UTF-8 bytes.
private func withOrder(of members: [(String, JSONValue)], visit: (Int) -> Void) {
    // The first eight bytes of a key decide nearly always.
    struct Place {
        var prefix: UInt64
        var index: Int
    }
    func precedes(_ left: Place, _ right: Place) -> Bool {
        if left.prefix != right.prefix { return left.prefix < right.prefix }
        return members[left.index].0.utf8.lexicographicallyPrecedes(members[right.index].0.utf8)
    }
    if members.count > 32 {
        let places = members.indices.map { Place(prefix: keyPrefix(members[$0].0), index: $0) }
        for place in places.sorted(by: precedes) { visit(place.index) }
        return
    }
    withUnsafeTemporaryAllocation(of: Place.self, capacity: members.count) { places in
        for index in members.indices {
            let place = Place(prefix: keyPrefix(members[index].0), index: index)
            var hole = index
            while hole > 0, precedes(place, places[hole - 1]) {
                places.initializeElement(at: hole, to: places[hole - 1])
                hole -= 1
            }
            places.initializeElement(at: hole, to: place)
        }
        for index in members.indices { visit(places[index].index) }
    }
}

/// The first eight bytes of a key as a number that sorts as they do; a shorter key is filled with zeros.
private func keyPrefix(_ key: String) -> UInt64 {
    withUTF8(key) { bytes in
        var prefix: UInt64 = 0
        for index in 0..<min(8, bytes.count) { prefix |= UInt64(bytes[index]) << UInt64(56 - 8 * index) }
        return prefix
    }
}

// MARK: Strings

/// A string in quotes, UTF-8 as it is; only what must be is escaped.
private func writeString(_ text: String, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    withUTF8(text) { bytes in
        guard let start = bytes.baseAddress else { return }
        var here = 0
        while true {
            let end = ByteScan.plainEnd(start, from: here, count: bytes.count).end
            out.append(contentsOf: bytes[here..<end])
            guard end < bytes.count else { return }
            writeEscape(UInt16(bytes[end]), into: &out)
            here = end + 1
        }
    }
    out.append(UInt8(ascii: "\""))
}

/// A string in quotes where everything outside printable ASCII is escaped, as Python does by default.
private func writeASCIIString(_ text: String, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    let isPlain = withUTF8(text) { bytes in
        guard ByteScan.isPlainASCII(bytes) else { return false }
        out.append(contentsOf: bytes)
        return true
    }
    if !isPlain {
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x20..<0x7F where scalar != "\"" && scalar != "\\": out.append(UInt8(truncatingIfNeeded: scalar.value))
            case 0...0xFFFF: writeEscape(UInt16(truncatingIfNeeded: scalar.value), into: &out)
            default:
                let rest = scalar.value - 0x10000
                writeEscape(0xD800 | UInt16(truncatingIfNeeded: rest >> 10), into: &out)
                writeEscape(0xDC00 | UInt16(truncatingIfNeeded: rest & 0x3FF), into: &out)
            }
        }
    }
    out.append(UInt8(ascii: "\""))
}

private func writeEscape(_ unit: UInt16, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\\"))
    switch unit {
    case 0x22: out.append(UInt8(ascii: "\""))
    case 0x5C: out.append(UInt8(ascii: "\\"))
    case 0x08: out.append(UInt8(ascii: "b"))
    case 0x0C: out.append(UInt8(ascii: "f"))
    case 0x0A: out.append(UInt8(ascii: "n"))
    case 0x0D: out.append(UInt8(ascii: "r"))
    case 0x09: out.append(UInt8(ascii: "t"))
    default:
        out.append(UInt8(ascii: "u"))
        for shift in [12, 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: (unit >> UInt16(shift)) & 0xF)
            out.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}

/// The text's bytes in place; a text that is not stored as UTF-8 is copied first.
private func withUTF8<Result>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    if let result = text.utf8.withContiguousStorageIfAvailable(body) { return result }
    var copy = text
    return copy.withUTF8(body)
}
