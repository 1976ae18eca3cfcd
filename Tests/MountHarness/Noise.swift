internal import Foundation
internal import Platform

/// Bytes of which no two places are alike.
package enum Noise {
    package static func bytes(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let source = try FileDescriptor.open("/dev/urandom")
        while bytes.count < count { bytes += try source.readAvailable(min(1 << 20, count - bytes.count)) }
        return bytes
    }

    /// Equality at the speed of memory, in a debug build too.
    package static func same(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && memcmp(left, right, left.count) == 0
    }
}
