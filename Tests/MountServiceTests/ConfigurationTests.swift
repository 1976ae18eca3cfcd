import Control
import Foundation
import Glibc
import Platform
import SessionCache
import Sync
import Testing

@testable import MountService

/// Resolves against a file of its own and a given environment; the user's are never looked at.
struct ConfigurationTests {
    let directory = "/tmp/sfs-configuration-\(UInt32.random(in: .min ... .max))"

    func withFile<Value>(_ text: String, permissions: UInt32 = 0o600, _ body: (String) throws -> Value) throws -> Value
    {
        try Files.makePrivateDirectory(directory)
        defer { try? Files.removeTree(directory) }
        let path = directory + "/config.ini"
        try Files.replace(path, with: Array(text.utf8), permissions: permissions)
        _ = chmod(path, permissions)
        return try body(path)
    }

    func resolve(
        _ text: String, store: String? = "work", options: [Setting: String] = [:], mountOptions: [String] = [],
        environment: [String: String] = [:], permissions: UInt32 = 0o600
    ) throws -> ResolvedSettings {
        try withFile(text, permissions: permissions) { path in
            let request = SettingsRequest(
                store: store, configuration: path, options: options, mountOptions: mountOptions)
            return try Configuration.resolve(request) { environment[$0] }
        }
    }

    func message(_ text: String, store: String? = "work", options: [Setting: String] = [:], mountOptions: [String] = [])
        -> String
    {
        do {
            _ = try resolve(text, store: store, options: options, mountOptions: mountOptions)
            return "no error"
        } catch {
            return "\(error)"
        }
    }

    @Test func builtInValuesApplyToABareURL() throws {
        let result = try resolve("", store: "s3://bucket/p")
        let settings = result.settings
        #expect(result.warnings.isEmpty)
        #expect(settings.name == nil)
        #expect(settings.location == .s3(bucket: "bucket", prefix: "p"))
        #expect(settings.endpoint == nil && settings.region == nil && settings.credentials == nil)
        #expect(settings.addressing == .auto && settings.verifiesTLS && !settings.anonymous)
        #expect(settings.unmountPolicy == .clean && settings.pollInterval == 10 && settings.cacheLimit == nil)
        #expect(!settings.readOnly && !settings.allowOther && settings.kernelOptions.isEmpty)
        #expect(settings.conflicts == .manual && settings.conflictKinds.isEmpty && settings.foreign == .refuse)
        #expect(settings.close == .local && settings.flushTimeout == 60 && settings.offlineReads == .fail)
        #expect(settings.uploadLimit == nil && settings.downloadLimit == nil)
        #expect(settings.encryptionKey == nil && settings.logLevel == .warning)
        #expect(settings.cacheDirectory == Environment.cacheHome + "/sessionfs/" + settings.storeID)
        #expect(settings.stateDirectory == Environment.stateHome + "/sessionfs/" + settings.storeID)
    }

