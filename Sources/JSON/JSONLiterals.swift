extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    /// A string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An integer.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// True or false.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A number that is no integer.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// An array.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// An object whose members keep the order in which they are written.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(elements) }
    /// Null.
    public init(nilLiteral: ()) { self = .null }
}

extension JSONValue {
    /// A string, or null where there is none.
    public init(_ text: String?) { self = text.map { .string($0) } ?? .null }
    /// An integer.
    public init(_ value: Int) { self = .integer(Int64(value)) }
    /// An integer; one above `Int64.max` keeps its digits.
    public init(_ value: UInt64) { self = Int64(exactly: value).map { .integer($0) } ?? .number(String(value)) }
    /// True or false.
    public init(_ value: Bool) { self = .bool(value) }
    /// An array of strings.
    public init(_ texts: [String]) { self = .array(texts.map { .string($0) }) }
}
