extension JSONSieve {
    /// Where in the grammar the next byte stands.
    enum State: Sendable {
        case start
        /// Behind one or two bytes of a byte order mark.
        case mark(Int)
        case value, valueOrEnd, keyOrEnd, key, colon, behindValue
        case string
        case escape
        case hex
        case number(NumberPart)
        case word(Word, Int)
        case end
    }

    /// What of a number has come.
    enum NumberPart: Sendable { case minus, zero, whole, point, fraction, exponentMark, exponentSign, exponent }

    /// A literal.
    enum Word: Sendable {
        case yes, no, null
        var text: StaticString {
            switch self {
            case .yes: "true"
            case .no: "false"
            case .null: "null"
            }
        }
    }

    /// An array or object around the next byte.
    struct Level: Sendable {
        let isObject: Bool
        /// The node that it is the value of; -1 when nothing in it is asked for.
        let node: Int
    }

    /// What is remembered between two pieces.
    struct Scan: Sendable {
        var state = State.start
        var levels: [Level] = []
        /// How many bytes came before this piece.
        var before: UInt64 = 0
        /// The node that the next value belongs to; -1 for none.
        var node = 0
        /// The node whose value is being kept, -1 for none, and the depth that it lies in.
        var keeping = -1
        var keepingDepth = 0
        /// Where in the piece the kept value or the key goes on.
        var keepingFrom = 0
        var keyFrom = 0
        var isKey = false
        /// The key that is being read, as it stands in the document, where somebody may ask for it.
        var key: [UInt8] = []
        var wantsKey = false
        /// Where the string, number, literal or escape in progress began in the document.
        var tokenStart: UInt64 = 0
        var escapeStart: UInt64 = 0
        var digits: [UInt8] = []
        var utf8 = UTF8Check()
    }

    /// No key that is asked for is longer, however it is escaped.
    private static let keyLimit = 128

    mutating func run(_ buffer: UnsafeRawBufferPointer) {
        guard let start = buffer.baseAddress else { return }
        let bytes = start.assumingMemoryBound(to: UInt8.self)
        let count = buffer.count
        var at = 0
        scan.keepingFrom = 0
        scan.keyFrom = 0
        while at < count, failure == nil {
            switch scan.state {
            case .string: at = string(bytes, from: at, count)
            case .escape, .hex: at = escape(bytes[at], at)
            case .number(let part): at = number(bytes, from: at, count, part)
            case .word(let word, let index): at = literal(bytes, at, word, index)
            case .start, .mark: at = mark(bytes[at], at)
            default:
                switch bytes[at] {
                case 0x20, 0x0A, 0x0D, 0x09: at += 1
                case let byte: at = structure(byte, bytes, at)
                }
            }
        }
        if failure == nil {
            if scan.keeping >= 0 { keepOn(bytes, to: count) }
            if scan.wantsKey { takeKey(bytes, to: count) }
        }
        scan.before += UInt64(count)
    }

    /// The document is over.
    mutating func end() {
        switch scan.state {
        case .end: break
        case .mark: fail(.unexpectedByte(0xEF), at: 0)
        case .number(let part):
            switch part {
            case .minus, .point, .exponentMark, .exponentSign: fail(.unexpectedEnd, at: scan.tokenStart)
            case .zero, .whole, .fraction, .exponent:
                if !scan.levels.isEmpty { fail(.unexpectedEnd, at: scan.before) }
            }
        default: fail(.unexpectedEnd, at: scan.before)
        }
    }

    func place(_ at: Int) -> UInt64 { scan.before + UInt64(at) }

    private mutating func mark(_ byte: UInt8, _ at: Int) -> Int {
        switch (scan.state, byte) {
        case (.start, 0xEF): scan.state = .mark(1)
        case (.mark(1), 0xBB): scan.state = .mark(2)
        case (.mark(2), 0xBF): scan.state = .value
        case (.start, _):
            scan.state = .value
            return at
        default: fail(.unexpectedByte(0xEF), at: 0)
        }
        return at + 1
    }

    // MARK: Structure

