internal import Glibc

/// Signals as events on a thread of its own, instead of handlers that may call almost nothing.
public enum Signals {
    /// The signals that ask a daemon to stop.
    public static let termination: [Int32] = [SIGTERM, SIGINT, SIGHUP]

    /// Keeps signals for ``wait(for:)``. Call it before the first thread starts: threads inherit the mask.
    public static func block(_ signals: [Int32]) {
        var set = mask(signals)
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Lets a write to a closed pipe or socket fail with EPIPE instead of ending the process.
    public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// Waits for one of the blocked signals (sigwait(3)).
    public static func wait(for signals: [Int32]) -> Int32 {
        var set = mask(signals)
        var received: Int32 = 0
        while sigwait(&set, &received) != 0 {}
        return received
    }

    /// Sends a signal to a thread-independent target: this process. Used to wake ``wait(for:)``.
    public static func raise(_ signal: Int32) { kill(getpid(), signal) }

    /// The signal's name, for the log.
    public static func name(_ signal: Int32) -> String {
        switch signal {
        case SIGTERM: "SIGTERM"
        case SIGINT: "SIGINT"
        case SIGHUP: "SIGHUP"
        default: "signal \(signal)"
        }
    }

    private static func mask(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        signals.forEach { sigaddset(&set, $0) }
        return set
    }
}
