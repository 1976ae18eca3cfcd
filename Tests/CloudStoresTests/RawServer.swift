import Foundation
import Platform

/// A TCP server on 127.0.0.1 that plays a script on each connection, right or wrong HTTP alike.
final class RawServer: Sendable {
    /// What it does on a connection, in order. At the end of its script it closes the connection.
    enum Step: Sendable {
        /// Reads one request with its body.
        case request
        case send([UInt8])
        /// Waits until so many requests have come on all connections.
        case await(requests: Int)
        /// Ends the connection with RST.
        case reset
        /// Says nothing more until the client goes.
        case stall
        /// Goes on from the script's beginning.
        case again

        /// A whole response.
        static func answer(_ status: String, _ headers: [String] = [], body: [UInt8] = []) -> Step {
            head(status, headers + ["Content-Length: \(body.count)"], body)
        }

        /// A response with exactly these headers.
        static func head(_ status: String, _ headers: [String], _ body: [UInt8] = []) -> Step {
            let lines = (["HTTP/1.1 \(status)"] + headers).joined(separator: "\r\n")
            return .send(Array((lines + "\r\n\r\n").utf8) + body)
        }
    }

    /// A request as it came.
    struct Request: Sendable {
        let head: String
        let body: [UInt8]

        /// `GET /path HTTP/1.1`.
        var line: String { head.components(separatedBy: "\r\n")[0] }

        func header(_ name: String) -> String? {
            for line in head.components(separatedBy: "\r\n").dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.first?.lowercased() == name.lowercased() {
                    return parts.count == 2 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
                }
            }
            return nil
        }
    }

    let port: Int
    private let listener: Int32
    private let seen = Guarded<(requests: [Request], connections: Int, open: Int, mostOpen: Int)>(([], 0, 0, 0))

    /// - Parameter scripts: for the first connection, the second, …; the last one serves all that follow.
    init(_ scripts: [Step]...) throws {
        let socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw SystemError.current("socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(socket, generic, length) == 0 && listen(socket, 256) == 0
                    && getsockname(socket, generic, &length) == 0
            }
        }
        guard bound else { throw SystemError.current("bind") }
        port = Int(UInt16(bigEndian: address.sin_port))
        listener = socket
        let seen = self.seen
        WorkerThread(name: "raw-server") {
            var count = 0
            while true {
                let connection = accept(socket, nil, nil)
                guard connection >= 0 else { break }
                // A child of another test may not keep it open.
                _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
                let script = scripts[min(count, scripts.count - 1)]
                count += 1
                seen.withLock {
                    $0.connections += 1
                    $0.open += 1
                    $0.mostOpen = max($0.mostOpen, $0.open)
                }
                WorkerThread(name: "raw-connection") {
                    RawServer.play(script, connection, seen)
                    // Counted before the client can see the end and come again.
                    seen.withLock { $0.open -= 1 }
                    close(connection)
                }.detach()
            }
            close(socket)
        }.detach()
    }

    deinit { shutdown(listener, Int32(SHUT_RDWR)) }

    var url: String { "http://127.0.0.1:\(port)" }
    var requests: [Request] { seen.withLock { $0.requests } }
    var connections: Int { seen.withLock { $0.connections } }
    var mostOpen: Int { seen.withLock { $0.mostOpen } }

    /// Waits until so many requests have come; a test's time limit ends what never comes.
    func wait(requests count: Int) async {
        while requests.count < count { try? await Task.sleep(for: .milliseconds(2)) }
    }

    private typealias Seen = Guarded<(requests: [Request], connections: Int, open: Int, mostOpen: Int)>

    private static func play(_ script: [Step], _ connection: Int32, _ seen: Seen) {
        var index = 0
        while index < script.count {
            switch script[index] {
            case .request:
                guard let request = read(connection) else { return }
                seen.withLock { $0.requests.append(request) }
            case .send(let bytes): guard write(bytes, connection) else { return }
            case .await(let count): while seen.withLock({ $0.requests.count }) < count { usleep(1000) }
            case .reset:
                var option = linger(l_onoff: 1, l_linger: 0)
                setsockopt(connection, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
                return
            case .stall:
                var byte: UInt8 = 0
                while recv(connection, &byte, 1, 0) > 0 {}
                return
            case .again:
                index = 0
                continue
            }
            index += 1
        }
    }

    private static func write(_ bytes: [UInt8], _ connection: Int32) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(connection, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private static func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let end = Data("\r\n\r\n".utf8)
        var headEnd: Int?
        var wanted = Int.max
        while bytes.count < wanted {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            bytes += buffer[..<count]
            if headEnd == nil, let found = Data(bytes).range(of: end) {
                headEnd = found.lowerBound
                let request = Request(head: String(decoding: bytes[..<found.lowerBound], as: UTF8.self), body: [])
                wanted = found.upperBound + (request.header("content-length").flatMap { Int($0) } ?? 0)
            }
        }
        guard let headEnd else { return nil }
        return Request(
            head: String(decoding: bytes[..<headEnd], as: UTF8.self), body: Array(bytes[(headEnd + 4)..<wanted]))
    }
}
