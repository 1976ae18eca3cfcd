internal import Digests
public import Platform

/// What is written.
public enum ObjectBody: Sendable {
    case bytes([UInt8])
    /// The first `length` bytes of a file that does not change meanwhile.
    case file(FileDescriptor, length: UInt64)
    /// `length` bytes from `offset` of a file that does not change meanwhile, with what is known of them.
    case part(FileDescriptor, offset: UInt64, length: UInt64, ContentDigests)

    /// The length in bytes.
    public var length: UInt64 {
        switch self {
        case .bytes(let bytes): UInt64(bytes.count)
        case .file(_, let length), .part(_, _, let length, _): length
        }
    }

    /// Digests that whoever made the body knew already.
    public var digests: ContentDigests {
        if case .part(_, _, _, let digests) = self { return digests }
        return ContentDigests()
    }

    /// Some of its bytes.
    /// - Parameter offset: in the body. No more is read than the body has.
    /// - Throws: `.local` when the file cannot be read or is shorter than the body.
    public func read(at offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
        let count = Int(min(UInt64(max(0, count)), length - min(length, offset)))
        switch self {
        case .bytes(let bytes):
            return count == 0 ? [] : Array(bytes[Int(offset)..<Int(offset) + count])
        case .file(let file, _): return try Self.read(file, at: offset, count: count)
        case .part(let file, let start, _, _): return try Self.read(file, at: start + offset, count: count)
        }
    }

    private static func read(_ file: FileDescriptor, at offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
        let bytes: [UInt8]
        do throws(SystemError) { bytes = try file.read(at: offset, count: count) } catch { throw StoreError(error) }
        guard bytes.count == count else {
            throw StoreError(.local, message: "the file is shorter than it was said to be")
        }
        return bytes
    }
}

/// Digests of a body's bytes, as far as they are known.
public struct ContentDigests: Sendable, Equatable {
    /// 16 bytes.
    public var md5: [UInt8]?
    /// 32 bytes.
    public var sha256: [UInt8]?

    /// What is known; nothing by default.
    public init(md5: [UInt8]? = nil, sha256: [UInt8]? = nil) {
        self.md5 = md5
        self.sha256 = sha256
    }

    /// Small enough for the heap: larger blocks are mapped and given back each time (``Memory``).
    private static let pieceSize = 128 << 10

    /// Reads a body once and takes its digests, giving way to other tasks after every piece.
    /// - Parameters:
    ///   - md5: whether that one is wanted.
    ///   - sha256: whether that one is wanted.
    /// - Throws: `.local` when the file cannot be read; `.cancelled`.
    public static func of(
        _ body: ObjectBody, md5: Bool = true, sha256: Bool
    ) async throws(StoreError) -> ContentDigests {
        let md5 = md5 ? SharedDigest(.md5) : nil
        let sha = sha256 ? SharedDigest(.sha256) : nil
        var offset: UInt64 = 0
        while offset < body.length {
            guard !Task.isCancelled else { throw StoreError(.cancelled, message: "cancelled") }
            let bytes = try body.read(at: offset, count: pieceSize)
            md5?.update(bytes.span.bytes)
            sha?.update(bytes.span.bytes)
            offset += UInt64(bytes.count)
            await Task.yield()
        }
        return ContentDigests(md5: md5?.finalize(), sha256: sha?.finalize())
    }
}
