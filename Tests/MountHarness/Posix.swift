internal import Foundation
internal import Platform

/// Calls whose failures tests look at.
package enum Posix {
    /// Whether a process has ended. A zombie has, whenever its parent may come to it.
    package static func hasEnded(_ pid: Int32) -> Bool { state("/proc/\(pid)").map { $0 == "Z" } ?? true }

    /// Whether a thread of a process waits in the kernel and cannot be interrupted there.
    static func hasThreadInKernel(_ pid: Int32) -> Bool {
        let threads = (try? Files.names(in: "/proc/\(pid)/task")) ?? []
        return threads.contains { state("/proc/\(pid)/task/\($0)") == "D" }
    }

    private static func state(_ path: String) -> Substring? {
        guard let stat = try? Files.read(path + "/stat") else { return nil }
        return String(decoding: stat, as: UTF8.self).drop { $0 != ")" }.split(separator: " ").dropFirst().first
    }

    /// The errno of open(2), 0 when it works.
    package static func open(_ path: String, _ flags: Int32 = O_RDONLY) -> Int32 {
        let descriptor = Glibc.open(path, flags)
        if descriptor < 0 { return errno }
        close(descriptor)
        return 0
    }

    /// The errno of reading a whole file, 0 when it works, and what was read before.
    package static func read(_ path: String) -> (bytes: [UInt8], error: Int32) {
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

    /// Writes a whole file as `cp` does: opened, cut, written in pieces, closed.
    /// - Throws: the first failure, that of close(2) too.
    package static func save(_ path: String, _ bytes: [UInt8], _ flags: Int32 = O_WRONLY | O_CREAT | O_TRUNC) throws {
        let file = try OpenedFile(path, flags)
        var start = 0
        while start < bytes.count {
            let end = min(start + (1 << 17), bytes.count)
            try file.write(Array(bytes[start..<end]), at: start)
            start = end
        }
        try file.close()
    }
}

/// A descriptor whose calls all throw, close(2) too.
package final class OpenedFile {
    package let descriptor: Int32
    private let path: String
    private var isOpen = true

    package init(_ path: String, _ flags: Int32, permissions: UInt32 = 0o644) throws {
        self.path = path
        descriptor = Glibc.open(path, flags | O_CLOEXEC, permissions)
        guard descriptor >= 0 else { throw SystemError.current("open", path) }
    }

    deinit { if isOpen { _ = Glibc.close(descriptor) } }

    /// Writes all bytes at an offset.
    package func write(_ bytes: [UInt8], at offset: Int) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                pwrite(descriptor, buffer.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
            }
            guard count > 0 else { throw SystemError.current("write", path) }
            done += count
        }
    }

    /// Reads up to so many bytes from an offset.
    package func read(at offset: Int, count: Int) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: count)
        let read = pread(descriptor, &buffer, count, off_t(offset))
        guard read >= 0 else { throw SystemError.current("read", path) }
        return Array(buffer[..<read])
    }

    package func truncate(_ size: Int) throws {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw SystemError.current("ftruncate", path) }
    }

    package func synchronize() throws {
        guard fsync(descriptor) == 0 else { throw SystemError.current("fsync", path) }
    }

    package func close() throws {
        isOpen = false
        guard Glibc.close(descriptor) == 0 else { throw SystemError.current("close", path) }
    }
}

/// getxattr(2) and listxattr(2), which Swift's Glibc module leaves out.
package enum ExtendedAttributes {
    private typealias Get =
        @convention(c) (UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafeMutableRawPointer, Int) -> Int
    private typealias List = @convention(c) (UnsafePointer<CChar>, UnsafeMutableRawPointer, Int) -> Int
    private static let get = unsafeBitCast(dlsym(nil, "getxattr"), to: Get.self)
    private static let list = unsafeBitCast(dlsym(nil, "listxattr"), to: List.self)

    package static func value(_ name: String, of path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = get(path, name, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
    }

    package static func names(of path: String) -> [String] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = list(path, &buffer, buffer.count)
        return buffer[..<max(0, count)].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
}
