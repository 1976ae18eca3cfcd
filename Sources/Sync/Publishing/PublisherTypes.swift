public import ObjectStore
public import Platform
public import SessionCache

/// What is done with a file that is no FastShot session.
public enum ForeignContents: String, Sendable, CaseIterable {
    /// It is not sent, stays here, and its state says why. The default.
    case refuse
    /// It is sent with basic facts: name, time, size.
    case basic
}

/// How changes are sent.
public struct PublisherOptions: Sendable {
    /// FastShot's key, with which sessions are opened for their metadata.
    public var key: Secret?
    /// What is done with a file that is no FastShot session.
    public var foreign = ForeignContents.refuse
    /// How conflicts are decided, where ``strategies`` names no other way.
    public var strategy = ConflictStrategy.manual
    /// How conflicts of one kind are decided.
    public var strategies: [ConflictKind: ConflictStrategy] = [:]
    /// Uploads at the same time.
    public var parallel = 16
    /// Seconds after which an upload in parts that nobody knows and that has no parts is taken for a lost one.
    public var strayAge = FaultPoint.seconds("SESSIONFS_STRAY_AGE", usually: 3600)
    /// Seconds after which a session of others that has body and index and no row is given one.
    public var rowPatience = FaultPoint.seconds("SESSIONFS_ROW_PATIENCE", usually: 90)
    /// Seconds that finished uploads wait for others, so that many rows go into the overall file at once.
    public var gathering = 0.15
    /// The same while no file is open for writing.
    public var settling = 0.05
    /// Waits so many seconds, where the time lets others come to their end.
    var pause: @Sendable (Double) async -> Void = { try? await Task.sleep(for: .seconds($0)) }

    /// The defaults.
    public init() {}

    /// How conflicts of a kind are decided.
    func strategy(for kind: ConflictKind) -> ConflictStrategy { strategies[kind] ?? strategy }
}

/// A change that is not in the bucket, and why.
public struct Unsent: Sendable, Equatable {
    /// The file name.
    public var name: String
    /// For the user.
    public var reason: String

    /// An unsent change by its parts.
    public init(name: String, reason: String) {
        self.name = name
        self.reason = reason
    }
}

/// Where the sending stands.
public struct PublisherStatus: Sendable, Equatable {
    /// Changes being sent now.
    public var running = 0
    /// Changes sent since the daemon began.
    public var sent: UInt64 = 0
    /// Their contents' bytes.
    public var sentBytes: UInt64 = 0
    /// Failures since the daemon began, those that were repeated included.
    public var failures: UInt64 = 0
    /// How often the overall file was written.
    public var overallWrites: UInt64 = 0
    /// What the server honours; nil until it was tried.
    public var conditions: ConditionSupport?
    /// The last failure, until something was sent.
    public var lastError: String?
    /// No figures.
    public init() {}
}
