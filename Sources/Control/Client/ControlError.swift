/// Why the control API gave no answer that a client can use.
public enum ControlError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Nobody listens on the socket: it is missing, or its daemon has died.
    case noDaemon(socket: String)
    /// The socket exists and may not be used by this user.
    case denied(socket: String)
    /// The daemon did not answer in time.
    case timedOut(socket: String)
    /// The connection broke, or could not be made for another reason.
    case connection(socket: String, message: String)
    /// The daemon answered with a problem.
    case problem(ControlProblem)
    /// The daemon answered with something else than the API promises.
    case malformed(String)

    /// The reason in words.
    public var description: String {
        switch self {
        case .noDaemon(let socket): "no daemon answers on \(socket)"
        case .denied(let socket): "not allowed to use \(socket)"
        case .timedOut(let socket): "the daemon on \(socket) does not answer"
        case .connection(let socket, let message): "\(socket): \(message)"
        case .problem(let problem): problem.description
        case .malformed(let message): "the daemon's answer cannot be understood: \(message)"
        }
    }
}
