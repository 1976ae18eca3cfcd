internal import COpenSSL

/// Keyed message authentication with SHA-256 (RFC 2104), as request signatures use it.
public enum HMACSHA256 {
    /// The authentication code of a message, 32 bytes.
    public static func authenticate(key: [UInt8], message: [UInt8]) -> [UInt8] {
        var length: UInt32 = 0
        return [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
            let done = key.withUnsafeBytes { key in
                message.withUnsafeBufferPointer { message in
                    // Without a key's address, HMAC() would go on with the key of a call before.
                    var none: UInt8 = 0
                    return withUnsafePointer(to: &none) { none in
                        HMAC(
                            EVP_sha256(), key.baseAddress ?? UnsafeRawPointer(none), Int32(key.count),
                            message.baseAddress, message.count, buffer.baseAddress, &length)
                    }
                }
            }
            precondition(done != nil, "libcrypto offers no HMAC-SHA-256")
            count = Int(length)
        }
    }
}

/// Compares without telling by its duration where two secrets differ. Different lengths are told at once.
public func constantTimeEquals(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return left.withUnsafeBytes { left in
        right.withUnsafeBytes { right in
            left.isEmpty || CRYPTO_memcmp(left.baseAddress, right.baseAddress, left.count) == 0
        }
    }
}

/// Bytes that nobody can guess, from libcrypto's generator.
public func randomBytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        precondition(RAND_bytes(buffer.baseAddress, Int32(count)) == 1, "libcrypto has no entropy")
        filled = count
    }
}
