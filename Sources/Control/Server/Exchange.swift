internal import CMicroHTTPD
internal import JSON
internal import Platform

/// One request and its answer: gathers the body, hands the request to the handler in a task, and keeps the connection
/// suspended until the answer is there.
final class Exchange: Sendable {
    /// Largest accepted body in bytes.
    static let bodyLimit = 1 << 20

    private enum Phase {
        case receiving([UInt8])
        /// Answered once the body has been read away.
        case refused(ControlProblem)
        case waiting(SuspendedConnection)
        case ready(ControlResponse)
        case answered
        case aborted
    }

    /// What the server's thread does next.
    enum Step {
        case wait
        case answer(ControlResponse)
        case hangUp
    }

    let method: String
    let path: String
    private let phase = Guarded(Phase.receiving([]))
    /// Lines of a streamed answer.
    let lines = LineWriter()

    init(method: String, path: String) {
        self.method = method
        self.path = path
    }

    /// Takes a piece of the body.
    func receive(_ bytes: UnsafeRawBufferPointer) {
        phase.withLock { phase in
            guard case .receiving(var body) = phase else { return }
            if body.count + bytes.count > Self.bodyLimit {
                phase = .refused(
                    ControlProblem(
                        status: 413, code: "too_large",
                        message: "the request's body exceeds \(Self.bodyLimit) bytes"))
            } else {
                phase = .aborted  // gives up its reference, so that the append does not copy
                body.append(contentsOf: bytes)
                phase = .receiving(body)
            }
        }
    }

    /// Settles the answer before the handler is asked.
    func refuse(_ problem: ControlProblem) { phase.withLock { $0 = .refused(problem) } }

    /// Called when the body is whole, and again after a resume.
    func proceed(
        _ connection: OpaquePointer, query: [(name: String, value: String)],
        handler: @escaping @Sendable (ControlRequest) async -> ControlResponse
    ) -> Step {
        let connection = SuspendedConnection(connection)
        let (step, body) = phase.withLock { phase -> (Step, [UInt8]?) in
            switch phase {
            case .receiving(let body):
                phase = .waiting(connection.suspend())
                return (.wait, body)
            case .refused(let problem):
                phase = .answered
                return (.answer(.problem(problem)), nil)
            case .ready(let response):
                phase = .answered
                return (.answer(response), nil)
            case .waiting: return (.wait, nil)
            case .answered, .aborted: return (.hangUp, nil)
            }
        }
        if let body { dispatch(body, query, handler) }
        return step
    }

    /// Lets the connection go without an answer; used when the server stops or the client has gone.
    func abort() {
        phase.withLock { phase in
            if case .waiting(let connection) = phase { connection.resume() }
            phase = .aborted
        }
        lines.close()
    }

    private func dispatch(
        _ body: [UInt8], _ query: [(name: String, value: String)],
        _ handler: @escaping @Sendable (ControlRequest) async -> ControlResponse
    ) {
        var request = ControlRequest(method: method, path: path, query: query)
        if !body.isEmpty {
            do throws(JSONError) {
                request.body = try JSONValue.parse(body)
            } catch {
                return answer(.problem(.badRequest("the body is no JSON: \(error)")))
            }
        }
        Task { [request] in answer(await handler(request)) }
    }

    private func answer(_ response: ControlResponse) {
        phase.withLock { phase in
            guard case .waiting(let connection) = phase else { return }
            phase = .ready(response)
            connection.resume()
        }
    }
}
