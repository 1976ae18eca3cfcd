internal import ObjectStore

/// A page of ListObjectsV2 (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
enum S3Listing {
    /// - Parameter prefix: taken off every key.
    /// - Throws: `.permanent` when the answer is no such page.
    static func parse(_ bytes: [UInt8], prefix: String) throws(StoreError) -> ListPage {
        var page = Page()
        do throws(XMLReader.Malformed) {
            try XMLReader.read(bytes) { path, text in page.take(path, text) }
        } catch {
            throw StoreError(.permanent, message: "the answer is no S3 listing: \(error.message)")
        }
        guard page.isListing, !page.isDamaged else {
            throw StoreError(.permanent, message: "the answer is no S3 listing")
        }
        guard !page.isTruncated || page.continuation?.isEmpty == false else {
            throw StoreError(.permanent, message: "a page of the listing does not say where the next one begins")
        }
        return ListPage(
            objects: try page.objects.map { (object) throws(StoreError) in
                guard let key = page.isEncoded ? decode(object.key) : object.key, key.utf8.starts(with: prefix.utf8)
                else { throw StoreError(.permanent, message: "a key of the listing is damaged: \(object.key)") }
                var object = object
                object.key = String(decoding: key.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
                return object
            },
            continuation: page.isTruncated ? page.continuation : nil)
    }

    private struct Page {
        var objects: [ObjectInfo] = []
        var isListing = false
        var isDamaged = false
        var isTruncated = false
        var isEncoded = false
        var continuation: String?
        private var key: String?
        private var size: UInt64?
        private var etag: String?
        private var modified: String?

        mutating func take(_ path: [String], _ text: String) {
            guard path.first == "ListBucketResult", let name = path.last else { return }
            switch path.count {
            case 1: isListing = true
            case 2 where name == "Contents": finishObject()
            case 2: takeHead(name, text)
            case 3 where path[1] == "Contents": takeFact(name, text)
            default: break
            }
        }

        private mutating func takeHead(_ name: String, _ text: String) {
            switch name {
            case "IsTruncated": isTruncated = text == "true"
            case "NextContinuationToken": continuation = text
            case "EncodingType": isEncoded = text == "url"
            default: break
            }
        }

        private mutating func takeFact(_ name: String, _ text: String) {
            switch name {
            case "Key": key = text
            case "Size": size = UInt64(text)
            case "ETag": etag = S3Headers.unquoted(text)
            case "LastModified": modified = text
            default: break
            }
        }

        private mutating func finishObject() {
            if let key, let size {
                // Whether the tag is an MD5 depends on the encryption, which a listing does not tell.
                objects.append(
                    ObjectInfo(key: key, size: size, etag: etag, modified: modified.flatMap(S3Time.iso8601)))
            } else {
                isDamaged = true
            }
            (key, size, etag, modified) = (nil, nil, nil, nil)
        }
    }

    /// Percent encoding with `+` for a space, as `encoding-type=url` has it. Nil when it is damaged or no UTF-8.
    static func decode(_ text: String) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.next().flatMap(hexValue), let low = rest.next().flatMap(hexValue) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
