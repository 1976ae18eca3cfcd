public import JSON
internal import Platform

/// A value that travels over the control API as a JSON object.
public protocol Payload: Sendable, Equatable {
    /// The object on the wire. Keys are `snake_case`, times UTC in ISO 8601, sizes bytes, durations seconds.
    var json: JSONValue { get }
    /// Reads the wire's object. Unknown keys are ignored.
    /// - Throws: 400 `bad_request` naming the member that is missing or of the wrong kind.
    init(json: JSONValue) throws(ControlProblem)
}

/// Members of an object by kind, for ``Payload`` readers.
extension JSONValue {
    func text(_ key: String) throws(ControlProblem) -> String {
        guard let value = self[key]?.string else { throw .badRequest("\(key): a string is wanted") }
        return value
    }

    func optionalText(_ key: String) throws(ControlProblem) -> String? {
        try present(key) { value throws(ControlProblem) in
            guard let text = value.string else { throw .badRequest("\(key): a string is wanted") }
            return text
        }
    }

    func signed(_ key: String) throws(ControlProblem) -> Int64 {
        guard let value = self[key]?.integer else { throw .badRequest("\(key): an integer is wanted") }
        return value
    }

    func optionalSigned(_ key: String) throws(ControlProblem) -> Int64? {
        try present(key) { _ throws(ControlProblem) in try signed(key) }
    }

    func optionalObject<Object: Payload>(
        _ key: String, _ read: (JSONValue) throws(ControlProblem) -> Object
    ) throws(ControlProblem) -> Object? {
        try present(key) { value throws(ControlProblem) in try read(value) }
    }

    func count(_ key: String) throws(ControlProblem) -> UInt64 {
        guard let value = self[key]?.integer, value >= 0 else {
            throw .badRequest("\(key): an integer of at least 0 is wanted")
        }
        return UInt64(value)
    }

    func optionalCount(_ key: String) throws(ControlProblem) -> UInt64? {
        try present(key) { _ throws(ControlProblem) in try count(key) }
    }

    func flag(_ key: String) throws(ControlProblem) -> Bool {
        guard let value = self[key]?.bool else { throw .badRequest("\(key): true or false is wanted") }
        return value
    }

    func seconds(_ key: String) throws(ControlProblem) -> Double {
        guard let value = self[key]?.double else { throw .badRequest("\(key): a number is wanted") }
        return value
    }

    func optionalSeconds(_ key: String) throws(ControlProblem) -> Double? {
        try present(key) { _ throws(ControlProblem) in try seconds(key) }
    }

    func optionalTime(_ key: String) throws(ControlProblem) -> Timestamp? {
        try present(key) { value throws(ControlProblem) in
            guard let time = value.string.flatMap(Timestamp.init(wire:)) else {
                throw .badRequest("\(key): a UTC time is wanted")
            }
            return time
        }
    }

    func time(_ key: String) throws(ControlProblem) -> Timestamp {
        guard let time = try optionalTime(key) else { throw .badRequest("\(key): a UTC time is wanted") }
        return time
    }

    func word<Word: RawRepresentable>(_ key: String) throws(ControlProblem) -> Word where Word.RawValue == String {
        let text = try text(key)
        guard let word = Word(rawValue: text) else { throw .badRequest("\(key): \"\(text)\" is not known") }
        return word
    }

    func list<Element>(
        _ key: String, _ element: (JSONValue) throws(ControlProblem) -> Element
    ) throws(ControlProblem) -> [Element] {
        guard let values = self[key]?.array else { throw .badRequest("\(key): an array is wanted") }
        var result: [Element] = []
        for value in values { result.append(try element(value)) }
        return result
    }

    private func present<Result>(
        _ key: String, _ read: (JSONValue) throws(ControlProblem) -> Result
    ) throws(ControlProblem) -> Result? {
        guard let value = self[key], value != .null else { return nil }
        return try read(value)
    }
}

/// Values as members of an object, for ``Payload`` writers.
extension JSONValue {
    static func optional(_ count: UInt64?) -> JSONValue { count.map { JSONValue($0) } ?? .null }
    static func optional(_ number: Int64?) -> JSONValue { number.map { .integer($0) } ?? .null }
    static func optional(_ time: Timestamp?) -> JSONValue { time.map { .time($0) } ?? .null }
    static func optional(seconds: Double?) -> JSONValue { seconds.map { .seconds($0) } ?? .null }
    static func time(_ value: Timestamp) -> JSONValue { .string(value.iso8601) }
    /// Rounded to milliseconds; a value that is no number becomes null.
    static func seconds(_ value: Double) -> JSONValue {
        guard value.isFinite, value.magnitude < 1e12 else { return .null }
        let thousandths = (value * 1000).rounded() / 1000
        return .number(String(thousandths))
    }
}

extension Timestamp {
    /// Reads what ``Timestamp/iso8601`` writes: `2026-11-26T15:08:54.123Z`.
    init?(wire text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 24 else { return nil }
        func digits(_ range: Range<Int>) -> Int? {
            var value = 0
            for byte in bytes[range] {
                guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            return value
        }
        let marks = [4: "-", 7: "-", 10: "T", 13: ":", 16: ":", 19: ".", 23: "Z"] as [Int: Unicode.Scalar]
        guard marks.allSatisfy({ bytes[$0.key] == UInt8(ascii: $0.value) }),
            let year = digits(0..<4), let month = digits(5..<7), let day = digits(8..<10),
            let hour = digits(11..<13), let minute = digits(14..<16), let second = digits(17..<19),
            let milliseconds = digits(20..<23), (1...12).contains(month), (1...31).contains(day), hour < 24,
            minute < 60, second < 61
        else { return nil }
        self = .utc(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second,
            nanoseconds: Int64(milliseconds) * 1_000_000)
    }
}