    @Test func everyKeyOfASectionIsRead() throws {
        let settings = try resolve(
            """
            # comment
            [store "work"]
            url = s3://bucket/p
            endpoint = https://s3.example.org:9000
            region = eu-west-1
            profile = team
            access_key_id = AKIA
            secret_access_key = hush
            session_token = token
            anonymous = no
            addressing = Path
            ca_file = ca.pem
            proxy = http://user:pw@proxy:3128
            tls-verify = yes
            encryption_key = demo-key
            cache_dir = /var/cache/work
            state_dir = ../state
            cache_max = 10G
            unmount_policy = keep
            poll_interval = 1m
            read_only = yes
            conflicts = server_preferred
            conflict_created = Manual
            conflict-edited = last_write_wins
            conflict_edited_removed = local_preferred
            foreign = basic
            close = cloud
            flush_timeout = 5m
            offline_reads = wait
            limit_upload = 2M
            limit_download = none
            allow_other = on
            mount_options = noatime,nosuid
            log = debug
            """
        ).settings
        #expect(settings.name == "work")
        #expect(settings.endpoint == "https://s3.example.org:9000")
        #expect(settings.region == "eu-west-1" && settings.profile == "team")
        #expect(settings.credentials?.accessKeyID.reveal() == "AKIA")
        #expect(settings.credentials?.secretAccessKey.reveal() == "hush")
        #expect(settings.credentials?.sessionToken?.reveal() == "token")
        #expect(settings.addressing == .path && settings.caFile == directory + "/ca.pem")
        #expect(settings.proxy?.reveal() == "http://user:pw@proxy:3128")
        #expect(settings.encryptionKey?.reveal() == "demo-key")
        #expect(settings.cacheDirectory == "/var/cache/work/" + settings.storeID)
        #expect(settings.stateDirectory == "/tmp/state/" + settings.storeID)
        #expect(settings.cacheLimit == 10 << 30 && settings.unmountPolicy == .keep && settings.pollInterval == 60)
        #expect(settings.readOnly && settings.allowOther && settings.kernelOptions == ["noatime", "nosuid"])
        #expect(settings.conflicts == .serverPreferred)
        #expect(
            settings.conflictKinds == [
                .created: .manual, .edited: .lastWriteWins, .editedRemoved: .localPreferred,
            ])
        #expect(settings.foreign == .basic && settings.close == .cloud && settings.flushTimeout == 300)
        #expect(settings.offlineReads == .wait && settings.uploadLimit == 2 << 20 && settings.downloadLimit == nil)
        #expect(settings.logLevel == .debug)
        let dumped = "\(settings)" + String(reflecting: settings)
        for secret in ["AKIA", "hush", "token", "demo-key", "pw@"] {
            #expect(!dumped.contains("\"\(secret)"), "\(secret)")
        }
    }

    @Test func precedenceGoesFromCommandLineToBuiltIn() throws {
        let file = """
            [defaults]
            region = defaults
            poll_interval = 7
            mount_options = cache_max=1,noexec
            [store "work"]
            url = s3://bucket
            region = section
            mount_options = poll_interval=8
            """
        #expect(try resolve(file, store: "s3://other").settings.region == "defaults")
        #expect(try resolve(file).settings.region == "section")
        // A section's mount options are stronger than [defaults], and weaker than its own keys.
        #expect(try resolve(file).settings.pollInterval == 8)
        #expect(try resolve(file).settings.cacheLimit == 1)
        #expect(try resolve(file).settings.kernelOptions == ["noexec"])
        let environment = ["SESSIONFS_REGION": "environment", "SESSIONFS_POLL_INTERVAL": "9"]
        #expect(try resolve(file, environment: environment).settings.region == "environment")
        #expect(try resolve(file, environment: environment).settings.pollInterval == 9)
        let mounted = try resolve(file, mountOptions: ["region=a,ro", "region=b"], environment: environment).settings
        #expect(mounted.region == "b" && mounted.readOnly)
        let given = try resolve(
            file, options: [.region: "line"], mountOptions: ["region=a"], environment: environment
        ).settings
        #expect(given.region == "line")
    }

    @Test func aDirectoryHoldsAPartForEachStore() throws {
        let file = "[defaults]\ncache_dir = /big/cache\n[store \"work\"]\nurl = s3://bucket\nstate_dir = ~/state\n"
        let settings = try resolve(file, environment: ["SESSIONFS_STATE_DIR": ""]).settings
        #expect(settings.cacheDirectory == "/big/cache/" + settings.storeID)
        #expect(settings.stateDirectory == Environment.home + "/state/" + settings.storeID)
        let other = try resolve(file, environment: ["SESSIONFS_CACHE_DIR": "/env/cache"]).settings
        #expect(other.cacheDirectory == "/env/cache/" + other.storeID)
        let given = try resolve(file, options: [.cacheDirectory: "/mine/./x"]).settings
        #expect(given.cacheDirectory == "/mine/x/" + given.storeID)
    }

    @Test func aStoreIsTheSameByNameAndByURL() throws {
        let file = "[store \"work\"]\nurl = s3://bucket/\nendpoint = https://Host\n"
        let named = try resolve(file).settings.storeID
        #expect(
            try resolve(file, store: "s3://bucket", options: [.endpoint: "https://host/"]).settings.storeID == named)
    }

    @Test func unknownKeysAndSectionsAreWarnedAboutWithFileAndLine() throws {
        let file = "[store \"work\"]\nurl = s3://bucket\nregoin = x\n\n[other]\na = b\n[defaults]\nurl = s3://x\n"
        let warnings = try resolve(file).warnings
        let path = directory + "/config.ini"
        #expect(warnings.count == 3)
        #expect(
            warnings.contains { $0.hasPrefix("\(path):3: unknown key regoin") && $0.hasSuffix("did you mean region?") })
        #expect(warnings.contains("\(path):5: unknown section [other] is ignored"))
        #expect(warnings.contains { $0.hasPrefix("\(path):8: unknown key url in [defaults]") })
    }

    @Test(arguments: [
        ("[store \"work\"]\nurl = s3://bucket\ncache_max = 10X\n", "config.ini:3: cache_max: \"10X\" is no size"),
        (
            "[store \"work\"]\nurl = s3://bucket\npoll_interval = soon\n",
            "config.ini:3: poll_interval: \"soon\" is no duration"
        ),
        ("[store \"work\"]\nurl = s3://bucket\nread_only = maybe\n", "neither yes nor no"),
        ("[store \"work\"]\nurl = s3://bucket\naddressing = odd\n", "none of path, virtual, auto"),
        ("[store \"work\"]\nurl = s3://bucket\nunmount_policy = drop\n", "none of keep, clean, purge"),
        ("[store \"work\"]\nurl = s3://bucket\nlog = loud\n", "none of error, warning, info, debug"),
        ("[store \"work\"]\nurl = s3://bucket\nendpoint = s3.example.org\n", "no URL of a server"),
        ("[store \"work\"]\nurl = s3://bucket\naccess_key_id = A\n", "secret_access_key is missing"),
        (
            "[store \"work\"]\nurl = s3://bucket\nmount_options = noatme\n",
            "config.ini:3: no such mount option: noatme; did you mean noatime?"
        ),
        ("[store \"work\"]\nurl = s3://bucket\nkey_file = /nonexistent\n", "/nonexistent: the key file cannot be read"),
        ("[store \"work\"]\nregion = x\n", "[store \"work\"] has no url"),
        ("[store \"work\"]\nurl = bucket\n", "config.ini:2: url: \"bucket\" is no URL"),
        ("[store \"work\"]\nurl = s3://\n", "config.ini:2: s3://: the bucket is missing"),
        ("[store \"a/b\"]\nurl = s3://bucket\n", "config.ini:1: a store's name has no slash"),
        ("[store \"works\"]\nurl = s3://bucket\n", "no store is called work; did you mean works?"),
        ("[store \"x\"]\nurl = s3://bucket\n", "no store is called work; known are x"),
        ("", "no store is called work; give a URL"),
        ("[store \"work\"\n", "config.ini: line 1: a section needs a name and a closing ]"),
        ("[store \"work\"]\nurl = s3://bucket\n  region = x\n", "config.ini:2: url: the next line is indented deeper"),
        (
            "[store \"work\"]\nurl = s3://bucket\n[store work]\nregion = x\n",
            "config.ini:3: the store work has a section"
        ),
    ])
    func mistakesInAFileAreNamedWithTheirPlace(text: String, part: String) {
        let message = message(text)
        #expect(message.contains(part), "\(message)")
    }

    @Test func mistakesOnTheCommandLineNameTheOption() {
        #expect(message("", store: "s3://bucket", options: [.cacheLimit: "x"]).hasPrefix("--cache-max: "))
        #expect(message("", store: "s3://bucket", mountOptions: ["cache_max=x"]).hasPrefix("-o: "))
        #expect(message("", store: "gs://bucket").contains("not yet supported in this version"))
        #expect(message("", store: nil).hasPrefix("a store is missing: give a URL such as s3://bucket"))
        #expect(message("[store \"x\"]\nurl=s3://bucket", store: nil).hasSuffix(", or one of x"))
        let file = SettingsRequest(store: "s3://bucket", configuration: "/nonexistent/c.ini")
        #expect(
            throws: ConfigurationError(
                "the configuration cannot be read: No such file or directory", origin: "/nonexistent/c.ini")
        ) {
            try Configuration.resolve(file) { _ in nil }
        }
    }

    @Test func secretsAreRefusedWhereOthersSeeThem() {
        for option in ["encryption_key=k", "secret_access_key=k", "proxy=http://u:hunter2@p"] {
            let text = message("", store: "s3://bucket", mountOptions: [option])
            #expect(text.contains("visible to every user") && !text.contains("hunter2"), "\(text)")
        }
        #expect(message("", store: "s3://bucket", options: [.encryptionKey: "k"]).contains("visible to every user"))
    }

    @Test func aFileWithSecretsThatOthersCanReadIsWarnedAbout() throws {
        let secret = "[store \"work\"]\nurl = s3://bucket\nencryption_key = k\n"
        #expect(
            try resolve(secret, permissions: 0o644).warnings.contains {
                $0.contains("chmod 600 \(directory)/config.ini")
            })
        #expect(try resolve(secret, permissions: 0o600).warnings.isEmpty)
        #expect(try resolve("[store \"work\"]\nurl = s3://bucket\n", permissions: 0o644).warnings.isEmpty)
    }

    @Test(arguments: [("key\n", "key"), ("key\r\n", "key"), ("key", "key"), ("a b \n\n", "a b \n"), ("日本\n", "日本")])
    func theKeyFileLosesItsLineEnd(contents: String, key: String) throws {
        try withFile(contents) { path in
            let request = SettingsRequest(store: "s3://bucket", options: [.keyFile: path])
            let environment = ["SESSIONFS_CONFIG": "/dev/null", "SESSIONFS_ENCRYPTION_KEY": "weaker"]
            let result = try Configuration.resolve(request) { environment[$0] }
            #expect(result.settings.encryptionKey?.reveal() == key)
            #expect(result.warnings.isEmpty)
            #expect(chmod(path, 0o640) == 0)
            #expect(try Configuration.resolve(request) { environment[$0] }.warnings.count == 1)
        }
    }

    @Test func aStrongerKeyBeatsAWeakerKeyFile() throws {
        let file = "[store \"work\"]\nurl = s3://bucket\nkey_file = /nonexistent\n"
        let settings = try resolve(file, environment: ["SESSIONFS_ENCRYPTION_KEY": "k"]).settings
        #expect(settings.encryptionKey?.reveal() == "k")
    }

    @Test func switchingOffTLSChecksIsWarnedAbout() throws {
        let result = try resolve("", store: "s3://bucket", options: [.tlsVerify: "no"])
        #expect(!result.settings.verifiesTLS)
        #expect(result.warnings.count == 1 && result.warnings[0].hasPrefix("--tls-verify: "))
    }

    @Test func cacheLimitCanBeLifted() throws {
        let file = "[defaults]\ncache_max = 1G\n"
        #expect(try resolve(file, store: "s3://bucket", options: [.cacheLimit: "none"]).settings.cacheLimit == nil)
    }

    @Test(arguments: [
        (Setting.conflicts, "sometimes", "none of last_write_wins, server_preferred, local_preferred, manual"),
        (.conflictRenamed, "x", "conflict_renamed: \"x\" is none of"), (.foreign, "send", "none of refuse, basic"),
        (.close, "remote", "none of local, cloud"), (.flushTimeout, "-1", "no duration"),
        (.offlineReads, "never", "none of fail, wait"), (.uploadLimit, "fast", "no rate in bytes per second"),
        (.downloadLimit, "-2M", "no rate in bytes per second"),
    ])
    func wrongValuesOfWritingAreNamed(setting: Setting, text: String, part: String) {
        let problem = message("", store: "s3://bucket", options: [setting: text])
        #expect(problem.contains(part) && problem.contains("--" + setting.optionName), "\(problem)")
    }

    @Test func mountOptionsSetWriting() throws {
        let settings = try resolve(
            "", store: "s3://bucket", mountOptions: ["conflict_edited=local_preferred,close=cloud,limit_upload=1M,rw"]
        ).settings
        #expect(settings.conflictKinds == [.edited: .localPreferred] && settings.close == .cloud)
        #expect(settings.uploadLimit == 1 << 20 && !settings.readOnly)
    }

    @Test func aTokenIsNotMixedWithAnotherLayersKey() throws {
        let file = "[store \"work\"]\nurl = s3://bucket\naccess_key_id = A\nsecret_access_key = B\nsession_token = C\n"
        let environment = ["SESSIONFS_ACCESS_KEY_ID": "E", "SESSIONFS_SECRET_ACCESS_KEY": "F"]
        #expect(try resolve(file, environment: environment).settings.credentials?.sessionToken == nil)
        #expect(try resolve(file).settings.credentials?.sessionToken?.reveal() == "C")
    }
}
