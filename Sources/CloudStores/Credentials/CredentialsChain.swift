public import ObjectStore
internal import Platform

/// Looks in one place after the other, keeps what it found, and gets it anew from the same place before it expires.
///
/// However many requests ask, one of them looks. When a renewal fails while the old credentials still hold, those are
/// used on and the renewal is tried again a minute later.
public final class CredentialsChain: CredentialsProvider {
    private let sources: [any CredentialsSource]
    private let now: @Sendable () -> Timestamp
    private let state = Guarded(State())

    private struct State: Sendable {
        var credentials: AWSCredentials?
        var description = "none found yet"
        /// The place that had them.
        var chosen: Int?
        /// Not before: nil = never.
        var refreshAt: Timestamp?
        var lookup: Task<Result<AWSCredentials, StoreError>, Never>?
        /// When a refusal last led to a look.
        var refusedAt: Timestamp?
    }

    private enum Step: Sendable {
        case use(AWSCredentials)
        case wait(Task<Result<AWSCredentials, StoreError>, Never>)
    }

    init(_ sources: [any CredentialsSource], now: @escaping @Sendable () -> Timestamp = { .now }) {
        self.sources = sources
        self.now = now
    }

    /// The order of AWS's own tools: what the caller has, the environment, the profile, container metadata, instance
    /// metadata. A profile that is named by an argument comes before the environment, and then only the profile's
    /// absence of any keys leads on to metadata.
    /// - Parameters:
    ///   - profile: the profile that an argument names; nil takes `AWS_PROFILE`, else `default`.
    ///   - explicit: credentials that the caller has: nothing else is looked at then.
    ///   - explicitSource: where the caller has them from, in words.
    ///   - anonymous: requests without a signature, whatever there is.
    ///   - http: reaches the metadata services.
    public static func standard(
        profile: String? = nil, explicit: AWSCredentials? = nil, explicitSource: String = "the configuration",
        anonymous: Bool = false, http: HTTPClient, environment: AWSEnvironment = .process
    ) -> any CredentialsProvider {
        if anonymous { return StaticCredentials.anonymous }
        if let explicit { return StaticCredentials(explicit, source: explicitSource) }
        let service = MetadataService(http: http)
        var sources: [any CredentialsSource] = [
            ProfileCredentials(name: profile, environment: environment),
            WebIdentityNotice(environment: environment),
            ContainerCredentials(environment: environment, service: service),
            InstanceCredentials(environment: environment, service: service),
        ]
        if profile == nil { sources.insert(EnvironmentCredentials(environment: environment), at: 0) }
        return CredentialsChain(sources)
    }

    /// Where the credentials come from, in words; `none found yet` before the first success.
    public var source: String { state.withLock { $0.description } }

    /// Credentials that hold now, from memory unless they have to be looked for.
    /// - Throws: `.unauthenticated` when they are nowhere, naming every place; the place's own error when it is
    ///   configured and does not give them.
    public func credentials() async throws(StoreError) -> AWSCredentials? {
        let time = now()
        let step: Step = state.withLock { state in
            if let credentials = state.credentials, state.refreshAt.map({ time < $0 }) ?? true {
                return .use(credentials)
            }
            if let running = state.lookup { return .wait(running) }
            let chosen = state.chosen
            let task = Task { await self.renew(from: chosen) }
            state.lookup = task
            return .wait(task)
        }
        switch step {
        case .use(let credentials): return credentials
        case .wait(let lookup): return try await lookup.value.get()
        }
    }

    /// See ``CredentialsProvider/renewed(afterRefusalOf:)``. Looks at most every ten seconds, however many requests are
    /// refused.
    public func renewed(afterRefusalOf refused: AWSCredentials) async -> AWSCredentials? {
        let time = now()
        let lookup: Task<Result<AWSCredentials, StoreError>, Never>? = state.withLock { state in
            // Another request's refusal has brought others meanwhile.
            if let held = state.credentials, !held.areSame(as: refused) { return Task { .success(held) } }
            if let running = state.lookup { return running }
            if let last = state.refusedAt, time < last.advanced(seconds: 10) { return nil }
            state.refusedAt = time
            let chosen = state.chosen
            let task = Task { await self.renew(from: chosen) }
            state.lookup = task
            return task
        }
        guard let lookup, case .success(let found) = await lookup.value, !found.areSame(as: refused)
        else { return nil }
        return found
    }

    private func renew(from chosen: Int?) async -> Result<AWSCredentials, StoreError> {
        let result: Result<(AWSCredentials, String, Int), StoreError>
        do throws(StoreError) { result = .success(try await look(in: chosen)) } catch { result = .failure(error) }
        let time = now()
        return state.withLock { state in
            state.lookup = nil
            switch result {
            case .success(let (credentials, description, place)):
                state.credentials = credentials
                state.description = description
                state.chosen = place
                state.refreshAt = Self.refreshTime(of: credentials, from: time)
                return .success(credentials)
            case .failure(let error):
                guard let old = state.credentials, old.expiration.map({ time < $0 }) ?? true else {
                    return .failure(error)
                }
                let retry = time.advanced(seconds: 60)
                state.refreshAt = old.expiration.map { min($0, retry) } ?? retry
                return .success(old)
            }
        }
    }

    /// Five minutes before they expire; halfway for those that live shorter. Temporary ones that do not say when they
    /// expire are in a file that some tool rewrites: they are read again every five minutes. Nil = never.
    private static func refreshTime(of credentials: AWSCredentials, from time: Timestamp) -> Timestamp? {
        guard let end = credentials.expiration else {
            return credentials.sessionToken == nil ? nil : time.advanced(seconds: 300)
        }
        let half = time.later(by: end.seconds(since: time) / 2)
        return max(half, end.advanced(seconds: -300))
    }

    private func look(in chosen: Int?) async throws(StoreError) -> (AWSCredentials, String, Int) {
        var absent: [String] = []
        for place in chosen.map({ [$0] }) ?? Array(sources.indices) {
            switch try await sources[place].load() {
            case .found(let credentials, let source):
                if let end = credentials.expiration, end <= now() {
                    throw .missingCredentials("credentials from \(source) expired at \(end.iso8601)")
                }
                return (credentials, source, place)
            case .absent(let what): absent.append(what)
            }
        }
        throw .missingCredentials("no credentials found: " + absent.joined(separator: "; "))
    }
}

extension Timestamp {
    fileprivate func advanced(seconds: Int64) -> Timestamp {
        later(by: Double(seconds))
    }
}
