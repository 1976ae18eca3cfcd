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
        public var message: String
        public var exitCode: ExitCode
    }

    /// Starts the daemon and waits for its report.
    /// - Parameters:
    ///   - arguments: of the child, without the program's name; they make it run in the foreground.
    ///   - logPath: where its standard error goes; private.
    public static func start(_ arguments: [String], logPath: String) throws(MountFailure) -> Report {
        do throws(SystemError) {
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
            let text = try pipe.readToEnd()
            if let report = (try? JSONValue.parse(text)).flatMap(Report.init) { return report }
            let status = try Subprocess.wait(pid)
            return Report(message: "the daemon ended (status \(status)) before the mount answered; see \(logPath)", exitCode: .failed)
        } catch {
            throw MountFailure("\(error)")
        }
    }

    /// The child's side: tells the waiting command, once. Without one it does nothing.
    public static func report(_ message: String, _ exitCode: ExitCode) {
        guard Environment.value(variable) == String(descriptor) else { return }
        unsetenv(variable)
        let pipe = FileDescriptor(owning: descriptor)
        let text = JSONValue.object([
            ("message", .string(message)), ("exit_code", .integer(Int64(exitCode.rawValue))),
        ])
        try? pipe.append(text.serialized(.compact))
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
