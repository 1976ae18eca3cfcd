internal import JSON

/// Cuts a growing text of the form `{"key": value, …, "sessions": [row, …], …}` into its members and rows.
///
/// Only the element that is being received is held.
struct ElementScanner {
    enum Element {
        case member(String, JSONValue)
        case row(JSONValue)
    }

    private enum State {
        case start, keyOrEnd, key, colon, value, rowOrEnd, row, afterRow, afterMember, end
    }

    private let limit: Int
    private var buffer: [UInt8] = []
    /// Where the next token begins in `buffer`.
    private var at = 0
    /// How many bytes stood before `buffer`.
    private var base: UInt64 = 0
    private var state = State.start
    private var currentKey = ""
    /// Whether the list of rows has begun.
    private(set) var hasRows = false
    /// The end of the element at `at` has not come; `extent` tells how far it has been looked for.
    private var isPartial = false
    private var extent = Extent()

    init(limit: Int) { self.limit = limit }

    var heldBytes: Int { buffer.capacity }

    mutating func append(_ bytes: RawSpan) {
        if at > 0 {
            buffer.removeSubrange(..<at)
            base += UInt64(at)
            at = 0
        }
        bytes.withUnsafeBytes { buffer.append(contentsOf: $0) }
    }

    /// The next element that is complete; nil when more bytes are needed.
    mutating func next() throws(FormatError) -> Element? {
        while true {
            guard skipSpace() else { return nil }
            let byte = buffer[at]
            switch state {
            case .start:
                // A byte order mark is skipped, once all of it has come.
                if base == 0, at == 0, byte == 0xEF {
                    guard buffer.count >= 3 else { return nil }
                    if buffer[1] == 0xBB, buffer[2] == 0xBF {
                        at = 3
                        continue
                    }
                }
                try expect("{", then: .keyOrEnd)
            case .keyOrEnd where byte == UInt8(ascii: "}"), .afterMember where byte == UInt8(ascii: "}"):
                step(.end)
            case .keyOrEnd, .key:
                guard byte == UInt8(ascii: "\"") else { throw unexpected(byte) }
                guard let value = try element() else { return nil }
                currentKey = value.string ?? ""
                state = .colon
            case .colon: try expect(":", then: .value)
            case .value where currentKey == "sessions" && byte == UInt8(ascii: "["):
                guard !hasRows else {
                    throw FormatError(.unexpectedShape, "overall file: two lists of sessions", at: position)
                }
                hasRows = true
                step(.rowOrEnd)
            case .value:
                guard let value = try element() else { return nil }
                state = .afterMember
                return .member(currentKey, value)
            case .rowOrEnd where byte == UInt8(ascii: "]"), .afterRow where byte == UInt8(ascii: "]"):
                step(.afterMember)
            case .rowOrEnd, .row:
                guard let value = try element() else { return nil }
                state = .afterRow
                return .row(value)
            case .afterRow: try expect(",", then: .row)
            case .afterMember: try expect(",", then: .key)
            case .end: throw FormatError(.notJSON, "overall file: something stands behind its end", at: position)
            }
        }
    }

    /// - Throws: `.truncated` unless the whole text was there.
    func finish() throws(FormatError) {
        guard state == .end else {
            throw FormatError(.truncated, "overall file: ends after \(base + UInt64(buffer.count)) bytes", at: position)
        }
    }

    private var position: UInt64 { base + UInt64(at) }

    private func unexpected(_ byte: UInt8) -> FormatError {
        FormatError(JSONError(.unexpectedByte(byte), at: 0), in: "overall file", at: position)
    }

    private mutating func step(_ next: State) {
        at += 1
        state = next
    }

    private mutating func expect(_ character: Unicode.Scalar, then next: State) throws(FormatError) {
        guard buffer[at] == UInt8(ascii: character) else { throw unexpected(buffer[at]) }
        step(next)
    }

    /// False at the end of what has come.
    private mutating func skipSpace() -> Bool {
        while at < buffer.count {
            switch buffer[at] {
            case 0x20, 0x0A, 0x0D, 0x09: at += 1
            default: return true
            }
        }
        return false
    }

    /// The value that begins at `at`, once all of it has come.
    private mutating func element() throws(FormatError) -> JSONValue? {
        if !isPartial {
            do {
                let (value, length) = try JSONValue.parsePrefix(buffer.span.extracting(at...).bytes)
                // A number, or what looks like one, may go on in what comes next.
                if at + length < buffer.count || !value.isNumber {
                    at += length
                    return value
                }
            } catch  where error.kind != .unexpectedEnd {
                throw FormatError(error, in: "overall file", at: position)
            } catch {}
            // Not all is there. It is not parsed again and again as it grows: its end is looked for first.
            isPartial = true
            extent = Extent()
        }
        guard let length = buffer.withUnsafeBufferPointer({ extent.scan($0, from: at) }) else {
            guard buffer.count - at <= limit else {
                throw FormatError(.tooLarge, "overall file: an element of more than \(limit) bytes", at: position)
            }
            return nil
        }
        isPartial = false
        do {
            let value = try JSONValue.parse(buffer.span.extracting(at..<at + length).bytes)
            at += length
            return value
        } catch {
            throw FormatError(error, in: "overall file", at: position, isWhole: false)
        }
    }
}

extension JSONValue {
    fileprivate var isNumber: Bool {
        switch self {
        case .integer, .number: true
        default: false
        }
    }
}

/// Finds where a value ends, going on where it stopped when more bytes come. Checks nothing else.
private struct Extent {
    private var scanned = 0
    private var depth = 0
    private var inString = false
    private var escaped = false

    /// - Parameter start: where the value begins in `bytes`.
    /// - Returns: its length; nil when its end has not come.
    mutating func scan(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        var here = start + scanned
        defer { scanned = here - start }
        while here < bytes.count {
            let byte = bytes[here]
            if inString {
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                    if depth == 0 { return here + 1 - start }
                }
            } else {
                switch byte {
                case UInt8(ascii: "\""): inString = true
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    // A bare word or number ends before the bracket that it stands in.
                    if depth == 0 { return max(1, here - start) }
                    depth -= 1
                    if depth == 0 { return here + 1 - start }
                case UInt8(ascii: ","), 0x20, 0x0A, 0x0D, 0x09:
                    if depth == 0 { return max(1, here - start) }
                default: break
                }
            }
            here += 1
        }
        return nil
    }
}
