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
    init(_ cause: JSONError, in what: String, at base: UInt64 = 0) {
        self.init(
            cause.kind == .unexpectedEnd ? .truncated : .notJSON, "\(what): \(cause)", at: base + UInt64(cause.offset),
            cause: cause)
    }

    /// The message.
    public var description: String { message }
}
