internal import CMicroHTTPD
public import JSON
internal import Platform

/// The writing end of a streamed response. Any thread may write.
public final class LineWriter: Sendable {
    private struct State {
        var pending: [UInt8] = []
        var ended = false
        /// The client has gone, or the server stops.
        var closed = false
        /// Set while the connection waits for bytes.
        var suspended: SuspendedConnection?
    }

    private let state = Guarded(State())
    /// A client that does not read while this much waits for it is taken for gone.
    private static let limit = 1 << 20

    init() {}

    /// Sends one value as one line.
    /// - Returns: false when nobody reads any more; the work itself need not stop for that.
    @discardableResult
    public func write(_ value: JSONValue) -> Bool {
        var line = value.serialized(.compact)
        line.append(UInt8(ascii: "\n"))
        return state.withLock { state in
            guard !state.closed, !state.ended else { return false }
            guard state.pending.count + line.count <= Self.limit else {
                close(&state)
                return false
            }
            state.pending.append(contentsOf: line)
            wake(&state)
            return true
        }
    }

    /// Whether somebody still reads.
    public var isOpen: Bool { state.withLock { !$0.closed && !$0.ended } }

    /// Ends the response after what is pending.
    func finish() {
        state.withLock { state in
            state.ended = true
            wake(&state)
        }
    }

    /// Ends the response at once: the reader has gone, or must go.
    func close() { state.withLock { close(&$0) } }

    /// Copies pending bytes for libmicrohttpd, on its thread. With nothing pending the connection is suspended, under
    /// the lock, so that a writer cannot miss it.
    func read(into buffer: UnsafeMutableRawBufferPointer, for connection: OpaquePointer) -> Int {
        let connection = SuspendedConnection(connection)
        return state.withLock { state in
            if state.closed { return Int(sfs_mhd_end_with_error) }
            if state.pending.isEmpty {
                if state.ended { return Int(sfs_mhd_end_of_stream) }
                state.suspended = connection.suspend()
                return 0
            }
            let count = min(buffer.count, state.pending.count)
            state.pending.withUnsafeBytes { pending in
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: pending.prefix(count)))
            }
            state.pending.removeFirst(count)
            return count
        }
    }

    private func close(_ state: inout State) {
        state.closed = true
        state.pending = []
        wake(&state)
    }

    private func wake(_ state: inout State) {
        state.suspended?.resume()
        state.suspended = nil
    }
}