    /// A byte that is no space, outside strings, numbers and literals.
    private mutating func structure(_ byte: UInt8, _ bytes: UnsafePointer<UInt8>, _ at: Int) -> Int {
        switch (scan.state, byte) {
        case (.keyOrEnd, UInt8(ascii: "}")), (.valueOrEnd, UInt8(ascii: "]")): return close(bytes, at)
        case (.value, _), (.valueOrEnd, _): return value(byte, at)
        case (.key, UInt8(ascii: "\"")), (.keyOrEnd, UInt8(ascii: "\"")):
            scan.isKey = true
            scan.wantsKey = (scan.levels.last?.node ?? -1) >= 0
            scan.key.removeAll(keepingCapacity: true)
            scan.keyFrom = at + 1
            scan.tokenStart = place(at)
            scan.state = .string
        case (.colon, UInt8(ascii: ":")): scan.state = .value
        case (.behindValue, UInt8(ascii: ",")): scan.state = scan.levels.last?.isObject == true ? .key : .value
        case (.behindValue, UInt8(ascii: "}")) where scan.levels.last?.isObject == true: return close(bytes, at)
        case (.behindValue, UInt8(ascii: "]")) where scan.levels.last?.isObject == false: return close(bytes, at)
        case (.end, _): fail(.trailingBytes, at: place(at))
        default: fail(.unexpectedByte(byte), at: place(at))
        }
        return at + 1
    }

    private mutating func value(_ byte: UInt8, _ at: Int) -> Int {
        let node = scan.node
        scan.node = -1
        if let level = scan.levels.last, !level.isObject, level.node >= 0 { nodes[level.node].count += 1 }
        var inside = -1
        if node >= 0 {
            nodes[node].opening = byte
            if nodes[node].keep == .value {
                (scan.keeping, scan.keepingDepth, scan.keepingFrom) = (node, scan.levels.count, at)
            } else {
                inside = node
            }
        }
        scan.tokenStart = place(at)
        switch byte {
        case UInt8(ascii: "\""):
            scan.isKey = false
            scan.state = .string
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard scan.levels.count < JSONValue.depthLimit else {
                fail(.tooDeep, at: place(at))
                return at
            }
            let isObject = byte == UInt8(ascii: "{")
            scan.levels.append(Level(isObject: isObject, node: inside))
            scan.state = isObject ? .keyOrEnd : .valueOrEnd
        case UInt8(ascii: "t"): scan.state = .word(.yes, 1)
        case UInt8(ascii: "f"): scan.state = .word(.no, 1)
        case UInt8(ascii: "n"): scan.state = .word(.null, 1)
        case UInt8(ascii: "-"): scan.state = .number(.minus)
        case UInt8(ascii: "0"): scan.state = .number(.zero)
        case UInt8(ascii: "1")...UInt8(ascii: "9"): scan.state = .number(.whole)
        default: fail(.unexpectedByte(byte), at: place(at))
        }
        return at + 1
    }

    private mutating func close(_ bytes: UnsafePointer<UInt8>, _ at: Int) -> Int {
        scan.levels.removeLast()
        endValue(bytes, at + 1)
        return at + 1
    }

    /// A value ends before `end`.
    mutating func endValue(_ bytes: UnsafePointer<UInt8>, _ end: Int) {
        scan.state = scan.levels.isEmpty ? .end : .behindValue
        guard scan.keeping >= 0, scan.keepingDepth == scan.levels.count else { return }
        keepOn(bytes, to: end)
        scan.keeping = -1
    }

    /// What is kept of this piece, up to a place.
    private mutating func keepOn(_ bytes: UnsafePointer<UInt8>, to end: Int) {
        keep(UnsafeBufferPointer(start: bytes + scan.keepingFrom, count: end - scan.keepingFrom), at: scan.keeping)
    }

    mutating func takeKey(_ bytes: UnsafePointer<UInt8>, to end: Int) {
        guard scan.key.count + end - scan.keyFrom <= Self.keyLimit else {
            scan.wantsKey = false
            return
        }
        scan.key.append(contentsOf: UnsafeBufferPointer(start: bytes + scan.keyFrom, count: end - scan.keyFrom))
    }
}
