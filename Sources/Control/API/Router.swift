internal import JSON

/// Finds a request's handler by method and path.
struct Router: Sendable {
    /// Answers a request; `captures` are the path's parts that the pattern names with `{…}`.
    typealias Action =
        @Sendable (_ request: ControlRequest, _ captures: [String]) async throws(ControlProblem) ->
        ControlResponse

    private struct Route: Sendable {
        let method: String
        let pattern: [String]
        let action: Action
    }
    private var routes: [Route] = []

    /// Adds a route. A part such as `{id}` of the pattern takes any one part of the path.
    mutating func add(_ method: String, _ pattern: String, _ action: @escaping Action) {
        routes.append(Route(method: method, pattern: Self.parts(pattern), action: action))
    }

    /// Answers, with a problem where no route fits (404) or none with this method (405).
    func respond(_ request: ControlRequest) async -> ControlResponse {
        let path = Self.parts(request.path)
        let fitting = routes.compactMap { route in Self.match(route.pattern, path).map { (route, $0) } }
        guard !fitting.isEmpty else { return .problem(.notFound("no such path: \(request.path)")) }
        guard let (route, captures) = fitting.first(where: { $0.0.method == request.method }) else {
            let allowed = fitting.map { $0.0.method }.joined(separator: ", ")
            let problem = ControlProblem(
                status: 405, code: "method_not_allowed", message: "\(request.path) takes \(allowed)")
            return ControlResponse(
                status: 405, headers: [(name: "Allow", value: allowed)], content: .json(problem.json))
        }
        do throws(ControlProblem) {
            return try await route.action(request, captures)
        } catch {
            return .problem(error)
        }
    }

    private static func parts(_ path: String) -> [String] {
        path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
    }

    private static func match(_ pattern: [String], _ path: [String]) -> [String]? {
        guard pattern.count == path.count else { return nil }
        var captures: [String] = []
        for (want, have) in zip(pattern, path) {
            if want.hasPrefix("{") { captures.append(have) } else if want != have { return nil }
        }
        return captures
    }
}
