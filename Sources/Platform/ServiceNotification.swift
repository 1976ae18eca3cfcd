internal import CSystem
internal import Glibc

/// Messages to the service manager (sd_notify(3)): readiness, status, stopping. Without `NOTIFY_SOCKET` they go
/// nowhere.
public enum ServiceNotification {
    /// Says that the service is up, with a line for `systemctl status`.
    public static func ready(_ status: String) { send("READY=1\nSTATUS=\(status)\nMAINPID=\(getpid())") }
    /// Says that the service has begun to stop.
    public static func stopping(_ status: String) { send("STOPPING=1\nSTATUS=\(status)") }

    private static func send(_ message: String) {
        guard let path = Environment.value("NOTIFY_SOCKET") else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path), let first = bytes.first else { return }
        // A leading @ stands for the NUL of an abstract socket.
        if first == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
                Array(message.utf8).withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, target, length) }
            }
        }
    }
}
