internal import Glibc

/// Steps of the write path at which tests kill the process (`kill -9`), to prove that nothing is lost. Debug builds only:
/// a release build holds nothing of this.
///
/// `SESSIONFS_KILL_AT=name:n` kills the process when the step is reached for the n-th time, counted from 1.
/// `SESSIONFS_KILL_LOG=file` appends a line `name:n` for every step that is reached.
public enum FaultPoint {
    #if DEBUG
        private static let target = Environment.value("SESSIONFS_KILL_AT")
        private static let log = Environment.value("SESSIONFS_KILL_LOG")
        private static let counts = Guarded<[String: Int]>([:])
    #endif

    /// The step has been reached.
    @inline(__always)
    public static func reached(_ name: StaticString) {
        #if DEBUG
            if target == nil && log == nil { return }
            let text = name.description
            let count = counts.withLock { counts in
                counts[text, default: 0] += 1
                return counts[text] ?? 0
            }
            let step = "\(text):\(count)"
            if let log, let file = try? FileDescriptor.open(log, [.write, .create, .append]) {
                try? file.append(Array((step + "\n").utf8))
            }
            if step == target { kill(getpid(), SIGKILL) }
        #endif
    }

    /// A time in seconds that tests cannot wait for: a variable's, where it is set.
    public static func seconds(_ variable: String, usually: Double) -> Double {
        #if DEBUG
            if let wanted = Environment.value(variable).flatMap({ Double($0) }) { return wanted }
        #endif
        return usually
    }
}
