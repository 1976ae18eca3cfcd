/// One result of a store's self-diagnosis, for `sessionfs check`.
public struct StoreFinding: Sendable, Equatable {
    /// How grave it is.
    public enum Level: String, Sendable, CaseIterable {
        /// As it should be.
        case ok
        /// Works, with less safety or less function than it could.
        case warning
        /// Does not work.
        case error
    }

    /// What was looked at, in one or two words: `credentials`.
    public var name: String
    /// How grave it is.
    public var level: Level
    /// What was found. Never a secret.
    public var message: String
    /// What the user can do about it.
    public var advice: String?
    /// What kind of failure an error is, where a store reported it: decides the exit code.
    public var kind: StoreError.Kind?

    /// Makes the value from its parts.
    public init(
        _ name: String, _ level: Level, _ message: String, advice: String? = nil, kind: StoreError.Kind? = nil
    ) {
        self.name = name
        self.level = level
        self.message = message
        self.advice = advice
        self.kind = kind
    }
}
