internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform

/// open(2)'s O_DIRECT, which the Glibc module leaves out.
#if arch(arm64)
    private let directFlag: Int32 = 0o200000
#else
    private let directFlag: Int32 = 0o40000
#endif

/// Answers a READ, now or when the bytes have arrived.
/// - Parameter flags: of the open file.
func read(
    _ request: fuse_req_t?, _ handle: UInt64, _ size: Int, _ offset: off_t, flags: Int32, _ bridge: FuseSession
) {
    let pending = bridge.pendingReply(request, interrupts: .answered)
    let answer: ReadReply = { result in pending.answer { bridge.reply($0, result) } }
    // Past the page cache a program may ask for as much as it likes.
    if flags & directFlag != 0 {
        bridge.tree.read(handle, at: UInt64(max(0, offset)), count: size, reply: answer)
    } else {
        bridge.tree.readPages(handle, at: UInt64(max(0, offset)), count: size, reply: answer)
    }
}

extension FuseSession {
    /// Answers with an errno, and logs what a user will want to know.
    func replyError(_ request: fuse_req_t?, _ error: FileSystemError) {
        switch error.kind {
        case .offline, .denied, .changed, .corrupt, .diskFull, .inputOutput: log.warning(error.description)
        default: break
        }
        fuse_reply_err(request, errnoValue(error))
    }

    func reply(_ request: fuse_req_t?, _ result: Result<ReadBytes, FileSystemError>) {
        switch result {
        case .failure(let error): replyError(request, error)
        case .success(.memory(let bytes, let range)):
            bytes.withUnsafeBytes { source in
                let part = UnsafeRawBufferPointer(rebasing: source[range])
                _ = fuse_reply_buf(request, part.baseAddress?.assumingMemoryBound(to: CChar.self), part.count)
            }
        case .success(.file(let file, let offset, let count)):
            let buffer = buffers.take()
            defer { buffers.give(back: buffer) }
            var filled = 0
            while filled < min(count, buffer.count) {
                let result = pread(
                    file.raw, buffer.baseAddress.map { $0 + filled }, min(count, buffer.count) - filled,
                    off_t(offset) + off_t(filled))
                if result > 0 {
                    filled += result
                } else if result == 0 {
                    break
                } else if errno != EINTR {
                    fuse_reply_err(request, errno)
                    return
                }
            }
            fuse_reply_buf(request, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), filled)
        }
    }

    /// The kernel gave up on an OPEN before it was answered: nobody will send a RELEASE.
    func abandon(_ handle: UInt64, _ node: UInt64) {
        later { [self] in tree.close(handle) }
        passthrough.close(node: node)
    }
}

/// Buffers for replies, reused: a fresh megabyte each time would cost more in page faults than the copy itself.
final class BufferPool: Sendable {
    /// The largest read that the kernel sends.
    private static let size = 1 << 20
    private let free = Guarded<[Buffer]>([])

    /// `@unchecked Sendable`: one thread at a time has it; the pool passes it on under its lock.
    private struct Buffer: @unchecked Sendable {
        let memory: UnsafeMutableRawBufferPointer
    }

    func take() -> UnsafeMutableRawBufferPointer {
        free.withLock { $0.popLast() }?.memory
            ?? UnsafeMutableRawBufferPointer.allocate(byteCount: BufferPool.size, alignment: 4096)
    }

    /// Keeps a few, frees the others.
    func give(back memory: UnsafeMutableRawBufferPointer) {
        let buffer = Buffer(memory: memory)
        let kept = free.withLock { free in
            guard free.count < 4 else { return false }
            free.append(buffer)
            return true
        }
        if !kept { memory.deallocate() }
    }

    deinit { free.withLock { free in free.forEach { $0.memory.deallocate() } } }
}
