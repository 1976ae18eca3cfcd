public import JSON

/// Why bytes are not what FastShot writes.
public struct FormatError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public enum Kind: Sendable, Equatable {
        /// The file ends too early.
        case truncated
        /// The text is no JSON document.
        case notJSON
        /// A document of another shape.
        case unexpectedShape
        /// A part is larger than any that FastShot writes.
        case tooLarge
        /// The payload does not open with the key given.
        case wrongKey
        /// The payload is obfuscated and no key was given.
        case keyNeeded
    }

    /// What is wrong.
    public let kind: Kind
    /// Words for the user; never the key.
    public let message: String
    /// Where in the file, in bytes, as far as known.
    public let offset: UInt64?
    /// What the JSON parser said.
    public let cause: JSONError?

    /// An error in a file.
    public init(_ kind: Kind, _ message: String, at offset: UInt64? = nil, cause: JSONError? = nil) {
        self.kind = kind
        self.message = message
        self.offset = offset
        self.cause = cause
    }

    /// A text that is no JSON document.
    /// - Parameters:
    ///   - base: where the text begins in the file.
    ///   - isWhole: false when the text was cut out of a larger one, so that its early end does not mean the file's.
    init(_ cause: JSONError, in what: String, at base: UInt64 = 0, isWhole: Bool = true) {
        let place = JSONError(cause.kind, at: Int(base) + cause.offset)
        self.init(
            isWhole && cause.kind == .unexpectedEnd ? .truncated : .notJSON, "\(what): \(place)",
            at: UInt64(place.offset), cause: place)
    }

    /// The message.
    public var description: String { message }
}
