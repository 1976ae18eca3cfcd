@testable import CloudStores
import ObjectStore
import Testing

@Suite struct S3EndpointTests {
    private func url(_ configuration: S3Configuration, _ key: String?, region: String = "eu-west-1") throws -> String {
        let address = try S3Endpoint(configuration).address(key, region: region)
        return "\(address.scheme)://\(address.host)\(address.path)"
    }

    @Test func amazonIsAddressedByVirtualHost() throws {
        let bucket = S3Configuration(bucket: "b")
        #expect(try url(bucket, "k/x") == "https://b.s3.eu-west-1.amazonaws.com/k/x")
        #expect(try url(bucket, nil) == "https://b.s3.eu-west-1.amazonaws.com/")
        #expect(try url(bucket, nil, region: "cn-north-1") == "https://b.s3.cn-north-1.amazonaws.com.cn/")
        // No wildcard certificate covers a second dot.
        #expect(try url(S3Configuration(bucket: "a.b"), "k") == "https://s3.eu-west-1.amazonaws.com/a.b/k")
    }

    @Test func otherEndpointsAreAddressedByPath() throws {
        #expect(try url(S3Configuration(bucket: "b", endpoint: "http://h:9000"), "k") == "http://h:9000/b/k")
        #expect(try url(S3Configuration(bucket: "b", endpoint: "http://h:9000/"), nil) == "http://h:9000/b")
        #expect(try url(S3Configuration(bucket: "b", endpoint: "h.example"), "k") == "https://h.example/b/k")
        #expect(try url(S3Configuration(bucket: "b", endpoint: "https://h/base/"), "k") == "https://h/base/b/k")
    }

    @Test func addressingCanBeChosen() throws {
        let virtual = S3Configuration(bucket: "b", endpoint: "http://h:9000", addressing: .virtualHost)
        #expect(try url(virtual, "k") == "http://b.h:9000/k")
        #expect(try url(virtual, nil) == "http://b.h:9000/")
        let path = S3Configuration(bucket: "b", addressing: .path)
        #expect(try url(path, "k") == "https://s3.eu-west-1.amazonaws.com/b/k")
    }

    @Test func theUsualPortIsNotPartOfTheHost() throws {
        #expect(try url(S3Configuration(bucket: "b", endpoint: "http://h:80"), "k") == "http://h/b/k")
        #expect(try url(S3Configuration(bucket: "b", endpoint: "https://h:443"), "k") == "https://h/b/k")
        #expect(try url(S3Configuration(bucket: "b", endpoint: "https://h:80"), "k") == "https://h:80/b/k")
        #expect(try url(S3Configuration(bucket: "b", endpoint: "http://[::1]:9000"), "k") == "http://[::1]:9000/b/k")
    }

    @Test func everyByteOfAKeyIsKept() throws {
        let bucket = S3Configuration(bucket: "b", endpoint: "http://h")
        #expect(
            try url(bucket, "a b+c%20~会//é/../x?y#z") == "http://h/b/a%20b%2Bc%2520~%E4%BC%9A//%C3%A9/../x%3Fy%23z")
    }

    @Test(arguments: ["", "http://", "http://user:pw@h", "http://h h", "ftp?x", "https://:99", "http://h/a?b"])
    func whatIsNoEndpointIsRefused(_ endpoint: String) {
        #expect { _ = try S3Endpoint(S3Configuration(bucket: "b", endpoint: endpoint)) } throws: {
            // Credentials in it must not show.
            ($0 as? StoreError)?.kind == .permanent && !"\($0)".contains("pw")
        }
    }

    @Test(arguments: ["", "a/b", "a b", "a@b", "evil.example/x", "é"])
    func namesThatWouldChangeTheHostAreRefused(_ name: String) {
        #expect(throws: StoreError.self) { try S3Endpoint(S3Configuration(bucket: name)) }
        #expect(throws: StoreError.self) { try S3Endpoint(S3Configuration(bucket: "b", region: name)) }
    }

    @Test func slashesAroundThePrefixDoNotMatter() {
        #expect(S3Configuration(bucket: "b", prefix: "/p/é q//") == S3Configuration(bucket: "b", prefix: "p/é q"))
        #expect(S3Configuration(bucket: "b", prefix: "p/é q/").location == "s3://b/p/é q")
        var bucket = S3Configuration(bucket: "b", prefix: "/")
        #expect(bucket.location == "s3://b")
        bucket.prefix = "q/"
        #expect(bucket.location == "s3://b/q")
    }
}
