import Foundation
import ObjectStore
import Platform
import TestSupport
import Testing

@testable import CloudStores

@Suite("Credentials: AWS profiles", .timeLimit(.minutes(2)))
struct CredentialsProfileTests {
    private func load(
        _ home: AWSHome, _ name: String? = nil, _ variables: [String: String] = [:], timeout: Double = 60
    ) async throws -> CredentialsLookup {
        try await ProfileCredentials(
            name: name, environment: home.environment(variables), processTimeout: timeout
        ).load()
    }

    private func found(_ lookup: CredentialsLookup) throws -> (parts: [String?], expiration: Timestamp?) {
        guard case .found(let credentials, _) = lookup else {
            Issue.record("no credentials: \(lookup)")
            return ([], nil)
        }
        return (credentials.parts, credentials.expiration)
    }

    private func message(_ body: () async throws -> CredentialsLookup) async throws -> String {
        let error = try await #require(throws: StoreError.self) { _ = try await body() }
        #expect(!"\(error)".contains("s3cr3t"))
        return error.message
    }

    @Test("profiles in either file, credentials before config, names with spaces, comments and nested blocks")
    func profiles() async throws {
        let home = try AWSHome(
            config: """
                [default]
                region = eu-west-1   # Ireland
                s3 =
                    addressing_style = path
                    region = nowhere
                [profile "my work"]
                aws_access_key_id: W
                aws_secret_access_key: s3cr3t/w#1
                region=us-west-2
                [profile both]
                aws_access_key_id = C
                aws_secret_access_key = s3cr3t-c
                aws_session_token = of-c
                [unrelated]
                aws_access_key_id = U
                aws_secret_access_key = s3cr3t-u
                """,
            credentials: """
                [default]
                aws_access_key_id = D
                aws_secret_access_key = s3cr3t-d
                aws_session_token = token-d
                [both]
                aws_access_key_id = B
                aws_secret_access_key = s3cr3t-b
                """)
        #expect(try found(await load(home)).parts == ["D", "s3cr3t-d", "token-d"])
        #expect(try found(await load(home, "my work")).parts == ["W", "s3cr3t/w#1", nil])
        #expect(try found(await load(home, nil, ["AWS_PROFILE": "both"])).parts == ["B", "s3cr3t-b", nil])
        let profile = try AWSProfile.load(environment: home.environment())
        #expect(profile.region == "eu-west-1")
        #expect(profile.addressingStyle == "path")
        #expect(profile.endpointURL == nil)
        #expect(
            try await message { try await load(home, "unrelated") }
                == "profile unrelated is neither in \(home.directory.path)/.aws/config nor in "
                + "\(home.directory.path)/.aws/credentials")
    }

    @Test("other files by environment variable, with a home directory's ~")
    func otherFiles() async throws {
        let home = try AWSHome(config: "[default]\nregion = wrong\n")
        try Files.replace(home.directory.path + "/c", with: Array("[profile p]\nregion = r1\n".utf8))
        try Files.replace(
            home.directory.path + "/k", with: Array("[p]\naws_access_key_id=K\naws_secret_access_key=s3cr3t\n".utf8))
        let variables = [
            "AWS_CONFIG_FILE": home.directory.path + "/c", "AWS_SHARED_CREDENTIALS_FILE": "~/k", "AWS_PROFILE": "p",
        ]
        #expect(try found(await load(home, nil, variables)).parts == ["K", "s3cr3t", nil])
        #expect(try AWSRegion.resolve(environment: home.environment(variables)) == "r1")
    }

    @Test("a profile without keys is absent, a file that is none an error without its contents")
    func absent() async throws {
        let home = try AWSHome(config: "[profile p]\nregion = x\n")
        guard case .absent(let what) = try await load(home, "p") else {
            Issue.record("found something")
            return
        }
        #expect(what.contains("profile p") && what.contains("/.aws/credentials"))
        let broken = try AWSHome(credentials: "[default]\ns3cr3t s3cr3t\n")
        #expect(
            try await message { try await load(broken) }
                == "\(broken.directory.path)/.aws/credentials: line 2: neither [section] nor key = value")
    }

    @Test(
        "roles and single sign-on are refused by name",
        arguments: ["role_arn", "sso_session", "sso_start_url", "login_session"])
    func unsupported(key: String) async throws {
        let home = try AWSHome(
            config: "[profile p]\n\(key) = x\naws_access_key_id = A\naws_secret_access_key = s3cr3t\n")
        let message = try await message { try await load(home, "p") }
        #expect(message.contains("profile p") && message.contains(key) && message.contains("not supported"))
    }

    @Test("a credential process, with quoted arguments and an expiration with an offset")
    func process() async throws {
        let home = try AWSHome()
        let script = home.directory.path + "/give credentials"
        try Files.replace(
            script,
            with: Array(
                """
                #!/bin/sh
                [ "$1" = "two words" ] || exit 3
                printf '{"Version":1,"AccessKeyId":"P","SecretAccessKey":"s3cr3t-p","SessionToken":"%s",' "$2"
                printf '"Expiration":"2035-01-02T05:04:05+02:00"}'
                """.utf8), permissions: 0o700)
        let config = "[default]\ncredential_process = \"\(script)\" 'two words' tok\\ en\n"
        try Files.replace(home.directory.path + "/.aws/config", with: Array(config.utf8))
        let result = try found(await load(home))
        #expect(result.parts == ["P", "s3cr3t-p", "tok en"])
        #expect(result.expiration == .utc(year: 2035, month: 1, day: 2, hour: 3, minute: 4, second: 5))
    }

    @Test("a credential process says that its credentials are good for ever")
    func processForEver() async throws {
        let home = try AWSHome()
        let script = home.directory.path + "/give"
        let answer =
            #"{"Version":1,"AccessKeyId":"P","SecretAccessKey":"s","Expiration":"9999-12-31T23:59:59Z"}"#
        try Files.replace(script, with: Array("#!/bin/sh\necho '\(answer)'\n".utf8), permissions: 0o700)
        let config = "[default]\ncredential_process = \(script)\n"
        try Files.replace(home.directory.path + "/.aws/config", with: Array(config.utf8))
        #expect(try #require(found(await load(home)).expiration) > .now.later(by: 1e9))
    }

    @Test(
        "a credential process that fails says how, and never what it printed",
        arguments: [
            ("/bin/sh -c 'echo s3cr3t; exit 7'", "failed with exit code 7"),
            ("/nonexistent/tool s3cr3t", "No such file"),
            ("/bin/echo s3cr3t", "did not answer with JSON"), ("/bin/echo {}", "answered without AccessKeyId"),
            (
                #"/bin/echo '{"AccessKeyId":"s3cr3t","SecretAccessKey":"s3cr3t","Expiration":"soon"}'"#,
                "no ISO 8601 time"
            ),
        ])
    func failingProcess(command: String, words: String) async throws {
        let home = try AWSHome(config: "[default]\ncredential_process = \(command)\n")
        let message = try await message { try await load(home) }
        #expect(message.contains("credential_process of profile default"))
        #expect(message.contains(words))
    }

    @Test("a credential process that hangs is ended, with what it started")
    func hangingProcess() async throws {
        // The pipe stays open until the inner process is gone too.
        let home = try AWSHome(config: "[default]\ncredential_process = /bin/sh -c 'sleep 600 & sleep 600'\n")
        let message = try await message { try await load(home, timeout: 0.2) }
        #expect(message.contains("did not end within"))
    }

    @Test("words of a command")
    func words() {
        #expect(CredentialProcess.words("a  b\tc") == ["a", "b", "c"])
        #expect(
            CredentialProcess.words(#""/opt/my tool" --x="a b" '' "q\"q" 'a\b' c\ d"#)
                == ["/opt/my tool", "--x=a b", "", "q\"q", "a\\b", "c d"])
        #expect(CredentialProcess.words("  ") == [])
    }

    @Test("region and endpoint in AWS's order")
    func regionAndEndpoint() throws {
        let home = try AWSHome(
            config: """
                [default]
                region = from-profile
                endpoint_url = http://profile
                [profile services]
                services = mine
                endpoint_url = http://general
                [services mine]
                s3 =
                  endpoint_url = http://s3.mine
                [profile ignoring]
                endpoint_url = http://ignored
                ignore_configured_endpoint_urls = true
                """)
        func region(_ variables: [String: String]) throws -> String? {
            try AWSRegion.resolve(environment: home.environment(variables))
        }
        #expect(try region([:]) == "from-profile")
        #expect(try region(["AWS_DEFAULT_REGION": "d"]) == "d")
        #expect(try region(["AWS_DEFAULT_REGION": "d", "AWS_REGION": "r"]) == "r")
        func endpoint(_ variables: [String: String], _ profile: String? = nil) throws -> String? {
            try AWSEndpoint.resolve(profile: profile, environment: home.environment(variables))
        }
        #expect(try endpoint([:]) == "http://profile")
        #expect(try endpoint([:], "services") == "http://s3.mine")
        #expect(try endpoint([:], "ignoring") == nil)
        #expect(try endpoint(["AWS_ENDPOINT_URL": "http://e"]) == "http://e")
        #expect(try endpoint(["AWS_ENDPOINT_URL": "http://e", "AWS_ENDPOINT_URL_S3": "http://s3"]) == "http://s3")
        let ignoring = ["AWS_ENDPOINT_URL": "http://e", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "TRUE"]
        #expect(try endpoint(ignoring) == nil)
        #expect(throws: StoreError.self) { try endpoint([:], "missing") }
        #expect(try AWSRegion.resolve(environment: AWSHome().environment()) == nil)
    }
}
