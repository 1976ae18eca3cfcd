internal import CMicroHTTPD
internal import Glibc
internal import JSON
internal import Platform

/// What the server's thread needs: the handler, and the exchanges that are not over.
final class Dispatcher: Sendable {
    private struct State {
        var exchanges: [ObjectIdentifier: Exchange] = [:]
        var stopping = false
    }
    private let state = Guarded(State())
    private let handler: ControlServer.Handler

    init(handler: @escaping ControlServer.Handler) { self.handler = handler }

    /// Whether an answer is under way.
    var isBusy: Bool { state.withLock { !$0.exchanges.isEmpty } }

    /// Lets go of every connection; later requests are hung up on.
    func abort() {
        let open = state.withLock { state in
            state.stopping = true
            return Array(state.exchanges.values)
        }
        for exchange in open { exchange.abort() }
    }

    /// A request's line and header have come.
    fileprivate func begin(_ connection: OpaquePointer, method: String, path: String?) -> Exchange? {
        let exchange = Exchange(method: method, path: path ?? "")
        let admitted = state.withLock { state in
            guard !state.stopping else { return false }
            state.exchanges[ObjectIdentifier(exchange)] = exchange
            return true
        }
        guard admitted else { return nil }
        guard PeerCredential.of(socket: sfs_mhd_descriptor(connection))?.isAdmitted == true else {
            exchange.refuse(
                ControlProblem(status: 403, code: "denied", message: "this socket belongs to another user"))
            return exchange
        }
        if path == nil { exchange.refuse(.badRequest("the path is not UTF-8")) }
        return exchange
    }

    fileprivate func end(_ exchange: Exchange) {
        state.withLock { _ = $0.exchanges.removeValue(forKey: ObjectIdentifier(exchange)) }
        exchange.abort()
    }

    fileprivate func proceed(_ connection: OpaquePointer, _ exchange: Exchange) -> MHD_Result {
        switch exchange.proceed(connection, query: query(of: connection), handler: handler) {
        case .wait: return .YES
        case .hangUp: return .NO
        case .answer(let response): return queue(response, for: exchange, on: connection)
        }
    }
}

/// libmicrohttpd's access handler: called when the header has come, for each piece of the body, when the body is whole,
/// and after a resume.
let accessHandler: MHD_AccessHandlerCallback = { context, connection, url, method, _, data, size, slot in
    guard let context, let connection, let url, let method, let size, let slot else { return .NO }
    let dispatcher = Unmanaged<Dispatcher>.fromOpaque(context).takeUnretainedValue()
    guard let held = slot.pointee else {
        let exchange = dispatcher.begin(
            connection, method: String(cString: method), path: String(validatingCString: url))
        guard let exchange else { return .NO }
        slot.pointee = Unmanaged.passRetained(exchange).toOpaque()
        return .YES
    }
    let exchange = Unmanaged<Exchange>.fromOpaque(held).takeUnretainedValue()
    if size.pointee > 0 {
        exchange.receive(UnsafeRawBufferPointer(start: data, count: size.pointee))
        size.pointee = 0
        return .YES
    }
    return dispatcher.proceed(connection, exchange)
}

/// libmicrohttpd's notice that a request is over, answered or not.
let requestCompleted: MHD_RequestCompletedCallback = { context, _, slot, _ in
    guard let context, let slot, let held = slot.pointee else { return }
    let exchange = Unmanaged<Exchange>.fromOpaque(held).takeRetainedValue()
    slot.pointee = nil
    Unmanaged<Dispatcher>.fromOpaque(context).takeUnretainedValue().end(exchange)
}

/// The query's parameters, decoded; those that are not UTF-8 are left out.
private func query(of connection: OpaquePointer) -> [(name: String, value: String)] {
    var found: [(name: String, value: String)] = []
    _ = withUnsafeMutablePointer(to: &found) { pointer in
        MHD_get_connection_values(
            connection, .GET_ARGUMENT_KIND,
            { context, _, key, value in
                guard let context, let key, let name = String(validatingCString: key) else { return .YES }
                let text = value.map { String(validatingCString: $0) } ?? ""
                guard let text else { return .YES }
                context.assumingMemoryBound(to: [(name: String, value: String)].self).pointee.append((name, text))
                return .YES
            }, UnsafeMutableRawPointer(pointer))
    }
    return found
}

/// Hands an answer to libmicrohttpd.
private func queue(_ answer: ControlResponse, for exchange: Exchange, on connection: OpaquePointer) -> MHD_Result {
    let response: OpaquePointer?
    let contentType: String
    switch answer.content {
    case .json(let value):
        response = bufferResponse(value.serialized(.compact) + [UInt8(ascii: "\n")])
        contentType = "application/json"
    case .bytes(let bytes, let type):
        response = bufferResponse(bytes)
        contentType = type
    case .lines(let produce):
        response = streamResponse(exchange.lines, connection)
        contentType = "application/x-ndjson"
        let lines = exchange.lines
        if response != nil {
            Task {
                await produce(lines)
                lines.finish()
            }
        }
    }
    guard let response else { return .NO }
    defer { MHD_destroy_response(response) }
    _ = MHD_add_response_header(response, "Content-Type", contentType)
    _ = MHD_add_response_header(response, "Cache-Control", "no-store")
    for (name, value) in answer.headers { _ = MHD_add_response_header(response, name, value) }
    return MHD_queue_response(connection, UInt32(clamping: answer.status), response)
}

private func bufferResponse(_ bytes: [UInt8]) -> OpaquePointer? {
    bytes.withUnsafeBytes { buffer in
        // With MUST_COPY the library only reads the buffer, and has done so when the call returns.
        MHD_create_response_from_buffer(
            buffer.count, UnsafeMutableRawPointer(mutating: buffer.baseAddress), .RESPMEM_MUST_COPY)
    }
}

/// The lines and the connection that reads them, for the content reader.
private final class StreamSource {
    let lines: LineWriter
    let connection: OpaquePointer
    init(_ lines: LineWriter, _ connection: OpaquePointer) {
        self.lines = lines
        self.connection = connection
    }
}

private func streamResponse(_ lines: LineWriter, _ connection: OpaquePointer) -> OpaquePointer? {
    let source = Unmanaged.passRetained(StreamSource(lines, connection))
    let response = MHD_create_response_from_callback(
        sfs_mhd_size_unknown, 2048,
        { context, _, buffer, limit in
            guard let context, let buffer else { return sfs_mhd_end_with_error }
            let source = Unmanaged<StreamSource>.fromOpaque(context).takeUnretainedValue()
            return source.lines.read(
                into: UnsafeMutableRawBufferPointer(start: buffer, count: limit), for: source.connection)
        }, source.toOpaque(),
        { context in
            if let context { Unmanaged<StreamSource>.fromOpaque(context).release() }
        })
    if response == nil { source.release() }
    return response
}
