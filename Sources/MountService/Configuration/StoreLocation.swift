internal import Platform

/// Where a store is, as its URL says.
public enum StoreLocation: Sendable, Equatable {
    /// `s3://bucket[/prefix]`.
    case s3(bucket: String, prefix: String)
    /// `azblob://account/container[/prefix]`.
    case azure(account: String, container: String, prefix: String)
    /// `gs://bucket[/prefix]`.
    case gcs(bucket: String, prefix: String)
    /// `file:///dir`, or a path: absolute, without `.`, `..` and trailing slash.
    case directory(path: String)

    /// The URL in its one normal form, without credentials. Prefixes have no slash at either end.
    public var url: String {
        func join(_ parts: String...) -> String { parts.filter { !$0.isEmpty }.joined(separator: "/") }
        switch self {
        case .s3(let bucket, let prefix): return "s3://" + join(bucket, prefix)
        case .azure(let account, let container, let prefix): return "azblob://" + join(account, container, prefix)
        case .gcs(let bucket, let prefix): return "gs://" + join(bucket, prefix)
        case .directory(let path): return "file://" + PercentEncoding.encode(path)
        }
    }

    /// Throws for a kind of store that this version cannot open yet.
    public func requireSupport() throws(ConfigurationError) {
        switch self {
        case .s3, .directory: return
        case .azure: throw ConfigurationError("\(url): Azure Blob Storage is not yet supported in this version")
        case .gcs: throw ConfigurationError("\(url): Google Cloud Storage is not yet supported in this version")
        }
    }

    /// Reads a URL or a path. Nil when the text is neither, and so perhaps the name of a configured store.
    ///
    /// Only `file` URLs are percent-decoded: bucket URLs take the prefix as it is written, as the providers' own tools do.
    /// - Throws: ``ConfigurationError`` saying what is wrong with the URL.
    public static func parse(_ text: String) throws(ConfigurationError) -> StoreLocation? {
        guard !text.isEmpty else { throw ConfigurationError("a store is missing: give a URL such as s3://bucket") }
        guard !text.utf8.contains(0) else { throw ConfigurationError("a store's URL cannot hold a NUL byte") }
        if text.hasPrefix("/") || text == "." || text == ".." || text.hasPrefix("./") || text.hasPrefix("../") {
            return .directory(path: Files.normalized(text))
        }
        guard let colon = text.firstIndex(of: ":") else {
            guard !text.contains("/") else {
                throw ConfigurationError("\(text): no URL and no name of a store; for a directory write ./\(text)")
            }
            return nil
        }
        let scheme = text[..<colon].lowercased()
        let rest = text[text.index(after: colon)...]
        guard rest.hasPrefix("//") else {
            throw ConfigurationError("\(text): two slashes are missing, as in \(scheme)://…")
        }
        return try parse(scheme: scheme, String(rest.dropFirst(2)), text)
    }

    private static func parse(
        scheme: String, _ rest: String, _ text: String
    ) throws(ConfigurationError) -> StoreLocation {
        switch scheme {
        case "s3":
            let (bucket, prefix) = try bucketAndPrefix(rest, text, "s3://BUCKET/PREFIX")
            return .s3(bucket: bucket, prefix: prefix)
        case "gs":
            let (bucket, prefix) = try bucketAndPrefix(rest, text, "gs://BUCKET/PREFIX")
            return .gcs(bucket: bucket, prefix: prefix)
        case "azblob":
            let (account, below) = try bucketAndPrefix(rest, text, "azblob://ACCOUNT/CONTAINER/PREFIX")
            guard !below.isEmpty else {
                throw ConfigurationError("\(text): the container is missing, as in azblob://ACCOUNT/CONTAINER")
            }
            let (container, prefix) = try bucketAndPrefix(below, text, "azblob://ACCOUNT/CONTAINER/PREFIX")
            return .azure(account: account, container: container, prefix: prefix)
        case "file": return try directory(rest, text)
        case "http", "https":
            throw ConfigurationError(
                "\(hidingUser(text)): for a server of your own write s3://BUCKET and give \(scheme)://… as --endpoint")
        default:
            let known = ["s3", "azblob", "gs", "file"]
            let near = ["azure": "azblob", "az": "azblob", "gcs": "gs", "aws": "s3", "s3a": "s3"][scheme]
            let hint = (near ?? Suggestion.nearest(to: scheme, in: known)).map { "; did you mean \($0)://?" } ?? ""
            throw ConfigurationError(
                "\(hidingUser(text)): no store is called \(scheme)://; known are s3://, azblob://, gs:// and file://\(hint)"
            )
        }
    }

    private static func bucketAndPrefix(
        _ rest: String, _ text: String, _ form: String
    ) throws(ConfigurationError) -> (String, String) {
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let bucket = String(parts[0])
        guard !bucket.contains("@") else {
            throw ConfigurationError(
                "\(hidingUser(text)): credentials do not belong in a URL; use a profile, the environment or the configuration"
            )
        }
        guard !bucket.isEmpty else { throw ConfigurationError("\(text): the bucket is missing, as in \(form)") }
        let plain = bucket.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        // Today's rules want 3 to 63 lower-case letters; older buckets and other servers go further.
        guard plain, (3...255).contains(bucket.utf8.count), bucket.first?.isPunctuation == false else {
            throw ConfigurationError(
                "\(text): \"\(bucket)\" cannot be a bucket's name; it has 3 to 255 letters, digits, dots, dashes and underscores"
            )
        }
        guard parts.count == 2 else { return (bucket, "") }
        var prefix = parts[1].drop { $0 == "/" }
        while prefix.last == "/" { prefix.removeLast() }
        // A key has at most 1,024 bytes, and the longest below the prefix must still fit.
        guard prefix.utf8.count <= 700 else { throw ConfigurationError("the prefix is longer than 700 bytes: \(text)") }
        return (bucket, String(prefix))
    }

    private static func directory(_ rest: String, _ text: String) throws(ConfigurationError) -> StoreLocation {
        let path = rest.hasPrefix("localhost/") ? String(rest.dropFirst(9)) : rest
        guard path.hasPrefix("/") else {
            throw ConfigurationError("\(text): a file URL names an absolute path on this machine, as in file:///dir")
        }
        guard !path.utf8.contains(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }) else {
            throw ConfigurationError("\(text): write ? and # in a file URL as %3F and %23")
        }
        guard let decoded = PercentEncoding.decode(path) else {
            throw ConfigurationError(
                "\(text): % must be followed by two hexadecimal digits, and the path must be UTF-8")
        }
        return .directory(path: Files.normalized(decoded))
    }

    /// Hides what stands before an `@`, for it may be a password.
    private static func hidingUser(_ text: String) -> String {
        guard let at = text.lastIndex(of: "@"), let slashes = text.firstIndex(of: "/"), slashes < at else {
            return text
        }
        return text[...slashes] + "/…" + text[at...]
    }
}

/// Percent-encoding of paths (RFC 3986).
enum PercentEncoding {
    /// Encodes all but unreserved characters and slashes.
    static func encode(_ path: String) -> String {
        var text = ""
        for byte in path.utf8 {
            let scalar = Unicode.Scalar(byte)
            if byte < 0x80, scalar.properties.isAlphabetic || "0123456789-._~/".unicodeScalars.contains(scalar) {
                text.unicodeScalars.append(scalar)
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                text += (digits.utf8.count == 1 ? "%0" : "%") + digits
            }
        }
        return text
    }

    /// Nil for a `%` without two digits, for NUL, and for bytes that are no UTF-8.
    static func decode(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(digit), let low = rest.next().flatMap(digit) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}
