internal import Digests
internal import Glibc
internal import Platform

/// Hashes a file from its beginning while it grows, so that little is left to do when the last byte comes.
final class PrefixHasher: Sendable {
    /// How much is read at a time: small enough to stay in a core's own cache between the copy and the hash.
    private static let chunk = 128 << 10

    private let algorithm: Algorithm
    private let digest: SharedDigest
    private let file: FileDescriptor

    /// - Parameter expected: decides the algorithm; without one SHA-256 is taken, for later checks.
    init(_ file: FileDescriptor, expected: Digest?) {
        self.file = file
        algorithm = if case .md5 = expected { .md5 } else { .sha256 }
        digest = SharedDigest(algorithm)
    }

    /// Takes in the next bytes of the file. Called in order, one at a time.
    /// - Throws: `SystemError` of pread(2); `EIO` when the file is shorter.
    func update(_ range: Range<UInt64>) throws(SystemError) {
        try file.forEachChunk(in: range, of: PrefixHasher.chunk) { bytes in
            digest.update(bytes)
            return true
        }
    }

    /// The digest of everything taken in.
    func finish() -> Digest {
        let hex = Hex.encode(digest.finalize())
        return algorithm == .md5 ? .md5(hex) : .sha256(hex)
    }

    /// The digest of a whole file by the algorithm of an expected one.
    static func digest(of file: FileDescriptor, like expected: Digest?) throws(SystemError) -> Digest {
        let hasher = PrefixHasher(file, expected: expected)
        try hasher.update(0..<file.size())
        return hasher.finish()
    }
}

extension FileDescriptor {
    /// Reads a range through one buffer.
    /// - Parameter body: gets the pieces in order; false ends it.
    func forEachChunk(
        in range: Range<UInt64>, of chunk: Int, _ body: (RawSpan) -> Bool
    ) throws(SystemError) {
        var failure: SystemError?
        withUnsafeTemporaryAllocation(byteCount: chunk, alignment: 64) { buffer in
            var position = range.lowerBound
            while position < range.upperBound {
                let count = Int(min(UInt64(chunk), range.upperBound - position))
                let n = pread(raw, buffer.baseAddress, count, off_t(position))
                if n <= 0 {
                    let cause = SystemError.current("pread")
                    if n < 0 && cause.code == EINTR { continue }
                    failure = n == 0 ? SystemError(code: EIO, operation: "read a file that is too short") : cause
                    return
                }
                if !body(UnsafeRawBufferPointer(rebasing: buffer[..<n]).bytes) { return }
                position += UInt64(n)
            }
        }
        if let failure { throw failure }
    }

    /// Whether two files hold the same bytes in a range.
    func agrees(with other: FileDescriptor, in range: Range<UInt64>) throws(SystemError) -> Bool {
        var position = range.lowerBound
        while position < range.upperBound {
            let count = Int(min(256 << 10, range.upperBound - position))
            guard try read(at: position, count: count) == other.read(at: position, count: count) else { return false }
            position += UInt64(count)
        }
        return true
    }
}
