internal import COpenSSL

/// A message digest of libcrypto that is fed piece by piece. One thread at a time; the pieces are not copied.
final class DigestContext {
    private let context: OpaquePointer

    /// - Parameter algorithm: traps when libcrypto does not offer it, as nothing can be verified then.
    init(_ algorithm: Algorithm) {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, algorithm.implementation, nil) == 1 else {
            fatalError("libcrypto offers no \(algorithm)")
        }
        self.context = context
    }

    init(copying other: DigestContext) {
        guard let context = EVP_MD_CTX_new(), EVP_MD_CTX_copy_ex(context, other.context) == 1 else {
            fatalError("out of memory for a digest")
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: RawSpan) {
        let done = bytes.withUnsafeBytes { EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
        precondition(done == 1, "libcrypto refused a digest update")
    }

    /// The digest; the context is ready for a new message then.
    func finalize(_ algorithm: Algorithm) -> [UInt8] {
        var length: UInt32 = 0
        let digest = [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            let done = EVP_DigestFinal_ex(context, buffer.baseAddress, &length)
            precondition(done == 1, "libcrypto refused to finish a digest")
            count = Int(length)
        }
        precondition(EVP_DigestInit_ex(context, algorithm.implementation, nil) == 1, "libcrypto offers no \(algorithm)")
        return digest
    }
}

/// A digest algorithm.
public enum Algorithm: String, Sendable {
    /// MD5 (RFC 1321): tells versions apart, protects nothing.
    case md5
    /// SHA-256 (FIPS 180-4).
    case sha256
}

extension Algorithm {
    var implementation: OpaquePointer? {
        switch self {
        case .md5: EVP_md5()
        case .sha256: EVP_sha256()
        }
    }

    /// The digest of one message.
    public func hash(_ bytes: RawSpan) -> [UInt8] {
        var length: UInt32 = 0
        return [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            let done = bytes.withUnsafeBytes {
                EVP_Digest($0.baseAddress, $0.count, buffer.baseAddress, &length, implementation, nil)
            }
            precondition(done == 1, "libcrypto offers no \(self)")
            count = Int(length)
        }
    }
}

/// SHA-256 (FIPS 180-4), fed piece by piece. For one thread at a time; see ``SharedDigest`` for more.
public final class SHA256 {
    private let context: DigestContext

    /// An empty message.
    public init() { context = DigestContext(.sha256) }
    private init(_ context: DigestContext) { self.context = context }

    /// Appends to the message. Allocates nothing.
    public func update(_ bytes: RawSpan) { context.update(bytes) }
    /// Appends to the message.
    public func update(_ bytes: [UInt8]) { context.update(bytes.span.bytes) }
    /// The digest, 32 bytes. A new message begins.
    public func finalize() -> [UInt8] { context.finalize(.sha256) }
    /// An independent digest of the message so far.
    public func copy() -> SHA256 { SHA256(DigestContext(copying: context)) }

    /// The digest of one message, 32 bytes.
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { Algorithm.sha256.hash(bytes.span.bytes) }
    /// The digest of one message, 32 bytes.
    public static func hash(_ bytes: RawSpan) -> [UInt8] { Algorithm.sha256.hash(bytes) }
    /// The digest of one message in lower-case hex.
    public static func hex(_ bytes: [UInt8]) -> String { Hex.encode(hash(bytes)) }
    /// The digest of one message in lower-case hex.
    public static func hex(_ bytes: RawSpan) -> String { Hex.encode(hash(bytes)) }
}

/// MD5 (RFC 1321), fed piece by piece: what single-part ETags are. For one thread at a time.
public final class MD5 {
    private let context: DigestContext

    /// An empty message.
    public init() { context = DigestContext(.md5) }
    private init(_ context: DigestContext) { self.context = context }

    /// Appends to the message. Allocates nothing.
    public func update(_ bytes: RawSpan) { context.update(bytes) }
    /// Appends to the message.
    public func update(_ bytes: [UInt8]) { context.update(bytes.span.bytes) }
    /// The digest, 16 bytes. A new message begins.
    public func finalize() -> [UInt8] { context.finalize(.md5) }
    /// An independent digest of the message so far.
    public func copy() -> MD5 { MD5(DigestContext(copying: context)) }

    /// The digest of one message, 16 bytes.
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { Algorithm.md5.hash(bytes.span.bytes) }
    /// The digest of one message, 16 bytes.
    public static func hash(_ bytes: RawSpan) -> [UInt8] { Algorithm.md5.hash(bytes) }
    /// The digest of one message in lower-case hex.
    public static func hex(_ bytes: [UInt8]) -> String { Hex.encode(hash(bytes)) }
    /// The digest of one message in lower-case hex.
    public static func hex(_ bytes: RawSpan) -> String { Hex.encode(hash(bytes)) }
}
