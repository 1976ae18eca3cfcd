internal import SessionFormat

/// Short marks of an overall row's content, by which a later reading tells whether the row itself changed. Kept in the
/// database, so the function is fixed: 64-bit FNV-1a (RFC 9923) over the parts.
struct RowMarks: Equatable {
    /// Of size, upload time and checksum.
    var facts: Int64
    /// Of the metadata; nil when the row has none.
    var metadata: Int64?

    init(_ row: OverallRow) {
        var hash = Fingerprint()
        hash.add(row.fileSize)
        hash.add(row.createdAt)
        hash.add(row.checksum?.text)
        facts = hash.value
        metadata = row.metadata.map { metadata in
            var hash = Fingerprint()
            for text in [metadata.name, metadata.desc, metadata.color, metadata.sessionClass] { hash.add(text) }
            hash.add(metadata.createdAt)
            hash.add(UInt64(metadata.imageCount))
            hash.add(metadata.fileSize)
            for tag in metadata.tags { hash.add(tag) }
            return hash.value
        }
    }
}

private struct Fingerprint {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    var value: Int64 { Int64(bitPattern: state) }

    mutating func add(_ text: String?) {
        guard var text else { return mix(0xff) }
        text.withUTF8 { for byte in $0 { mix(byte) } }
        // No UTF-8 text holds this byte, so that parts cannot run into each other.
        mix(0xfe)
    }

    mutating func add(_ number: UInt64?) {
        guard var rest = number else { return mix(0xff) }
        for _ in 0..<8 {
            mix(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    private mutating func mix(_ byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x100_0000_01b3
    }
}
