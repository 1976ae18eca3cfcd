internal import ObjectStore
internal import Platform

/// What response headers say about an object.
enum S3ObjectFacts {
    /// Without the quotes, and without the mark of a weak tag that some proxies add.
    static func tag(_ text: String?) -> String? {
        guard var rest = text.map({ Array($0.utf8)[...] }) else { return nil }
        if rest.starts(with: "W/".utf8) { rest = rest.dropFirst(2) }
        let quote = UInt8(ascii: "\"")
        if rest.count >= 2, rest.first == quote, rest.last == quote { rest = rest.dropFirst().dropLast() }
        return rest.isEmpty ? nil : String(decoding: rest, as: UTF8.self)
    }

    /// - Parameter isContentHash: whether the store makes single-part tags of the contents' MD5 at all.
    static func info(key: String, size: UInt64, _ head: HTTPResponseHead, isContentHash: Bool) -> ObjectInfo {
        let tag = tag(head["etag"])
        return ObjectInfo(
            key: key, size: size, etag: tag, modified: S3Dates.http(head["last-modified"]),
            contentMD5: isContentHash ? contentMD5(tag, head) : nil)
    }

    /// The facts of an object that has just been written. Most servers do not say when; they say what time it is.
    static func written(key: String, size: UInt64, _ head: HTTPResponseHead, isContentHash: Bool) -> ObjectInfo {
        var info = info(key: key, size: size, head, isContentHash: isContentHash)
        info.modified = info.modified ?? S3Dates.http(head["date"])
        return info
    }

    /// The tag is the contents' MD5 for objects of one part, unless they are encrypted with a key of KMS or of the
    /// customer (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html>).
    private static func contentMD5(_ tag: String?, _ head: HTTPResponseHead) -> String? {
        guard let tag, tag.utf8.count == 32, tag.utf8.allSatisfy({ isHexDigit($0) }) else { return nil }
        if head["x-amz-server-side-encryption-customer-algorithm"] != nil { return nil }
        if let method = head["x-amz-server-side-encryption"], method != "AES256" { return nil }
        return tag.lowercased()
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}

/// `bytes 0-9/100` (RFC 9110 section 14.4).
struct ContentRange: Equatable {
    /// The bytes in the body.
    let range: Range<UInt64>
    /// The whole object's length.
    let total: UInt64

    /// - Returns: nil for anything that does not say exactly which bytes of how many.
    init?(_ text: String?) {
        guard let words = text?.split(separator: " "), words.count == 2, words[0] == "bytes" else { return nil }
        let halves = words[1].split(separator: "/", omittingEmptySubsequences: false)
        let ends = halves.first?.split(separator: "-", omittingEmptySubsequences: false) ?? []
        guard halves.count == 2, ends.count == 2, let first = UInt64(ends[0]), let last = UInt64(ends[1]),
            let total = UInt64(halves[1]), first <= last, last < total
        else { return nil }
        range = first..<last + 1
        self.total = total
    }
}
