/// A file name as a key: names are equal when their bytes are, not when they look alike.
struct NameKey: Hashable, Sendable {
    let text: String
    /// A short mark of the bytes.
    let mark: UInt64

    init(_ text: String) {
        self.text = text
        mark = NameKey.mark(text)
    }

    static func == (left: NameKey, right: NameKey) -> Bool {
        left.mark == right.mark && left.text.hasSameBytes(as: right.text)
    }

    func hash(into hasher: inout Hasher) { hasher.combine(mark) }

    /// A short mark of a name's bytes (64-bit FNV-1a).
    static func mark(_ text: String) -> UInt64 {
        var state: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return state
    }

    /// As ``mark(_:)-(String)``, of bytes.
    static func mark(_ bytes: RawSpan) -> UInt64 {
        bytes.withUnsafeBytes { bytes in
            var state: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
            return state
        }
    }
}

extension String {
    /// Whether two names are one.
    func hasSameBytes(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }

    /// At most so many bytes of it, cut between characters.
    func cut(toBytes limit: Int) -> String {
        var cut = self[...]
        while cut.utf8.count > limit { cut.removeLast() }
        return String(cut)
    }
}

extension String? {
    /// Whether both are no name, or one.
    func hasSameBytes(as other: String?) -> Bool {
        switch (self, other) {
        case (nil, nil): true
        case (let left?, let right?): left.hasSameBytes(as: right)
        default: false
        }
    }
}

extension String {
    /// The text of a name's bytes.
    init(decoding bytes: RawSpan) {
        self = bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
