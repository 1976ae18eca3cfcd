internal import CSystem
internal import Glibc

/// A system call that failed: which one, on what, and the errno it left.
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The errno value, for example `ENOENT`.
    public let code: Int32
    /// The call that failed, for example `open`.
    public let operation: String
    /// The path or object that it worked on; empty when there is none.
    public let subject: String

    /// Records a failure that is already known by its errno.
    public init(code: Int32, operation: String, subject: String = "") {
        self.code = code
        self.operation = operation
        self.subject = subject
    }

    /// Captures the calling thread's errno. Call it before anything else can change errno.
    public static func current(_ operation: String, _ subject: String = "") -> SystemError {
        SystemError(code: sfs_errno(), operation: operation, subject: subject)
    }

    /// `open /x: No such file or directory`.
    public var description: String {
        let reason = SystemError.message(for: code)
        return subject.isEmpty ? "\(operation): \(reason)" : "\(operation) \(subject): \(reason)"
    }

    /// Whether the process or the machine has run out of descriptors or memory, which passes.
    public var isShortage: Bool { code == EMFILE || code == ENFILE || code == ENOMEM }

    /// The C library's text for an errno value.
    public static func message(for code: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress, strerror_r_gnu(code, base, buffer.count) else {
                return "error \(code)"
            }
            return String(cString: base)
        }
    }

    private static func strerror_r_gnu(_ code: Int32, _ base: UnsafeMutablePointer<CChar>, _ count: Int) -> Bool {
        sfs_strerror(code, base, count) == 0
    }
}

/// Repeats a call while a signal interrupts it.
/// - Returns: the call's result when it is not -1.
/// - Throws: `SystemError` with the errno of the call.
@discardableResult
func retryingInterrupts<Result: FixedWidthInteger>(
    _ operation: String, _ subject: @autoclosure () -> String, _ call: () -> Result
) throws(SystemError) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        let code = sfs_errno()
        if code != EINTR { throw SystemError(code: code, operation: operation, subject: subject()) }
    }
}
