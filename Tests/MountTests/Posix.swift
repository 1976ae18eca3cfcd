import Foundation
import Platform

/// Calls whose failures tests look at.
enum Posix {
    /// Whether a process has ended. A zombie has, whenever its parent may come to it.
    static func hasEnded(_ pid: Int32) -> Bool {
        guard let stat = try? Files.read("/proc/\(pid)/stat") else { return true }
        let text = String(decoding: stat, as: UTF8.self)
        return text.drop { $0 != ")" }.split(separator: " ").dropFirst().first == "Z"
    }

    /// The errno of open(2), 0 when it works.
    static func open(_ path: String, _ flags: Int32 = O_RDONLY) -> Int32 {
        let descriptor = Glibc.open(path, flags)
        if descriptor < 0 { return errno }
        close(descriptor)
        return 0
    }

    /// The errno of reading a whole file, 0 when it works, and what was read before.
    static func read(_ path: String) -> (bytes: [UInt8], error: Int32) {
        let descriptor = Glibc.open(path, O_RDONLY)
        if descriptor < 0 { return ([], errno) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 { return (bytes, errno) }
            if count == 0 { return (bytes, 0) }
            bytes += buffer[..<count]
        }
    }
}

/// getxattr(2) and listxattr(2), which Swift's Glibc module leaves out.
enum ExtendedAttributes {
    private typealias Get =
        @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutableRawPointer, Int) -> Int
    private typealias List = @convention(c) (UnsafePointer<CChar>, UnsafeMutableRawPointer, Int) -> Int
    private static let get = unsafeBitCast(dlsym(nil, "getxattr"), to: Get.self)
    private static let list = unsafeBitCast(dlsym(nil, "listxattr"), to: List.self)

    static func value(_ name: String, of path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = get(path, name, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    static func names(of path: String) -> [String] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = list(path, &buffer, buffer.count)
        return buffer[..<max(0, count)].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
