/// A JSON document (RFC 8259). Objects keep the order of their keys; integers that fit stay integers; other numbers
/// keep their text, so that what is written again is what was read.
public enum JSONValue: Sendable, Equatable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A whole number that fits 64 bits.
    case integer(Int64)
    /// A number that is no 64-bit integer, by its text in the document.
    case number(String)
    /// A text.
    case string(String)
    /// A list.
    case array([JSONValue])
    /// Members in their order. A key that comes twice counts by its last value, as in Python.
    case object([(String, JSONValue)])

    /// Equality by bytes: texts that only look alike differ, and so do `1` and `1.0`.
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): sameText(a, b)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)):
            a.count == b.count && zip(a, b).allSatisfy { sameText($0.0, $1.0) && $0.1 == $1.1 }
        default: false
        }
    }

    /// A member of an object by its key; nil elsewhere.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { sameText($0.0, key) }?.1
    }

    /// The text of a string; nil for other kinds.
    public var string: String? {
        if case .string(let text) = self { text } else { nil }
    }
    /// The value of an integer, also of one written as `12.0`; nil for other kinds.
    public var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let text): Double(text).flatMap { Int64(exactly: $0) }
        default: nil
        }
    }
    /// The value of any number.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let text): Double(text)
        default: nil
        }
    }
    /// True or false; nil for other kinds.
    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }
    /// The elements of an array; nil for other kinds.
    public var array: [JSONValue]? {
        if case .array(let values) = self { values } else { nil }
    }
    /// The members of an object in their order; nil for other kinds.
    public var members: [(String, JSONValue)]? {
        if case .object(let members) = self { members } else { nil }
    }
}
