public import ObjectStore
public import Platform

/// Why a body could not be read: a kind that the tree turns into an errno, words for the user, and the cause.
public struct CacheError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong.
    public enum Kind: String, Sendable, CaseIterable {
        /// The session is not in the catalog, or its object is gone from the store.
        case notFound
        /// The object was replaced after bytes of the older version had been handed out.
        case changed
        /// The store could not be reached within the time allowed.
        case offline
        /// The store refuses: credentials missing, wrong, or without the right.
        case denied
        /// The bytes do not have the digest that the store or the catalog names, twice in a row.
        case corrupt
        /// No space for the body in the cache.
        case diskFull
        /// The read, its file or its download was cancelled.
        case interrupted
        /// Anything else: a store that keeps failing, a local disk error.
        case io
    }

    /// What went wrong; the tree makes an errno of it.
    public let kind: Kind
    /// What happened, for the log and the operation list. Holds no credentials.
    public let message: String
    /// The store's error behind it, where there is one.
    public let cause: StoreError?

    /// An error by its parts.
    public init(_ kind: Kind, _ message: String, cause: StoreError? = nil) {
        self.kind = kind
        self.message = message
        self.cause = cause
    }

    /// What a store's error that will not be retried means to a reader.
    public init(_ error: StoreError) {
        let kind: Kind =
            switch error.kind {
            case .unreachable, .offline: .offline
            case .notFound: .notFound
            case .unauthenticated, .forbidden: .denied
            case .precondition: .changed
            case .cancelled: .interrupted
            case .local: error.system.map(CacheError.kind(of:)) ?? .io
            case .temporary, .throttled, .permanent, .noContainer, .unsupported: .io
            }
        self.init(kind, error.description, cause: error)
    }

    /// What a failed system call in the cache directory means to a reader.
    public init(_ error: SystemError) { self.init(CacheError.kind(of: error), error.description) }

    private static func kind(of error: SystemError) -> Kind { error.isDiskFull ? .diskFull : .io }

    /// `corrupt: sessions/x.fastshot: …`.
    public var description: String { "\(kind.rawValue): \(message)" }
}
