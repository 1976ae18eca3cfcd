/// A configuration that cannot be used: what is wrong, where, and where it helps, what to write instead.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// For the user; never holds a secret.
    public var message: String
    /// `config.ini:12`, `--cache-max`, `SESSIONFS_CACHE_MAX`; empty where there is no such place.
    public var origin: String

    /// An error by its parts.
    public init(_ message: String, origin: String = "") {
        self.message = message
        self.origin = origin
    }

    /// `config.ini:12: "10X" is no size`.
    public var description: String { origin.isEmpty ? message : "\(origin): \(message)" }
}
