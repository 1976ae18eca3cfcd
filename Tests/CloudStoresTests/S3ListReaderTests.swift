@testable import CloudStores
import ObjectStore
import Platform
import Testing

@Suite struct S3ListReaderTests {
    private func list(_ inside: String, prefix: String = "") throws -> ListPage {
        let text =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            + "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\(inside)</ListBucketResult>"
        return try S3ListReader.page(Array(text.utf8), prefix: prefix)
    }

    private func contents(_ key: String, _ size: String = "5") -> String {
        """
        <Contents><Key>\(key)</Key><LastModified>2026-11-26T10:00:00.000Z</LastModified>
        <ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag><Size>\(size)</Size>
        <Owner><ID>x</ID><DisplayName>Size</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>
        """
    }

    @Test func factsOfAnObject() throws {
        let page = try list("<Name>b</Name><Prefix/>" + contents("a/b"))
        #expect(page.continuation == nil)
        let object = try #require(page.objects.first)
        #expect(object.key == "a/b")
        #expect(object.size == 5)
        #expect(object.etag == "5d41402abc4b2a76b9719d911017c592")
        #expect(object.contentMD5 == nil)
        #expect(object.modified == .utc(year: 2026, month: 11, day: 26, hour: 10, minute: 0, second: 0))
    }

    @Test func keysAreDecodedOnlyWhenTheServerEncodedThem() throws {
        let encoded = try list("<EncodingType>url</EncodingType>" + contents("a+b%2Bc%E4%BC%9A%25/%7E%00"))
        #expect(encoded.objects[0].key == "a b+c会%/~\u{0}")
        let plain = try list(contents("a+b%2Bc &amp; é"))
        #expect(plain.objects[0].key == "a+b%2Bc & é")
        // The encoding may be named behind the keys.
        #expect(try list(contents("a%20b") + "<EncodingType>url</EncodingType>").objects[0].key == "a b")
    }

    @Test func keysKeepTheirNormalization() throws {
        let page = try list("<EncodingType>url</EncodingType>" + contents("cafe%CC%81") + contents("caf%C3%A9"))
        #expect(Array(page.objects[0].key.utf8) == Array("cafe\u{301}".utf8))
        #expect(Array(page.objects[1].key.utf8) == Array("caf\u{e9}".utf8))
    }

    @Test func theStoresPrefixIsTakenOff() throws {
        let page = try list(contents("p/x") + contents("p/") + contents("other"), prefix: "p/")
        #expect(page.objects.map(\.key) == ["x", ""])
    }

    @Test func pagesGoOn() throws {
        let token = try list(
            "<IsTruncated>true</IsTruncated>" + contents("a") + "<NextContinuationToken>1/+=</NextContinuationToken>")
        #expect(S3ListReader.Next(try #require(token.continuation)) == .token("1/+="))
        // Servers of the first version of the listing give no token.
        let key = try list("<IsTruncated>true</IsTruncated>" + contents("p/a") + contents("p/b"), prefix: "p/")
        #expect(S3ListReader.Next(try #require(key.continuation)) == .key("p/b"))
        #expect(S3ListReader.Next("") == nil)
        #expect(S3ListReader.Next("xyz") == nil)
        #expect(throws: StoreError.self) { try self.list("<IsTruncated>true</IsTruncated>") }
    }

    @Test(arguments: [
        "<Contents><Key>a</Key></Contents>", "<Contents><Key>a</Key><Size>-1</Size></Contents>",
        "<Contents><Key>a</Key><Size>99999999999999999999</Size></Contents>",
        "<EncodingType>url</EncodingType><Contents><Key>%FF</Key><Size>1</Size></Contents>", "<Contents>",
    ])
    func damagedListingsAreRefused(_ inside: String) {
        #expect { _ = try list(inside) } throws: { ($0 as? StoreError)?.kind == .temporary }
    }

    @Test(arguments: ["", "{}", "<html/>", "<ListBucketResult>", "<!DOCTYPE x><ListBucketResult/>"])
    func whatIsNoListingIsRefused(_ text: String) {
        #expect { _ = try S3ListReader.page(Array(text.utf8), prefix: "") } throws: {
            ($0 as? StoreError)?.kind == .temporary
        }
    }

    @Test func aThousandObjects() throws {
        let page = try list((0..<1000).map { contents("k\($0)", "\($0)") }.joined())
        #expect(page.objects.count == 1000)
        #expect(page.objects.map(\.size) == (0..<1000).map { UInt64($0) })
    }
}
