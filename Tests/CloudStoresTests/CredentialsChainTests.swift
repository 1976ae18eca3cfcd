import Foundation
import ObjectStore
import Platform
import Synchronization
import TestSupport
import Testing

@testable import CloudStores

@Suite("Credentials: the chain", .timeLimit(.minutes(2)))
struct CredentialsChainTests {
    let http = HTTPClient()
    static let keys = "aws_access_key_id = FILEID\naws_secret_access_key = s3cr3t-file\n"

    private func chain(
        _ home: AWSHome, _ variables: [String: String] = [:], profile: String? = nil
    ) -> any CredentialsProvider {
        CredentialsChain.standard(profile: profile, http: http, environment: home.environment(variables))
    }

    @Test("explicit credentials come before everything, anonymous access before those")
    func explicit() async throws {
        let home = try AWSHome(credentials: "[default]\n" + Self.keys)
        let environment = home.environment(["AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "s3cr3t-e"])
        let given = AWSCredentials(accessKeyID: Secret("X"), secretAccessKey: Secret("s3cr3t-x"))
        let explicit = CredentialsChain.standard(
            explicit: given, explicitSource: "config.ini", http: http, environment: environment)
        #expect(try await explicit.credentials() == given)
        #expect(explicit.source == "config.ini")
        let anonymous = CredentialsChain.standard(
            explicit: given, anonymous: true, http: http, environment: environment)
        #expect(try await anonymous.credentials() == nil)
        #expect(anonymous.source == "anonymous access")
    }

    @Test("environment before files; a profile that is named before the environment")
    func environment() async throws {
        let home = try AWSHome(credentials: "[default]\n" + Self.keys + "[work]\n" + Self.keys)
        let variables = [
            "AWS_ACCESS_KEY_ID": "ENVID", "AWS_SECRET_ACCESS_KEY": "s3cr3t-env", "AWS_SESSION_TOKEN": "token",
            "AWS_PROFILE": "work",
        ]
        let fromEnvironment = chain(home, variables)
        #expect(fromEnvironment.source == "none found yet")
        #expect(try await fromEnvironment.credentials()?.parts == ["ENVID", "s3cr3t-env", "token"])
        #expect(fromEnvironment.source == "the environment (AWS_ACCESS_KEY_ID)")
        let named = chain(home, variables, profile: "work")
        #expect(try await named.credentials()?.parts == ["FILEID", "s3cr3t-file", nil])
        #expect(named.source == "profile work in \(home.directory.path)/.aws/credentials")
    }

    @Test("half of a pair is an error, not a reason to look elsewhere")
    func halves() async throws {
        let home = try AWSHome(credentials: "[default]\n" + Self.keys)
        let first = try await chain(home, ["AWS_ACCESS_KEY_ID": "X"]).failure()
        #expect(first.kind == .unauthenticated)
        #expect(first.message == "AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not")
        let second = try await chain(home, ["AWS_SECRET_ACCESS_KEY": "s3cr3t"]).failure()
        #expect(second.message == "AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not")
        // Empty variables are as good as unset ones.
        let empty = chain(home, ["AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""])
        #expect(try await empty.credentials()?.accessKeyID.reveal() == "FILEID")
        let half = try AWSHome(config: "[default]\naws_secret_access_key = s3cr3t\n")
        let third = try await chain(half).failure()
        #expect(
            third.message
                == "profile default in \(half.directory.path)/.aws/config has aws_secret_access_key and no "
                + "aws_access_key_id")
    }

    @Test("without any, every place that was looked at is named")
    func nowhere() async throws {
        let home = try AWSHome()
        let error = try await chain(home).failure()
        #expect(error.kind == .unauthenticated)
        for part in [
            "AWS_ACCESS_KEY_ID", "profile default", home.directory.path + "/.aws/credentials",
            home.directory.path + "/.aws/config", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_EC2_METADATA_DISABLED",
        ] {
            #expect(error.message.contains(part))
        }
    }

    @Test("web identity is named as not supported, unless something else has credentials")
    func webIdentity() async throws {
        let variables = ["AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "arn:x"]
        let error = try await chain(try AWSHome(), variables).failure()
        #expect(error.message.contains("AWS_WEB_IDENTITY_TOKEN_FILE") && error.message.contains("not supported"))
        let home = try AWSHome(credentials: "[default]\n" + Self.keys)
        #expect(try await chain(home, variables).credentials()?.accessKeyID.reveal() == "FILEID")
    }

    @Test("credentials print as nothing")
    func redacted() {
        let credentials = AWSCredentials(
            accessKeyID: Secret("s3cr3t-id"), secretAccessKey: Secret("s3cr3t-key"),
            sessionToken: Secret("s3cr3t-token"))
        var dumped = ""
        dump(credentials, to: &dumped)
        #expect(!"\(credentials) \(String(reflecting: credentials)) \(dumped)".contains("s3cr3t"))
    }
}

@Suite("Credentials: renewal", .timeLimit(.minutes(2)))
struct CredentialsRenewalTests {
    /// Gives numbered credentials, or what the test says.
    final class Source: CredentialsSource {
        let lifetime: Int64
        let clock: Guarded<Timestamp>
        let asked = Guarded(0)
        let failing = Guarded(false)
        let gate: AsyncGate?
        init(lifetime: Int64, clock: Guarded<Timestamp>, gate: AsyncGate? = nil) {
            self.lifetime = lifetime
            self.clock = clock
            self.gate = gate
        }
        func load() async throws(StoreError) -> CredentialsLookup {
            let number = asked.withLock { count -> Int in
                count += 1
                return count
            }
            await gate?.wait()
            if failing.withLock({ $0 }) { throw StoreError(.temporary, message: "metadata is down") }
            let end = clock.withLock { Timestamp(seconds: $0.seconds + lifetime) }
            return .found(
                AWSCredentials(
                    accessKeyID: Secret("ID\(number)"), secretAccessKey: Secret("s3cr3t"), expiration: end),
                source: "a test")
        }
    }

    /// Holds tasks until it is opened.
    final class AsyncGate: Sendable {
        private let state = Guarded((open: false, waiting: [CheckedContinuation<Void, Never>]()))
        func wait() async {
            await withCheckedContinuation { continuation in
                let open = state.withLock { state -> Bool in
                    if !state.open { state.waiting.append(continuation) }
                    return state.open
                }
                if open { continuation.resume() }
            }
        }
        func open() {
            let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
                state.open = true
                return state.waiting
            }
            waiting.forEach { $0.resume() }
        }
    }

    struct Absent: CredentialsSource {
        func load() async throws(StoreError) -> CredentialsLookup { .absent("nothing here") }
    }

    private func make(lifetime: Int64) -> (CredentialsChain, Source, Guarded<Timestamp>) {
        let clock = Guarded(Timestamp(seconds: 1_000_000))
        let source = Source(lifetime: lifetime, clock: clock)
        return (CredentialsChain([Absent(), source]) { clock.withLock { $0 } }, source, clock)
    }

    private func id(_ chain: CredentialsChain) async throws -> String? {
        try await chain.credentials()?.accessKeyID.reveal()
    }

    @Test("kept until five minutes before they expire")
    func renewal() async throws {
        let (chain, _, clock) = make(lifetime: 3600)
        #expect(try await id(chain) == "ID1")
        clock.withLock { $0 = Timestamp(seconds: 1_000_000 + 3299) }
        #expect(try await id(chain) == "ID1")
        clock.withLock { $0 = Timestamp(seconds: 1_000_000 + 3300) }
        #expect(try await id(chain) == "ID2")
        #expect(try await id(chain) == "ID2")
        #expect(chain.source == "a test")
    }

    @Test("those that live shorter are renewed halfway, not at every request")
    func shortLived() async throws {
        let (chain, _, clock) = make(lifetime: 120)
        #expect(try await id(chain) == "ID1")
        clock.withLock { $0 = Timestamp(seconds: 1_000_000 + 59) }
        #expect(try await id(chain) == "ID1")
        clock.withLock { $0 = Timestamp(seconds: 1_000_000 + 60) }
        #expect(try await id(chain) == "ID2")
    }

    @Test("a failing renewal keeps the old ones while they hold, and is not repeated at every request")
    func failingRenewal() async throws {
        let (chain, source, clock) = make(lifetime: 3600)
        #expect(try await id(chain) == "ID1")
        source.failing.withLock { $0 = true }
        clock.withLock { $0 = Timestamp(seconds: 1_000_000 + 3301) }
        for _ in 1...5 { #expect(try await id(chain) == "ID1") }
        #expect(source.asked.withLock { $0 } == 2)
        clock.withLock { $0 = Timestamp(seconds: 1_000_000 + 3361) }
        #expect(try await id(chain) == "ID1")
        #expect(source.asked.withLock { $0 } == 3)
        clock.withLock { $0 = Timestamp(seconds: 1_000_000 + 3600) }
        #expect(try await chain.failure() == StoreError(.temporary, message: "metadata is down"))
        source.failing.withLock { $0 = false }
        #expect(try await id(chain) == "ID5")
    }

    @Test("however many ask, one looks")
    func singleFlight() async throws {
        let clock = Guarded(Timestamp(seconds: 1_000_000))
        let gate = AsyncGate()
        let source = Source(lifetime: 3600, clock: clock, gate: gate)
        let chain = CredentialsChain([source]) { clock.withLock { $0 } }
        try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 1...50 { group.addTask { try await chain.credentials()?.accessKeyID.reveal() } }
            group.addTask {
                gate.open()
                return "ID1"
            }
            for try await id in group { #expect(id == "ID1") }
        }
        #expect(source.asked.withLock { $0 } == 1)
    }

    @Test("temporary keys that a tool rewrites in the shared file are read again; lasting ones are not")
    func rewrittenFile() async throws {
        let home = try AWSHome()
        let clock = Guarded(Timestamp(seconds: 1_000_000))
        let chain = CredentialsChain([ProfileCredentials(name: nil, environment: home.environment())]) {
            clock.withLock { $0 }
        }
        func write(_ id: String, token: Bool) throws {
            let text = "[default]\naws_access_key_id=\(id)\naws_secret_access_key=s3cr3t\n"
            try home.directory.write(".aws/credentials", Array((text + (token ? "aws_session_token=t\n" : "")).utf8))
        }
        try write("ONE", token: true)
        #expect(try await id(chain) == "ONE")
        try write("TWO", token: true)
        clock.withLock { $0 = Timestamp(seconds: 1_000_299) }
        #expect(try await id(chain) == "ONE")
        clock.withLock { $0 = Timestamp(seconds: 1_000_300) }
        #expect(try await id(chain) == "TWO")
        // Unreadable meanwhile: what is there goes on.
        try Files.remove(home.directory.path(".aws/credentials"))
        clock.withLock { $0 = Timestamp(seconds: 1_000_600) }
        #expect(try await id(chain) == "TWO")
        try write("THREE", token: false)
        clock.withLock { $0 = Timestamp(seconds: 1_000_660) }
        #expect(try await id(chain) == "THREE")
        try write("FOUR", token: false)
        clock.withLock { $0 = Timestamp(seconds: 9_000_000) }
        #expect(try await id(chain) == "THREE")
    }

    @Test("credentials that have already expired are not used")
    func expired() async throws {
        let (chain, _, _) = make(lifetime: 0)
        let error = try await chain.failure()
        #expect(error.kind == .unauthenticated)
        #expect(error.message == "credentials from a test expired at 1970-01-12T13:46:40.000Z")
    }
}
