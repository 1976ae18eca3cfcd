internal import CSystem
internal import Glibc

/// A pipe between this process and a child (pipe2(2), close-on-exec).
public final class Pipe: Sendable {
    /// What the child gets.
    public let writeEnd: FileDescriptor
    private let readEnd: FileDescriptor

    private init(_ readEnd: FileDescriptor, _ writeEnd: FileDescriptor) {
        self.readEnd = readEnd
        self.writeEnd = writeEnd
    }

    /// - Throws: `SystemError` of pipe2(2).
    public static func make() throws(SystemError) -> Pipe {
        var ends: (Int32, Int32) = (-1, -1)
        let result = withUnsafeMutableBytes(of: &ends) { sfs_pipe($0.bindMemory(to: Int32.self).baseAddress) }
        guard result == 0 else { throw .current("pipe") }
        return Pipe(FileDescriptor(owning: ends.0), FileDescriptor(owning: ends.1))
    }

    /// Lets a reader see the end when the child has closed its copy.
    public func closeWriteEnd() { writeEnd.closeNow() }

    /// What a writer has sent; waits for it. Nothing when the last writer is gone.
    public func readAvailable() throws(SystemError) -> [UInt8] { try readEnd.readAvailable(4096) }

    /// Everything until the last writer is gone, at most 64 KiB.
    public func readToEnd() throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < 65_536 {
            let part = try readAvailable()
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }
}
