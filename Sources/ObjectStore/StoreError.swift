public import Platform

/// Why a store did not do what was asked: a kind that decides what to do next, and words for the user.
public struct StoreError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What a caller can do about it.
    public enum Kind: String, Sendable, CaseIterable {
        /// May succeed when repeated: connection lost, 500, 503, body cut short.
        case temporary
        /// The store asks for fewer requests: 429, `SlowDown`. Repeat after ``StoreError/retryAfter``.
        case throttled
        /// Cannot be reached at all: refused, no route, no such host, TLS not accepted.
        case unreachable
        /// The store is known to be away, or the user works offline: the request was not made.
        case offline
        /// Repeating it as it is cannot help.
        case permanent
        /// No such object.
        case notFound
        /// No such bucket or container.
        case noContainer
        /// A condition did not hold: somebody else was first.
        case precondition
        /// Credentials are missing, wrong or expired.
        case unauthenticated
        /// Credentials are good and do not allow this.
        case forbidden
        /// The store does not know this request or condition (501).
        case unsupported
        /// The local side failed: disk full, file unreadable. See ``StoreError/system``.
        case local
        /// The calling task was cancelled.
        case cancelled
    }

    /// What a caller can do about it.
    public var kind: Kind
    /// The object, relative to the store's prefix; empty for the container.
    public var key: String
    /// What the provider or the library said, without credentials.
    public var message: String
    /// The provider's own code, for example `NoSuchKey`.
    public var providerCode: String?
    /// The HTTP status where there was one.
    public var status: Int?
    /// The wait that the store asked for, in seconds.
    public var retryAfter: Double?
    /// The system call behind a `.local` error.
    public var system: SystemError?

    /// Makes the value from its parts.
    public init(
        _ kind: Kind, key: String = "", message: String, providerCode: String? = nil, status: Int? = nil,
        retryAfter: Double? = nil, system: SystemError? = nil
    ) {
        self.kind = kind
        self.key = key
        self.message = message
        self.providerCode = providerCode
        self.status = status
        self.retryAfter = retryAfter
        self.system = system
    }

    /// A failure of the local side.
    public init(_ system: SystemError, key: String = "") {
        self.init(.local, key: key, message: system.description, system: system)
    }

    /// Whether the same request may succeed later.
    public var isRetryable: Bool { kind == .temporary || kind == .throttled || kind == .unreachable }

    /// `sessions/x.fastshot: no such object (NoSuchKey, HTTP 404)`.
    public var description: String {
        var facts: [String] = []
        if let providerCode { facts.append(providerCode) }
        if let status { facts.append("HTTP \(status)") }
        let text = facts.isEmpty ? message : "\(message) (\(facts.joined(separator: ", ")))"
        return key.isEmpty ? text : "\(key): \(text)"
    }
}
