/// Sessions as FastShot writes them, of any size, from a seed.
package enum TestSession {
    /// `20260101000000_name.fastshot`, another second for every number.
    package static func fileName(_ number: Int, _ title: String = "s") -> String {
        let digits = String(number)
        return "202601" + String(repeating: "0", count: 8 - digits.count) + digits + "_\(title).fastshot"
    }

    /// A session's object. Two seeds give other bytes and other metadata.
    /// - Parameters:
    ///   - size: at least so many bytes; what is too little for a session is made up to one.
    ///   - key: FastShot's; nil leaves the text plain behind the cover.
    package static func bytes(_ seed: Int, size: Int = 0, key: String? = Fixture.key) -> [UInt8] {
        // Everything between the head and the tail repeats with the key, so that only one block has to be hidden.
        let secret = key.map { Array($0.utf8) } ?? [0]
        var head = Array(head(seed).utf8)
        while (head.count + 1) % secret.count != 0 { head.insert(UInt8(ascii: " "), at: 1) }
        head.append(UInt8(ascii: "\""))
        let tail = Array(tail(seed).utf8)
        var block = filler(seed, count: secret.count * 512)
        hide(&block, secret)
        var bytes = cover + Array("FHDR".utf8)
        hide(&head, secret)
        bytes += head
        bytes.reserveCapacity(max(size, bytes.count) + block.count + tail.count)
        var number = 0
        while bytes.count + tail.count < size {
            let start = bytes.count
            bytes += block
            // No two blocks are alike.
            for (place, digit) in String(10_000_000 + number).utf8.enumerated() {
                bytes[start + place] = digit ^ secret[place % secret.count]
            }
            number += 1
        }
        var end = tail
        hide(&end, secret)
        return bytes + end
    }

    /// The metadata's name of a seed's session.
    package static func title(_ seed: Int) -> String { "Sitzung \(seed) – 会議" }

    private static func head(_ seed: Int) -> String {
        """
        {"session": {"version": "1.0", "timestamp": "\(created(seed))", "windows": [{"index": 0, \
        "geometry": {"x": \(seed % 100), "y": 7, "width": 1, "height": 1}, "scale": 1.0, "draw_history": [], \
        "is_hidden": false, "window_id": \(1000 + seed), "annotated_original_data": null, \
        "original_image_data": "\(dot)", "image_data": 
        """
    }

    private static func tail(_ seed: Int) -> String {
        """
        "}]}, "metadata": {"name": "\(title(seed))", "desc": "made by a test", "tags": ["test", "t\(seed % 7)"], \
        "color": "green", "class": "c\(seed % 3)", "created_at": "\(created(seed))", "filename": "x.fastshot", \
        "image_count": 1, "thumbnail_collage": null}}
        """
    }

    private static func created(_ seed: Int) -> String { "2026-01-02T03:04:05." + String(100_000 + seed % 900_000) }

    private static func hide(_ bytes: inout [UInt8], _ secret: [UInt8]) {
        for place in bytes.indices { bytes[place] ^= secret[place % secret.count] }
    }

    /// Letters that follow from the seed.
    private static func filler(_ seed: Int, count: Int) -> [UInt8] {
        var state = UInt64(truncatingIfNeeded: seed) &* 0x9e37_79b9_7f4a_7c15 | 1
        return (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return UInt8(ascii: "A") + UInt8(state >> 40 & 15)
        }
    }

    /// A white picture of 100 × 100, as FastShot's cover.
    private static let cover: [UInt8] = [
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00,
        0x00, 0x64, 0x00, 0x00, 0x00, 0x64, 0x08, 0x00, 0x00, 0x00, 0x00, 0x55, 0x89, 0xca, 0x88, 0x00, 0x00, 0x00,
        0x3d, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0xed, 0xcd, 0x01, 0x09, 0x00, 0x00, 0x0c, 0x03, 0xa0, 0xf5, 0x2f,
        0xbd, 0xb5, 0x38, 0x1c, 0xb4, 0x80, 0xe9, 0x81, 0x48, 0x24, 0x12, 0x89, 0x44, 0x22, 0x91, 0x48, 0x24, 0x12,
        0x89, 0x44, 0x22, 0x91, 0x48, 0x24, 0x12, 0x89, 0x44, 0x22, 0x91, 0x48, 0x24, 0x12, 0x89, 0x44, 0x22, 0x91,
        0x48, 0x24, 0x12, 0x89, 0x44, 0xf2, 0x3f, 0x19, 0x31, 0xd8, 0xeb, 0x2b, 0x7e, 0xdc, 0x9b, 0x1b, 0x00, 0x00,
        0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
    ]
    /// A picture of one point, in base64.
    private static let dot =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
}
