internal import Glibc
internal import JSON
internal import Platform

/// A daemon in the background: the command starts itself again in a session of its own and returns when the mount
/// answers, or with the reason why it does not.
public enum Background {
    private static let variable = "SESSIONFS_READY_FD"
    private static let descriptor: Int32 = 3

    /// What the child told before the command returned.
    public struct Report: Sendable {
        /// For the user; empty when there is nothing to say.
        public var message: String
        /// What the command ends with.
        public var exitCode: ExitCode
    }

    /// Starts the daemon and waits for its report.
    /// - Parameters:
    ///   - arguments: of the child, without the program's name; they make it run in the foreground.
    ///   - logPath: where its standard error goes; private.
    ///   - progress: hears how far a first start has come.
    public static func start(
        _ arguments: [String], logPath: String, progress: (FirstLook) -> Void
    ) throws(MountFailure) -> Report {
        do throws(SystemError) {
            let (pid, pipe) = try launch(arguments, logPath)
            var pending: [UInt8] = []
            while true {
                let part = try pipe.readAvailable()
                if part.isEmpty { break }
                pending += part
                while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = Array(pending[..<end])
                    pending.removeFirst(end + 1)
                    guard let value = try? JSONValue.parse(line) else { continue }
                    if let report = Report(value) { return report }
                    if let look = FirstLook(value) { progress(look) }
                }
            }
            let status = try Subprocess.wait(pid)
            return Report(
                message: "the daemon ended (status \(status)) before the mount answered; see \(logPath)",
                exitCode: .failed)
        } catch {
            throw MountFailure("\(error)")
        }
    }

    private static func launch(_ arguments: [String], _ logPath: String) throws(SystemError) -> (Int32, Pipe) {
        try Files.makePrivateDirectory(Files.parentDirectory(logPath))
        if let status = try Files.status(logPath), status.size > 8 << 20 {
            try Files.rename(logPath, to: logPath + ".1")
        }
        let log = try FileDescriptor.open(logPath, [.write, .create, .append])
        let null = try FileDescriptor.open("/dev/null", .readWrite)
        let pipe = try Pipe.make()
        var options = Subprocess.Options()
        options.newSession = true
        options.descriptors = [(0, null.raw), (1, null.raw), (2, log.raw), (descriptor, pipe.writeEnd.raw)]
        options.environment = [(variable, String(descriptor))]
        let pid = try Subprocess.spawn("/proc/self/exe", ["sessionfs"] + arguments, options)
        pipe.closeWriteEnd()
        return (pid, pipe)
    }

    /// The child's side: tells the waiting command how far it is. Without one it does nothing.
    public static func report(_ look: FirstLook) {
        send(
            .object([
                ("step", .string(look.step)), ("completed", .integer(Int64(clamping: look.completed))),
                ("total", look.total.map { .integer(Int64(clamping: $0)) } ?? .null),
                ("milliseconds", .integer(Int64(look.seconds * 1000))),
            ]))
    }

    /// The child's side: ends the waiting command. Later reports go nowhere.
    public static func report(_ message: String, _ exitCode: ExitCode) {
        send(.object([("message", .string(message)), ("exit_code", .integer(Int64(exitCode.rawValue)))]))
        guard isChild else { return }
        unsetenv(variable)
        close(descriptor)
    }

    private static func send(_ value: JSONValue) {
        guard isChild else { return }
        let bytes = value.serialized(.compact) + [UInt8(ascii: "\n")]
        // A command that was interrupted has closed its end; the mount goes on all the same.
        _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    }

    /// Whether a command waits for this process's report.
    public static var isChild: Bool { Environment.value(variable) == String(descriptor) }
}

extension Background.Report {
    fileprivate init?(_ json: JSONValue) {
        guard let message = json["message"]?.string, let code = json["exit_code"]?.integer,
            let exitCode = ExitCode(rawValue: Int32(truncatingIfNeeded: code))
        else { return nil }
        self.init(message: message, exitCode: exitCode)
    }
}

extension FirstLook {
    fileprivate init?(_ json: JSONValue) {
        guard let step = json["step"]?.string, let completed = json["completed"]?.integer else { return nil }
        self.init(
            step: step, completed: UInt64(clamping: completed),
            total: json["total"]?.integer.map { UInt64(clamping: $0) },
            seconds: Double(json["milliseconds"]?.integer ?? 0) / 1000)
    }
}
