internal import CSystem
internal import Glibc

/// Child processes by posix_spawn(3); forking by hand is not safe in a process that has threads.
public enum Subprocess {
    /// How a child begins.
    public struct Options: Sendable {
        /// A session of its own, so that it outlives the terminal.
        public var newSession = false
        /// The child's descriptors and what they are in this process. Others are closed at exec.
        public var descriptors: [(child: Int32, parent: Int32)] = []
        /// Variables on top of this process's environment.
        public var environment: [(String, String)] = []
        /// Makes the value from its parts.
        public init() {}
    }

    /// Starts a program.
    /// - Parameters:
    ///   - program: a path, or a name that is looked up in `PATH`.
    ///   - arguments: with the program's own name first.
    /// - Returns: the child's process id. The caller waits for it.
    /// - Throws: `SystemError`, for example with `ENOENT`.
    public static func spawn(
        _ program: String, _ arguments: [String], _ options: Options = Options()
    ) throws(SystemError) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (child, parent) in options.descriptors { posix_spawn_file_actions_adddup2(&actions, parent, child) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Signals blocked for sigwait must not stay blocked in the child.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | (options.newSession ? Int16(sfs_spawn_setsid()) : 0))
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var envp = inheritedEnvironment(adding: options.environment)
        defer {
            argv.forEach { free($0) }
            envp.forEach { free($0) }
        }
        var pid = pid_t()
        let result = posix_spawnp(&pid, program, &actions, &attributes, &argv, &envp)
        guard result == 0 else { throw SystemError(code: result, operation: "start", subject: program) }
        return pid
    }

    /// Waits for a child's end.
    /// - Returns: its exit code, or 128 plus the signal that killed it.
    public static func wait(_ pid: Int32) throws(SystemError) -> Int32 {
        var status: Int32 = 0
        try retryingInterrupts("waitpid", String(pid)) { waitpid(pid, &status, 0) }
        return sfs_wifexited(status) != 0 ? sfs_wexitstatus(status) : 128 + sfs_wtermsig(status)
    }

    /// Runs a program to its end.
    /// - Returns: as ``wait(_:)``.
    public static func run(_ program: String, _ arguments: [String]) throws(SystemError) -> Int32 {
        try wait(try spawn(program, arguments))
    }

    private static func inheritedEnvironment(
        adding: [(String, String)]
    ) -> [UnsafeMutablePointer<CChar>?] {
        var lines: [String] = []
        var entry = sfs_environ()
        while let found = entry?.pointee {
            lines.append(String(cString: found))
            entry = entry?.advanced(by: 1)
        }
        for (name, value) in adding {
            lines.removeAll { $0.hasPrefix(name + "=") }
            lines.append("\(name)=\(value)")
        }
        return lines.map { strdup($0) } + [nil]
    }
}
