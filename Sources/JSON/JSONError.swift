/// Why bytes are no JSON document, and where.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public enum Kind: Sendable, Equatable {
        /// The document ends too early.
        case unexpectedEnd
        /// A byte that may not stand here.
        case unexpectedByte(UInt8)
        /// A string that is no UTF-8.
        case invalidUTF8
        /// A control character stands unescaped in a string.
        case controlCharacter(UInt8)
        /// A backslash that begins no escape.
        case invalidEscape
        /// A number that RFC 8259 does not allow, such as `01` or `1.`.
        case invalidNumber
        /// Arrays and objects inside each other beyond ``JSONValue/depthLimit``.
        case tooDeep
        /// Something stands behind the document.
        case trailingBytes
    }

    /// What is wrong.
    public let kind: Kind
    /// Where, in bytes from the beginning.
    public let offset: Int

    /// An error at a place.
    public init(_ kind: Kind, at offset: Int) {
        self.kind = kind
        self.offset = offset
    }

    /// `unexpected byte 0x7D at byte 12`.
    public var description: String {
        let what =
            switch kind {
            case .unexpectedEnd: "unexpected end"
            case .unexpectedByte(let byte): "unexpected byte 0x\(String(byte, radix: 16, uppercase: true))"
            case .invalidUTF8: "invalid UTF-8"
            case .controlCharacter(let byte):
                "unescaped control character 0x\(String(byte, radix: 16, uppercase: true))"
            case .invalidEscape: "invalid escape"
            case .invalidNumber: "invalid number"
            case .tooDeep: "nested deeper than \(JSONValue.depthLimit)"
            case .trailingBytes: "something behind the document"
            }
        return "\(what) at byte \(offset)"
    }
}
