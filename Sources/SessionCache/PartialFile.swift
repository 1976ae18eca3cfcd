internal import CSystem
internal import Glibc
internal import Platform
internal import Synchronization

/// The file that a download fills: `.<id>.<random>.partial` beside the cached bodies, private, locked while its process
/// lives. It goes with this object unless it was published.
final class PartialFile: Sendable {
    static let suffix = ".partial"

    let descriptor: FileDescriptor
    private let path: String
    /// Whether the name is another file's affair by now.
    private let isSettled = Atomic(false)

    /// Makes the file and reserves its space.
    /// - Throws: `SystemError`; ``SystemError/isDiskFull`` when the space is not there.
    init(in directory: String, id: Int64, size: UInt64) throws(SystemError) {
        let token = String(UInt64.random(in: .min ... .max), radix: 36)
        let path = "\(directory)/.\(id).\(token)\(PartialFile.suffix)"
        self.path = path
        descriptor = try FileDescriptor.open(path, [.readWrite, .exclusive, .noFollow])
        do throws(SystemError) {
            try PartialFile.lock(descriptor, path)
            try descriptor.reserve(size)
        } catch {
            unlink(path)
            throw error
        }
    }

    deinit { discard() }

    /// Removes the file unless it was published; who has it open can go on reading. Again is harmless.
    func discard() {
        if !isSettled.exchange(true, ordering: .acquiringAndReleasing) { unlink(path) }
    }

    /// Copies another file's bytes.
    func fill(from source: FileDescriptor, size: UInt64) throws(SystemError) {
        var offset: UInt64 = 0
        while offset < size {
            let bytes = try source.read(at: offset, count: Int(min(size - offset, 1 << 20)))
            if bytes.isEmpty { return }
            try descriptor.write(bytes, at: offset)
            offset += UInt64(bytes.count)
        }
    }

    /// Makes the contents durable and gives them their name, over an older version.
    /// - Returns: the file's modification time, by which a later open knows that nobody touched it; nil when another
    ///   process put its own file there in the same moment.
    /// - Throws: `SystemError` of ftruncate(2), fsync(2) or rename(2).
    func publish(as target: String, size: UInt64) throws(SystemError) -> Timestamp? {
        guard try descriptor.size() == size else {
            throw SystemError(code: EIO, operation: "check length", subject: path)
        }
        try descriptor.synchronize()
        try Files.rename(path, to: target)
        isSettled.store(true, ordering: .releasing)
        let mine = try descriptor.status()
        guard let there = try Files.status(target), there.inode == mine.inode, there.device == mine.device else {
            return nil
        }
        return mine.modified
    }

    /// Removes the partial files in a directory whose process is gone.
    /// - Returns: how many.
    static func removeAbandoned(in directory: String) throws(SystemError) -> Int {
        var removed = 0
        for name in try Files.names(in: directory) where name.hasPrefix(".") && name.hasSuffix(suffix) {
            let path = directory + "/" + name
            // One that cannot be opened or locked has gone meanwhile or is in use.
            guard let file = try? FileDescriptor.open(path, [.read, .noFollow]), (try? lock(file, path)) != nil else {
                continue
            }
            try Files.remove(path)
            removed += 1
        }
        return removed
    }

    private static func lock(_ file: FileDescriptor, _ path: String) throws(SystemError) {
        if flock(file.raw, LOCK_EX | LOCK_NB) == -1 { throw .current("flock", path) }
    }
}

extension SystemError {
    /// The disk or the user's quota is full.
    var isDiskFull: Bool { code == ENOSPC || code == EDQUOT }
}
