internal import CZlib

/// Writes pictures with a palette as PNG (W3C PNG, third edition): 8 bits for a pixel, no interlace, no filter.
enum PNG {
    private static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    static func encode(_ canvas: Canvas) -> [UInt8] {
        var header: [UInt8] = []
        append(UInt32(canvas.width), to: &header)
        append(UInt32(canvas.height), to: &header)
        // Bit depth 8, colour type 3 (palette), deflate, adaptive filters, no interlace.
        header.append(contentsOf: [8, 3, 0, 0, 0])

        var rows: [UInt8] = []
        rows.reserveCapacity((canvas.width + 1) * canvas.height)
        for y in 0..<canvas.height {
            rows.append(0)
            rows.append(contentsOf: canvas.pixels[y * canvas.width..<(y + 1) * canvas.width])
        }

        var file = signature
        chunk("IHDR", header, into: &file)
        chunk("PLTE", Palette.bytes, into: &file)
        chunk("IDAT", compressed(rows), into: &file)
        chunk("IEND", [], into: &file)
        return file
    }

    private static func chunk(_ type: StaticString, _ data: [UInt8], into file: inout [UInt8]) {
        append(UInt32(data.count), to: &file)
        let start = file.count
        file.append(contentsOf: UnsafeBufferPointer(start: type.utf8Start, count: type.utf8CodeUnitCount))
        file.append(contentsOf: data)
        let checksum = file.withUnsafeBufferPointer { bytes in
            let covered = UnsafeBufferPointer(rebasing: bytes[start...])
            return crc32(0, covered.baseAddress, UInt32(covered.count))
        }
        append(UInt32(truncatingIfNeeded: checksum), to: &file)
    }

    private static func compressed(_ bytes: [UInt8]) -> [UInt8] {
        let bound = compressBound(UInt(bytes.count))
        return [UInt8](unsafeUninitializedCapacity: Int(bound)) { buffer, count in
            var length = bound
            // A low level: pictures of windows are flat, and a demo should not keep its user waiting.
            let status = compress2(buffer.baseAddress, &length, bytes, UInt(bytes.count), 3)
            precondition(status == Z_OK, "zlib cannot compress into a buffer of its own bound: out of memory")
            count = Int(length)
        }
    }

    private static func append(_ value: UInt32, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
