internal import Glibc
internal import Platform

/// A process that a reused pid cannot be taken for: the pid with the time at which it began.
struct ProcessIdentity: Sendable, Equatable {
    let pid: Int32
    /// Clock ticks from boot to its start (proc(5), field 22 of `stat`).
    let startTicks: UInt64

    /// The calling process.
    static var current: ProcessIdentity? { of(getpid()) }

    /// A living process by its pid; nil when there is none, or only its remains (a zombie).
    static func of(_ pid: Int32) -> ProcessIdentity? {
        guard pid > 0, let bytes = try? Files.read("/proc/\(pid)/stat") else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        // `pid (command) state …`: the command may hold spaces and parentheses itself.
        guard let close = text.utf8.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = text[text.utf8.index(after: close)...].split(separator: " ")
        guard fields.count > 19, let ticks = UInt64(fields[19]), fields[0] != "Z", fields[0] != "X" else { return nil }
        return ProcessIdentity(pid: pid, startTicks: ticks)
    }

    /// The command's name, at most 15 bytes; empty when it cannot be read.
    static func command(of pid: Int32) -> String {
        guard pid > 0, let bytes = try? Files.read("/proc/\(pid)/comm") else { return "" }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// Whether this very process still lives.
    var isAlive: Bool { ProcessIdentity.of(pid) == self }
}
