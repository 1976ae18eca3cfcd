@testable import CloudStores
import ObjectStore
import Platform
import Testing

@Suite struct S3AnswerTests {
    private func head(_ status: Int, _ fields: [String] = []) -> HTTPResponseHead {
        var head = HTTPResponseHead()
        head.take(line: Array("HTTP/1.1 \(status) Text\r\n".utf8))
        for field in fields { head.take(line: Array((field + "\r\n").utf8)) }
        return head
    }

    private func failure(_ status: Int, _ code: String? = nil, _ fields: [String] = [], key: String = "k") -> StoreError
    {
        let body = code.map { "<?xml version=\"1.0\"?><Error><Code>\($0)</Code><Message>said</Message></Error>" } ?? ""
        return S3Failure(head(status, fields), body: Array(body.utf8), key: key, bucket: "b").error
    }

    @Test(arguments: [
        (404, "NoSuchKey", StoreError.Kind.notFound), (404, "NoSuchBucket", .noContainer),
        (403, "AccessDenied", .forbidden), (403, "InvalidAccessKeyId", .unauthenticated),
        (403, "SignatureDoesNotMatch", .unauthenticated), (400, "ExpiredToken", .unauthenticated),
        (403, "RequestTimeTooSkewed", .unauthenticated), (412, "PreconditionFailed", .precondition),
        (409, "ConditionalRequestConflict", .temporary), (409, "BucketNotEmpty", .permanent),
        (501, "NotImplemented", .unsupported), (503, "SlowDown", .throttled), (503, "ServiceUnavailable", .temporary),
        (500, "InternalError", .temporary), (400, "RequestTimeout", .temporary), (400, "InvalidArgument", .permanent),
        (416, "InvalidRange", .permanent), (400, "BadDigest", .temporary),
    ])
    func codesDecide(_ status: Int, _ code: String, _ kind: StoreError.Kind) {
        let error = failure(status, code)
        #expect(error.kind == kind)
        #expect(error.providerCode == code)
        #expect(error.status == status)
        #expect(error.key == "k")
    }

    @Test(arguments: [
        (301, StoreError.Kind.permanent), (401, .unauthenticated), (403, .forbidden), (404, .notFound),
        (408, .temporary), (412, .precondition), (416, .permanent), (429, .throttled), (500, .temporary),
        (501, .unsupported), (502, .temporary), (503, .temporary), (504, .temporary), (599, .temporary),
    ])
    func withoutACodeTheStatusDecides(_ status: Int, _ kind: StoreError.Kind) {
        #expect(failure(status).kind == kind)
    }

    @Test func aMissingBucketIsNoMissingObject() {
        #expect(failure(404, key: "").kind == .noContainer)
    }

    @Test func theStoreSaysHowLongToWait() {
        #expect(failure(503, "SlowDown", ["Retry-After: 7"]).retryAfter == 7)
        for text in ["100000000000", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            #expect(failure(503, "SlowDown", ["Retry-After: \(text)"]).retryAfter == 86_400)
        }
        #expect(failure(503, nil, ["Retry-After: 2"]).kind == .throttled)
        #expect(failure(503, "SlowDown", ["Retry-After: soon"]).retryAfter == nil)
        #expect(failure(503, "SlowDown", ["Retry-After: -3"]).retryAfter == nil)
        let past = failure(503, "SlowDown", ["Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"])
        #expect(past.retryAfter == 0)
    }

    @Test func aWrongClockIsNamed() {
        let body = "<Error><Code>RequestTimeTooSkewed</Code><ServerTime>2026-11-26T12:00:00Z</ServerTime></Error>"
        let now = Timestamp.utc(year: 2026, month: 11, day: 26, hour: 13, minute: 0, second: 5)
        let error = S3Failure(head(403), body: Array(body.utf8), key: "k", bucket: "b", now: now).error
        #expect(error.message.contains("3605 s ahead"))
    }

