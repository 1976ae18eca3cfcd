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
            for (index, member) in sortedByKey(members).enumerated() {
                if index > 0 { writeSeparator(UInt8(ascii: ","), &out) }
                writeASCIIString(member.0, into: &out)
                writeSeparator(UInt8(ascii: ":"), &out)
                member.1.writeCanonical(into: &out)
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

/// The members by their keys' code points, which is the order of their UTF-8 bytes.
private func sortedByKey(_ members: [(String, JSONValue)]) -> [(String, JSONValue)] {
    members.sorted { precedes($0.0, $1.0) }
}

private func precedes(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}

// MARK: Strings

/// A string in quotes, UTF-8 as it is; only what must be is escaped.
private func writeString(_ text: String, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    withUTF8(text) { bytes in
        var run = 0
        for (index, byte) in bytes.enumerated()
        where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
            out.append(contentsOf: bytes[run..<index])
            writeEscape(UInt16(byte), into: &out)
            run = index + 1
        }
        out.append(contentsOf: bytes[run...])
    }
    out.append(UInt8(ascii: "\""))
}

/// A string in quotes where everything outside printable ASCII is escaped, as Python does by default.
private func writeASCIIString(_ text: String, into out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    let plain = withUTF8(text) { bytes in
        let isPlain = bytes.allSatisfy {
            $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        if isPlain { out.append(contentsOf: bytes) }
        return isPlain
    }
    if !plain {
        for unit in text.utf16 {
            if unit >= 0x20, unit < 0x7F, unit != 0x22, unit != 0x5C {
                out.append(UInt8(truncatingIfNeeded: unit))
            } else {
                writeEscape(unit, into: &out)
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
