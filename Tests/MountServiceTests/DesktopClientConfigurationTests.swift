import Foundation
import Platform
import Testing

@testable import MountService

/// The desktop client's own `config.ini`, as `--config` takes it.
struct DesktopClientConfigurationTests {
    static let file = """
        [Shortcuts]
        capture = ctrl+shift+a
        [CloudSync]
        cloud_sync_enabled = True
        aws_access_key = " AKIA EXAMPLE "
        aws_secret_key = 'wJal/+rXU\t tnFEMI'
        aws_region = eu-central-1
        s3_bucket_name = my-sessions
        encryption_key = demo-key-7391
        proxy_enabled = False
        proxy_url = http://proxy:8080
        ssl_verify = False
        """

    func resolve(_ text: String, store: String? = nil) throws -> ResolvedSettings {
        let path = "/tmp/sfs-desktop-\(UInt32.random(in: .min ... .max)).ini"
        try Files.replace(path, with: Array(text.utf8))
        defer { try? Files.remove(path) }
        return try Configuration.resolve(SettingsRequest(store: store, configuration: path)) { _ in nil }
    }

    @Test(arguments: [nil, "fastshot"]) func itIsTheStoreWhenNoneIsNamed(store: String?) throws {
        let result = try resolve(Self.file, store: store)
        let settings = result.settings
        #expect(settings.name == "fastshot")
        #expect(settings.location == .s3(bucket: "my-sessions", prefix: ""))
        #expect(settings.region == "eu-central-1")
        #expect(settings.credentials?.accessKeyID.reveal() == "AKIAEXAMPLE")
        #expect(settings.credentials?.secretAccessKey.reveal() == "wJal/+rXUtnFEMI")
        #expect(settings.encryptionKey?.reveal() == "demo-key-7391")
        #expect(settings.proxy == nil)
        #expect(!settings.verifiesTLS)
        // Its other sections are its own business; only the unchecked certificate is worth a word.
        #expect(result.warnings.count == 1 && result.warnings[0].contains("certificate is not checked"))
    }

    @Test func anEnabledProxyIsUsed() throws {
        let text = Self.file.replacingOccurrences(of: "proxy_enabled = False", with: "proxy_enabled = True")
        #expect(try resolve(text).settings.proxy?.reveal() == "http://proxy:8080")
    }

    @Test func otherStoresStayReachable() throws {
        let settings = try resolve(Self.file, store: "s3://other").settings
        #expect(settings.credentials == nil && settings.encryptionKey == nil)
    }

    @Test func aSectionOfOursReplacesIt() throws {
        let settings = try resolve("[store \"fastshot\"]\nurl = s3://ours\n" + Self.file).settings
        #expect(settings.location == .s3(bucket: "ours", prefix: ""))
        #expect(settings.credentials == nil)
    }

    @Test func withoutABucketThereIsNoStore() {
        let text = Self.file.replacingOccurrences(of: "my-sessions", with: "")
        #expect(throws: ConfigurationError.self) { try resolve(text) }
    }

    @Test func aTruthValueThatIsNoneIsNamedWithItsLine() {
        let text = Self.file.replacingOccurrences(of: "ssl_verify = False", with: "ssl_verify = perhaps")
        #expect {
            try resolve(text)
        } throws: {
            "\($0)".contains(".ini:12: ssl_verify")
        }
    }
}
