internal import Glibc
internal import ObjectStore
internal import Platform

/// Runs a program that prints credentials
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>).
enum CredentialProcess {
    /// What the program printed.
    /// - Parameters:
    ///   - command: program and arguments, double quotes around what holds spaces; no shell reads it.
    ///   - place: whose command it is, for the error. Arguments are not named there: they may hold a secret.
    ///   - timeout: seconds until the program and all it started are killed.
    /// - Throws: `.unauthenticated` when it cannot be started, fails or takes too long. Its standard error is this
    ///   process's, so that it can speak for itself.
    static func run(_ command: String, place: String, timeout: Double) async throws(StoreError) -> [UInt8] {
        let words = words(command)
        guard let program = words.first else { throw .missingCredentials("\(place) is empty") }
        let result: Result<[UInt8], StoreError> = await withCheckedContinuation { continuation in
            // Waiting for a child blocks a thread.
            WorkerThread(name: "credentials") {
                do throws(StoreError) {
                    continuation.resume(returning: .success(try wait(program, words, place, timeout)))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }.detach()
        }
        return try result.get()
    }

    private static func wait(
        _ program: String, _ words: [String], _ place: String, _ timeout: Double
    ) throws(StoreError) -> [UInt8] {
        let child: Child
        let output: [UInt8]
        let code: Int32
        do throws(SystemError) {
            let pipe = try Pipe.make()
            var options = Subprocess.Options()
            options.newSession = true
            options.descriptors = [(child: 1, parent: pipe.writeEnd.raw)]
            let running = Child(try Subprocess.spawn(program, words, options))
            child = running
            pipe.closeWriteEnd()
            let watchdog = Task {
                try? await Task.sleep(for: .seconds(timeout))
                if !Task.isCancelled { running.kill() }
            }
            defer { watchdog.cancel() }
            output = try pipe.readToEnd()
            code = try child.reap()
        } catch {
            throw .missingCredentials("\(place): \(error)")
        }
        if child.wasKilled { throw .missingCredentials("\(place) did not end within \(Int(timeout)) s") }
        guard code == 0 else { throw .missingCredentials("\(place) failed with exit code \(code)") }
        return output
    }

    /// A child that is killed by one thread and reaped by another, in an order that never hits a stranger's process.
    private final class Child: Sendable {
        private let pid: Int32
        private let state = Guarded((ended: false, killed: false))

        init(_ pid: Int32) { self.pid = pid }

        func kill() {
            state.withLock { state in
                guard !state.ended else { return }
                state.killed = true
                // The whole session: what the program started may hold the pipe open.
                _ = Glibc.kill(-pid, SIGKILL)
            }
        }

        func reap() throws(SystemError) -> Int32 {
            // Waits without reaping: until then the number cannot be given to another process.
            var info = siginfo_t()
            while waitid(P_PID, id_t(pid), &info, WEXITED | WNOWAIT) == -1, errno == EINTR {}
            state.withLock { $0.ended = true }
            return try Subprocess.wait(pid)
        }

        var wasKilled: Bool { state.withLock { $0.killed } }
    }

    /// Words of a command: white space separates, double and single quotes hold together, a backslash takes the next
    /// character as it is, except in single quotes.
    static func words(_ command: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var escaped = false
        for character in command {
            if escaped {
                word = (word ?? "") + String(character)
                escaped = false
            } else if character == "\\", quote != "'" {
                escaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let word { words.append(word) }
        return words
    }
}
