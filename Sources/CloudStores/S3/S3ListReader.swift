internal import ObjectStore
internal import Platform

/// Reads the answer to a listing: `<ListBucketResult>`
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
///
/// `ObjectInfo.contentMD5` stays nil: a listing does not tell how objects are encrypted, so that a tag may be something
/// else than the contents' MD5. `etag` is set.
final class S3ListReader {
    /// How a page's continuation says where the next one begins; the mark is its first byte.
    enum Next: Equatable {
        /// The server's own token.
        case token(String)
        /// Behind a key, for servers that know no tokens. With the store's prefix.
        case key(String)

        var text: String {
            switch self {
            case .token(let token): "t" + token
            case .key(let key): "k" + key
            }
        }

        init?(_ text: String) {
            let rest = String(text.dropFirst())
            switch text.utf8.first {
            case UInt8(ascii: "t"): self = .token(rest)
            case UInt8(ascii: "k"): self = .key(rest)
            default: return nil
            }
        }
    }

    private struct Item {
        var key = ""
        var size: UInt64?
        var etag: String?
        var modified: Timestamp?
    }

    private var root: String?
    private var open: [String] = []
    private var items: [Item] = []
    private var item = Item()
    private var isEncoded = false
    private var isTruncated = false
    private var token: String?

    private init() {}

    /// Reads a whole answer.
    /// - Parameter prefix: of the store, with its slash; taken off the keys.
    /// - Throws: `.temporary` when it is broken or no listing.
    static func page(_ bytes: [UInt8], prefix: String) throws(StoreError) -> ListPage {
        let list = S3ListReader()
        let reader = XMLReader { list.take($0) }
        try reader.feed(bytes.span.bytes)
        try reader.finish()
        guard list.root == "ListBucketResult" else {
            throw StoreError(.temporary, message: "not the answer to a listing; is this an S3 endpoint?")
        }
        return try list.page(prefix: Array(prefix.utf8))
    }

    private func take(_ event: XMLReader.Event) {
        switch event {
        case .start(let name):
            if open.isEmpty { root = name }
            if open.count == 1, name == "Contents" { item = Item() }
            open.append(name)
        case .end(let name, let text):
            open.removeLast()
            if open.count == 1 {
                takeField(name, text)
            } else if open.count == 2, open[1] == "Contents" {
                takeFact(name, text)
            }
        }
    }

    private func takeField(_ name: String, _ text: String) {
        switch name {
        case "Contents": items.append(item)
        case "EncodingType": isEncoded = text == "url"
        case "IsTruncated": isTruncated = text == "true"
        case "NextContinuationToken": token = text.isEmpty ? nil : text
        default: break
        }
    }

    private func takeFact(_ name: String, _ text: String) {
        switch name {
        case "Key": item.key = text
        case "Size": item.size = UInt64(text)
        case "ETag": item.etag = S3ObjectFacts.tag(text)
        case "LastModified": item.modified = S3Dates.iso8601(text)
        default: break
        }
    }

    private func page(prefix: [UInt8]) throws(StoreError) -> ListPage {
        var objects: [ObjectInfo] = []
        objects.reserveCapacity(items.count)
        var last: String?
        for item in items {
            guard let key = isEncoded ? PercentDecoding.decode(item.key) : item.key, let size = item.size else {
                throw StoreError(.temporary, message: "the listing has an object without a valid key or size")
            }
            last = key
            guard key.utf8.starts(with: prefix) else { continue }
            objects.append(
                ObjectInfo(
                    key: String(decoding: key.utf8.dropFirst(prefix.count), as: UTF8.self), size: size,
                    etag: item.etag, modified: item.modified))
        }
        guard isTruncated else { return ListPage(objects: objects) }
        guard let next = token.map({ Next.token($0) }) ?? last.map({ Next.key($0) }) else {
            throw StoreError(.temporary, message: "the listing is not complete and does not say how to go on")
        }
        return ListPage(objects: objects, continuation: next.text)
    }
}

/// Decoding of `encoding-type=url`.
enum PercentDecoding {
    /// Decodes percent sequences, and `+` as a space. What is no valid sequence stays as it is.
    /// - Returns: nil when the result is not UTF-8.
    static func decode(_ text: String) -> String? {
        let bytes = Array(text.utf8)
        guard bytes.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else { return text }
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == UInt8(ascii: "%"), index + 2 < bytes.count, let high = value(bytes[index + 1]),
                let low = value(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
                index += 1
            }
        }
        return String(validating: decoded, as: UTF8.self)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
