internal import SessionFormat

/// The length of an index file without making it, for every new session needs it. What does not depend on the texts is
/// measured on the encoder itself.
enum IndexLength {
    /// As many bytes as `MetadataIndex(fileName:metadata:createdAt:lastUpdated:).encode()` gives, with both times the
    /// metadata's `createdAt`.
    static func of(fileName: String, _ metadata: SessionMetadata) -> UInt64 {
        var length = frame + escaped(fileName) + escaped(metadata.name) + escaped(metadata.desc)
        length += escaped(metadata.color) + escaped(metadata.sessionClass)
        length += digits(UInt64(metadata.imageCount)) - 1
        length += metadata.fileSize.map { digits($0) - 1 } ?? null - 1
        // The creation stands there three times.
        length += 3 * (metadata.createdAt.map { escaped($0) } ?? null - 2)
        if !metadata.tags.isEmpty { length += firstTag + nextTag * (metadata.tags.count - 1) }
        for tag in metadata.tags { length += escaped(tag) }
        return UInt64(length)
    }

    private static let null = 4
    private static let frame = encoded([])
    private static let firstTag = encoded([""]) - frame
    private static let nextTag = encoded(["", ""]) - frame - firstTag

    private static func encoded(_ tags: [String]) -> Int {
        let metadata = SessionMetadata(tags: tags, color: "", createdAt: "", fileSize: 0)
        return MetadataIndex(fileName: "", metadata: metadata, createdAt: "", lastUpdated: "").encode().count
    }

    private static func digits(_ number: UInt64) -> Int {
        var rest = number / 10
        var count = 1
        while rest > 0 {
            rest /= 10
            count += 1
        }
        return count
    }

    /// The bytes of a JSON string between its quotes, UTF-8 as it is.
    private static func escaped(_ text: String) -> Int {
        var text = text
        return text.withUTF8 { bytes in
            var length = bytes.count
            for byte in bytes where byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                switch byte {
                case 0x08, 0x09, 0x0A, 0x0C, 0x0D, UInt8(ascii: "\""), UInt8(ascii: "\\"): length += 1
                default: length += 5
                }
            }
            return length
        }
    }
}
