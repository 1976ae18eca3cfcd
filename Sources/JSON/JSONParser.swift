extension JSONValue {
    /// How deep arrays and objects may stand inside each other, so that no document can exhaust the stack.
    public static let depthLimit = 256

    /// Reads one document: strict RFC 8259, but for a byte order mark at the beginning, which is skipped.
    ///
    /// A `\u` escape of a lone surrogate becomes U+FFFD. A key that comes twice keeps its first place and its last
    /// value, as in Python.
    /// - Throws: ``JSONError`` with the place of the first fault; invalid UTF-8 is one.
    public static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        try parse(bytes.span.bytes)
    }

    /// Reads one document from a part of memory. See ``parse(_:)-(Array<UInt8>)``.
    public static func parse(_ bytes: RawSpan) throws(JSONError) -> JSONValue {
        try parse(bytes) { parser throws(JSONError) in try parser.document() }
    }

    /// Reads the value that memory begins with, and says how many bytes it takes; what follows is not looked at.
    ///
    /// For texts that are still arriving: `.unexpectedEnd` means that more is needed. A number that ends with the memory
    /// is taken as it stands.
    public static func parsePrefix(_ bytes: RawSpan) throws(JSONError) -> (value: JSONValue, length: Int) {
        try parse(bytes) { parser throws(JSONError) in try parser.prefix() }
    }

    private static func parse<Value>(
        _ bytes: RawSpan, _ body: (inout JSONParser) throws(JSONError) -> Value
    ) throws(JSONError) -> Value {
        let outcome = bytes.withUnsafeBytes { buffer -> Result<Value, JSONError> in
            var parser = JSONParser(buffer)
            do throws(JSONError) {
                return .success(try body(&parser))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }
}

/// A recursive-descent parser over memory that outlives it.
struct JSONParser {
    private let bytes: UnsafePointer<UInt8>
    private let count: Int
    private var at = 0
    private var depth = 0

    /// A parser at the beginning of `buffer`, which must stay valid while it works.
    init(_ buffer: UnsafeRawBufferPointer) {
        count = buffer.count
        // An empty buffer may have no address; nothing is read through the pointer then.
        bytes =
            buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? UnsafePointer(bitPattern: 1).unsafelyUnwrapped
    }

    /// The whole buffer as one document.
    mutating func document() throws(JSONError) -> JSONValue {
        if count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF { at = 3 }
        skipSpace()
        let result = try value()
        skipSpace()
        guard at == count else { throw JSONError(.trailingBytes, at: at) }
        return result
    }

    /// The value that the buffer begins with and its length.
    mutating func prefix() throws(JSONError) -> (value: JSONValue, length: Int) {
        let result = try value()
        return (result, at)
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        guard at < count else { throw JSONError(.unexpectedEnd, at: at) }
        switch bytes[at] {
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "{"): return try object()
        case UInt8(ascii: "["): return try array()
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw JSONError(.unexpectedByte(bytes[at]), at: at)
        }
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        try enter()
        var members: [(String, JSONValue)] = []
        skipSpace()
        if try take(UInt8(ascii: "}")) {
            depth -= 1
            return .object(members)
        }
        members.reserveCapacity(8)
        var places: [ByteKey: Int]?
        while true {
            guard at < count else { throw JSONError(.unexpectedEnd, at: at) }
            guard bytes[at] == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte(bytes[at]), at: at) }
            let key = try string()
            skipSpace()
            try expect(UInt8(ascii: ":"))
            skipSpace()
            let value = try value()
            if let place = place(of: key, among: members, &places) {
                members[place].1 = value
            } else {
                places?[ByteKey(key)] = members.count
                members.append((key, value))
            }
            skipSpace()
            if try take(UInt8(ascii: "}")) { break }
            try expect(UInt8(ascii: ","))
            skipSpace()
        }
        depth -= 1
        return .object(members)
    }

    /// Where a key stands already. Few keys are compared one by one; many are looked up in `places`, built when needed.
    private func place(of key: String, among members: [(String, JSONValue)], _ places: inout [ByteKey: Int]?) -> Int? {
        if let places { return places[ByteKey(key)] }
        if members.count < 24 {
            for index in members.indices where sameText(members[index].0, key) { return index }
            return nil
        }
        var table: [ByteKey: Int] = [:]
        for index in members.indices { table[ByteKey(members[index].0)] = index }
        places = table
        return table[ByteKey(key)]
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        try enter()
        var values: [JSONValue] = []
        skipSpace()
        if try take(UInt8(ascii: "]")) {
            depth -= 1
            return .array(values)
        }
        while true {
            values.append(try value())
            skipSpace()
            if try take(UInt8(ascii: "]")) { break }
            try expect(UInt8(ascii: ","))
            skipSpace()
        }
        depth -= 1
        return .array(values)
    }

    private mutating func enter() throws(JSONError) {
        depth += 1
        guard depth <= JSONValue.depthLimit else { throw JSONError(.tooDeep, at: at) }
        at += 1
    }

    // MARK: Strings

    private mutating func string() throws(JSONError) -> String {
        let start = at + 1
        let (end, isASCII) = ByteScan.plainEnd(bytes, from: start, count: count)
        guard end < count else { throw JSONError(.unexpectedEnd, at: count) }
        switch bytes[end] {
        case UInt8(ascii: "\""):
            at = end + 1
            return try text(UnsafeBufferPointer(start: bytes + start, count: end - start), isASCII: isASCII, at: start)
        case UInt8(ascii: "\\"):
            return try escapedString(from: start, firstEscape: end)
        default:
            throw JSONError(.controlCharacter(bytes[end]), at: end)
        }
    }

    private mutating func escapedString(from start: Int, firstEscape: Int) throws(JSONError) -> String {
        var buffer: [UInt8] = []
        buffer.reserveCapacity(firstEscape - start + 32)
        var here = start
        while true {
            let end = ByteScan.plainEnd(bytes, from: here, count: count).end
            buffer.append(contentsOf: UnsafeBufferPointer(start: bytes + here, count: end - here))
            guard end < count else { throw JSONError(.unexpectedEnd, at: count) }
            if bytes[end] == UInt8(ascii: "\"") {
                at = end + 1
                break
            }
            guard bytes[end] == UInt8(ascii: "\\") else { throw JSONError(.controlCharacter(bytes[end]), at: end) }
            here = try escape(at: end, into: &buffer)
        }
        let outcome = buffer.withUnsafeBufferPointer { buffer -> Result<String, JSONError> in
            do throws(JSONError) {
                return .success(try text(buffer, isASCII: false, at: start))
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    private func text(
        _ plain: UnsafeBufferPointer<UInt8>, isASCII: Bool, at start: Int
    ) throws(JSONError) -> String {
        let text = String(decoding: plain, as: UTF8.self)
        // Decoding repairs what is invalid, so the text has other bytes then. `String(validating:)` is many times slower.
        if !isASCII, !text.utf8.elementsEqual(plain) { throw JSONError(.invalidUTF8, at: start) }
        return text
    }

    /// Decodes the escape whose backslash stands at `place`; returns where the text goes on.
    private func escape(at place: Int, into buffer: inout [UInt8]) throws(JSONError) -> Int {
        guard place + 1 < count else { throw JSONError(.unexpectedEnd, at: count) }
        switch bytes[place + 1] {
        case UInt8(ascii: "\""): buffer.append(UInt8(ascii: "\""))
        case UInt8(ascii: "\\"): buffer.append(UInt8(ascii: "\\"))
        case UInt8(ascii: "/"): buffer.append(UInt8(ascii: "/"))
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0C)
        case UInt8(ascii: "n"): buffer.append(0x0A)
        case UInt8(ascii: "r"): buffer.append(0x0D)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"):
            var end = place + 6
            var code = try fourHexDigits(at: place + 2)
            if code & 0xFC00 == 0xD800, end + 6 <= count, bytes[end] == UInt8(ascii: "\\"),
                bytes[end + 1] == UInt8(ascii: "u")
            {
                let low = try fourHexDigits(at: end + 2)
                if low & 0xFC00 == 0xDC00 {
                    code = 0x10000 + (code & 0x3FF) << 10 + low & 0x3FF
                    end += 6
                }
            }
            let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
            buffer.append(contentsOf: UTF8.encode(scalar).unsafelyUnwrapped)
            return end
        default: throw JSONError(.invalidEscape, at: place)
        }
        return place + 2
    }

    private func fourHexDigits(at place: Int) throws(JSONError) -> UInt32 {
        guard place + 4 <= count else { throw JSONError(.unexpectedEnd, at: count) }
        var code: UInt32 = 0
        for index in place..<place + 4 {
            let byte = bytes[index]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw JSONError(.invalidEscape, at: place - 2)
            }
            code = code << 4 | UInt32(digit)
        }
        return code
    }

    // MARK: Numbers and words

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = at
        let negative = bytes[at] == UInt8(ascii: "-")
        if negative { at += 1 }
        let firstDigit = at
        var magnitude: UInt64 = 0
        var fits = true
        while at < count, isDigit(bytes[at]) {
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(bytes[at] - UInt8(ascii: "0")))
            if overflow || carry { fits = false }
            magnitude = sum
            at += 1
        }
        if at == firstDigit { throw JSONError(at < count ? .invalidNumber : .unexpectedEnd, at: start) }
        if bytes[firstDigit] == UInt8(ascii: "0"), at > firstDigit + 1 { throw JSONError(.invalidNumber, at: start) }
        var whole = true
        if at < count, bytes[at] == UInt8(ascii: ".") {
            whole = false
            at += 1
            try digits(of: start)
        }
        if at < count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            whole = false
            at += 1
            if at < count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
            try digits(of: start)
        }
        if whole, fits {
            if !negative, magnitude <= UInt64(Int64.max) { return .integer(Int64(magnitude)) }
            if negative, magnitude <= UInt64(Int64.max) + 1 {
                return .integer(Int64(truncatingIfNeeded: 0 &- magnitude))
            }
        }
        return .number(String(decoding: UnsafeBufferPointer(start: bytes + start, count: at - start), as: UTF8.self))
    }

    private mutating func digits(of start: Int) throws(JSONError) {
        let first = at
        while at < count, isDigit(bytes[at]) { at += 1 }
        if at == first { throw JSONError(at < count ? .invalidNumber : .unexpectedEnd, at: start) }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for index in 0..<text.utf8CodeUnitCount {
            guard at + index < count else { throw JSONError(.unexpectedEnd, at: count) }
            guard bytes[at + index] == text.utf8Start[index] else {
                throw JSONError(.unexpectedByte(bytes[at + index]), at: at + index)
            }
        }
        at += text.utf8CodeUnitCount
        return value
    }

    // MARK: Bytes

    private mutating func skipSpace() {
        while at < count {
            switch bytes[at] {
            case 0x20, 0x0A, 0x0D, 0x09: at += 1
            default: return
            }
        }
    }

    private mutating func take(_ byte: UInt8) throws(JSONError) -> Bool {
        guard at < count else { throw JSONError(.unexpectedEnd, at: at) }
        guard bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(JSONError) {
        guard try take(byte) else { throw JSONError(.unexpectedByte(bytes[at]), at: at) }
    }
}

/// Equality by bytes. `==` alone holds canonically equivalent texts for the same.
@inline(__always)
func sameText(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count && left == right && left.utf8.elementsEqual(right.utf8)
}

/// A key of a hash table that compares by bytes.
private struct ByteKey: Hashable {
    let text: String
    init(_ text: String) { self.text = text }
    static func == (left: ByteKey, right: ByteKey) -> Bool { sameText(left.text, right.text) }
    func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
