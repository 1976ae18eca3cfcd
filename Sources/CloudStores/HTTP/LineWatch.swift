internal import CCurl
internal import Glibc
internal import ObjectStore
internal import Platform

/// The connections of an engine, and whether bytes move on them. For the engine's thread alone.
///
/// What curl takes off a body only fills the system's buffers, on a dead line too. So the system is asked how much the
/// other end has confirmed.
final class LineWatch {
    private struct Bytes {
        var confirmed: UInt64 = 0
        var received: UInt64 = 0
    }

    /// So many confirmed bytes are more than small requests are, which a server may take and never answer.
    private static let step: UInt64 = 16 << 10
    /// Seconds between two looks.
    private static let pause = 0.25

    private let activity: LineActivity
    private var sockets: [Int32: Bytes] = [:]
    private var lastLook = Timestamp.monotonic

    init(_ activity: LineActivity) { self.activity = activity }

    /// Hears of the connections that a handle makes. The engine holds the watch until all are closed.
    func attach(to easy: UnsafeMutableRawPointer) {
        sfs_curl_set_close(easy, socketClosed)
        sfs_curl_set_pointer(easy, CURLOPT_CLOSESOCKETDATA, Unmanaged.passUnretained(self).toOpaque())
    }

    func opened(_ socket: Int32) { sockets[socket] = Bytes() }
    fileprivate func closed(_ socket: Int32) { sockets[socket] = nil }

    /// Tells when bytes have moved since the last look.
    func look() {
        let now = Timestamp.monotonic
        guard now.seconds(since: lastLook) >= Self.pause else { return }
        lastLook = now
        var hasMoved = false
        for (socket, before) in sockets {
            guard let bytes = Self.bytes(socket) else { continue }
            if bytes.received == before.received, bytes.confirmed < before.confirmed + Self.step { continue }
            hasMoved = true
            sockets[socket] = bytes
        }
        if hasMoved { activity.moved() }
    }

    /// `struct tcp_info` of Linux, of which this libc's header knows only the beginning (linux/tcp.h).
    private static func bytes(_ socket: Int32) -> Bytes? {
        let (confirmed, received, size) = (120, 128, 136)
        return withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { info in
            var length = socklen_t(size)
            guard getsockopt(socket, Int32(IPPROTO_TCP), TCP_INFO, info.baseAddress, &length) == 0,
                length >= socklen_t(size)
            else { return nil }
            return Bytes(
                confirmed: info.load(fromByteOffset: confirmed, as: UInt64.self),
                received: info.load(fromByteOffset: received, as: UInt64.self))
        }
    }
}

private func socketClosed(_ context: UnsafeMutableRawPointer?, _ socket: Int32) -> Int32 {
    if let context { Unmanaged<LineWatch>.fromOpaque(context).takeUnretainedValue().closed(socket) }
    return close(socket)
}