    @Test(arguments: [
        "", "<html><body>Proxy error</body></html>", "not XML at all", "<Error><Code>Cut", "\u{0}\u{1}",
        "<!DOCTYPE Error [<!ENTITY a \"aaaa\">]><Error><Code>&a;</Code></Error>",
    ])
    func whatIsNoErrorDocumentIsNotUsed(_ text: String) {
        #expect(S3ErrorBody(Array(text.utf8)) == nil)
        let error = S3Failure(head(500), body: Array(text.utf8), key: "k", bucket: "b").error
        #expect(error.kind == .temporary)
        #expect(error.providerCode == nil)
    }

    @Test func theRegionComesFromHeaderOrBody() {
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
        #expect(S3Failure(head(400), body: Array(body.utf8), key: "", bucket: "b").region == "eu-west-1")
        let other = head(301, ["x-amz-bucket-region: ap-south-1"])
        #expect(S3Failure(other, body: [], key: "", bucket: "b").region == "ap-south-1")
    }

    // MARK: Facts

    @Test(
        arguments: [
            ("\"abc\"", "abc"), ("abc", "abc"), ("W/\"abc\"", "abc"), ("\"\"", nil), ("", nil), ("\"abc-3\"", "abc-3"),
        ] as [(String, String?)])
    func tagsLoseTheirQuotes(_ text: String, _ tag: String?) { #expect(S3ObjectFacts.tag(text) == tag) }

    @Test func aTagIsTheContentsHashOnlyWhereTheStoreVouchesForIt() {
        let md5 = "5D41402ABC4B2A76B9719D911017C592"
        func found(_ tag: String, _ fields: [String] = [], isContentHash: Bool = true) -> String? {
            S3ObjectFacts.info(
                key: "k", size: 1, head(200, ["ETag: \"\(tag)\""] + fields), isContentHash: isContentHash
            )
            .contentMD5
        }
        #expect(found(md5) == md5.lowercased())
        #expect(found(md5, ["x-amz-server-side-encryption: AES256"]) == md5.lowercased())
        #expect(found(md5, ["x-amz-server-side-encryption: aws:kms"]) == nil)
        #expect(found(md5, ["x-amz-server-side-encryption-customer-algorithm: AES256"]) == nil)
        #expect(found(md5 + "-2") == nil)
        #expect(found(String(md5.dropLast()) + "g") == nil)
        #expect(found(md5, isContentHash: false) == nil)
    }

    @Test func contentRangesAreExact() {
        #expect(ContentRange("bytes 0-9/100")?.range == 0..<10)
        #expect(ContentRange("bytes 5-5/6")?.total == 6)
        for text in [
            "bytes 0-9/*", "bytes */100", "bytes 9-0/100", "bytes 0-100/100", "bytes 0-9", "items 0-9/100", "",
            "bytes -1-9/100", "bytes 0-99999999999999999999/100",
        ] {
            #expect(ContentRange(text) == nil, "\(text)")
        }
        #expect(ContentRange(nil) == nil)
    }

    @Test func datesOfBothKinds() {
        let time = Timestamp.utc(year: 2015, month: 10, day: 21, hour: 7, minute: 28, second: 0)
        #expect(S3Dates.http("Wed, 21 Oct 2015 07:28:00 GMT") == time)
        #expect(S3Dates.iso8601("2015-10-21T07:28:00Z") == time)
        #expect(S3Dates.iso8601("2015-10-21T07:28:00.250Z")?.nanoseconds == time.nanoseconds + 250_000_000)
        for text in ["", "yesterday", "Wed, 21 Okt 2015 07:28:00 GMT", "Wed, 21 Oct 2015 25:28:00 GMT"] {
            #expect(S3Dates.http(text) == nil, "\(text)")
        }
        for text in ["", "2015-10-21", "2015-10-21T07:28:00", "2015-13-21T07:28:00Z", "2015-10-21T07:28:00.-5Z"] {
            #expect(S3Dates.iso8601(text) == nil, "\(text)")
        }
    }
}
