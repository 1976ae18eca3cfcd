/// What happens to the cache when a mount ends. The catalog stays unless it is purged.
public enum UnmountPolicy: String, Sendable, CaseIterable {
    /// Bodies and catalog stay.
    case keep
    /// Bodies go unless pinned; the catalog stays, so that the next start is instant. The default.
    case clean
    /// Everything in the cache goes.
    case purge
}

/// How much a refresh looks at.
public enum RefreshMode: String, Sendable, CaseIterable {
    /// One conditional request for the overall file.
    case poll
    /// Also a listing of what is newer than the newest known session.
    case tail
    /// Also a whole listing: finds everything that came or went.
    case full
}

/// Where the daemon stands.
public enum DaemonPhase: String, Sendable, CaseIterable {
    /// Not mounted yet.
    case starting
    /// The mount answers.
    case ready
    /// Unmounting: what is pending is being sent.
    case draining
    /// Unmounted, about to end.
    case stopped
}
