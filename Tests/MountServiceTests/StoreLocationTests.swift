import Foundation
import Platform
import Testing

@testable import MountService

struct StoreLocationTests {
    @Test(
        arguments: [
            ("s3://bucket", .s3(bucket: "bucket", prefix: ""), "s3://bucket"),
            ("S3://bucket/", .s3(bucket: "bucket", prefix: ""), "s3://bucket"),
            ("s3://my.bucket-1_X/a/b//c/", .s3(bucket: "my.bucket-1_X", prefix: "a/b//c"), "s3://my.bucket-1_X/a/b//c"),
            ("s3://bucket//a%20b/日本 x", .s3(bucket: "bucket", prefix: "a%20b/日本 x"), "s3://bucket/a%20b/日本 x"),
            ("gs://bucket/p", .gcs(bucket: "bucket", prefix: "p"), "gs://bucket/p"),
            (
                "azblob://account/container", .azure(account: "account", container: "container", prefix: ""),
                "azblob://account/container"
            ),
            (
                "azblob://account/container/a/", .azure(account: "account", container: "container", prefix: "a"),
                "azblob://account/container/a"
            ),
            ("file:///", .directory(path: "/"), "file:///"),
            (
                "file:///srv/my%20store/%E6%97%A5%3F/", .directory(path: "/srv/my store/日?"),
                "file:///srv/my%20store/%E6%97%A5%3F"
            ),
            ("file://localhost/srv", .directory(path: "/srv"), "file:///srv"),
            ("/srv/./a/../b//", .directory(path: "/srv/b"), "file:///srv/b"),
            ("/srv/100%/#1", .directory(path: "/srv/100%/#1"), "file:///srv/100%25/%231"),
        ] as [(String, StoreLocation, String)])
    func urlsAreRead(text: String, expected: StoreLocation, url: String) throws {
        let location = try #require(try StoreLocation.parse(text))
        #expect(location == expected)
        #expect(location.url == url)
        #expect(try StoreLocation.parse(location.url) == location)
    }

    @Test func relativePathsAreRelativeToTheCurrentDirectory() throws {
        #expect(try StoreLocation.parse("./a") == .directory(path: FileManager.default.currentDirectoryPath + "/a"))
    }

    @Test(arguments: ["work", "my-store", "fastshot"]) func otherWordsAreNames(text: String) throws {
        #expect(try StoreLocation.parse(text) == nil)
    }

    @Test(arguments: [
        ("", "a store is missing"),
        ("a/b", "for a directory write ./a/b"),
        ("s3:bucket", "two slashes are missing, as in s3://…"),
        ("s3:/bucket", "two slashes are missing"),
        ("s3://", "the bucket is missing, as in s3://BUCKET/PREFIX"),
        ("s3:///key", "the bucket is missing"),
        ("s3://ab", "\"ab\" cannot be a bucket's name"),
        ("s3://-abc", "cannot be a bucket's name"),
        ("s3://bücket", "cannot be a bucket's name"),
        ("s3://my bucket", "cannot be a bucket's name"),
        ("s3://bucket/" + String(repeating: "x", count: 701), "longer than 700 bytes"),
        ("s3://host:9000/bucket", "cannot be a bucket's name"),
        ("s3://id:hunter2@bucket", "credentials do not belong in a URL"),
        ("azblob://account", "the container is missing"),
        ("file://dir", "an absolute path on this machine"),
        ("file://server/dir", "an absolute path on this machine"),
        ("file:///a%2", "two hexadecimal digits"),
        ("file:///a%zz", "two hexadecimal digits"),
        ("file:///a%00b", "two hexadecimal digits"),
        ("file:///a%FF", "UTF-8"),
        ("file:///a?b", "%3F"),
        ("https://s3.example.org/bucket", "write s3://BUCKET and give https://… as --endpoint"),
        ("https://id:hunter2@s3.example.org/bucket", "as --endpoint"),
        ("azure://a/b", "did you mean azblob://?"),
        ("gcs://b", "did you mean gs://?"),
        ("s4://bucket", "did you mean s3://?"),
        ("ftp://bucket", "no store is called ftp://; known are s3://, azblob://, gs:// and file://"),
        ("s3://bu\0cket", "NUL"),
    ])
    func badURLsAreExplained(text: String, part: String) {
        #expect {
            try StoreLocation.parse(text)
        } throws: { error in
            let message = "\(error)"
            return message.contains(part) && !message.contains("hunter2")
        }
    }

    @Test func unsupportedStoresSaySo() throws {
        #expect(throws: Never.self) { try StoreLocation.s3(bucket: "abc", prefix: "").requireSupport() }
        #expect(throws: Never.self) { try StoreLocation.directory(path: "/").requireSupport() }
        for text in ["gs://bucket", "azblob://account/container"] {
            #expect {
                try StoreLocation.parse(text)?.requireSupport()
            } throws: {
                "\($0)".contains("not yet supported in this version")
            }
        }
    }

    @Test func identitiesAreReadableStableAndDistinct() throws {
        func name(_ url: String, _ endpoint: String? = nil) throws -> String {
            StoreIdentity.name(try #require(try StoreLocation.parse(url)), endpoint: endpoint)
        }
        // Written down: it names directories that must be found again by later versions.
        #expect(try name("s3://bucket/Pre fix") == "s3-bucket-pre-fix-e33efc149806")
        #expect(try name("s3://bucket/") == name("s3://bucket"))
        #expect(try name("s3://bucket", "HTTPS://Host:9000/") == name("s3://bucket", "https://host:9000"))
        let names = try [
            name("s3://bucket"), name("s3://bucket", "https://a"), name("s3://bucket/a"), name("s3://bucket/A"),
            name("gs://bucket"), name("file:///bucket"),
        ]
        #expect(Set(names).count == names.count)
        let long = try name("file:///" + String(repeating: "é/", count: 500))
        #expect(long.utf8.count <= 64 && !long.contains("/"))
    }
}
