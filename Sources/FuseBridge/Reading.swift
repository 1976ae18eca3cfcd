internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform

/// A request that may be answered from any thread. `@unchecked Sendable`: libfuse allows that, and ``PendingRead``
/// hands the request to one thread only.
struct RequestReference: @unchecked Sendable {
    let request: fuse_req_t?
}

/// A read that may be answered later. It is answered exactly once: by its bytes, or by an interrupt.
private final class PendingRead: Sendable {
    private let held: Guarded<RequestReference?>

    init(_ request: fuse_req_t?) { held = Guarded(RequestReference(request: request)) }

    /// The request for whoever comes first; nil for all others.
    func take() -> RequestReference? {
        held.withLock { held in
            let taken = held
            held = nil
            return taken
        }
    }
}

/// Reads that are not answered yet, by the token that libfuse gives back on an interrupt. A token instead of a
/// pointer: an interrupt may come while the answer is on its way and the object already gone.
private let waiting = Guarded<(next: UInt, reads: [UInt: PendingRead])>((1, [:]))

/// Answers a READ, now or when the bytes have arrived.
func read(_ request: fuse_req_t?, _ handle: UInt64, _ size: Int, _ offset: off_t, _ bridge: FuseSession) {
    let pending = PendingRead(request)
    let token = waiting.withLock { state in
        let token = state.next
        state.next += 1
        state.reads[token] = pending
        return token
    }
    // A signal must be able to end the wait: the kernel cannot take back a request that user space holds, and the
    // program could not even be killed.
    fuse_req_interrupt_func(
        request,
        { _, data in
            guard let pending = waiting.withLock({ $0.reads.removeValue(forKey: UInt(bitPattern: data)) }),
                let taken = pending.take()
            else { return }
            fuse_reply_err(taken.request, EINTR)
        }, UnsafeMutableRawPointer(bitPattern: token))
    bridge.tree.read(handle, at: UInt64(max(0, offset)), count: size) { [bridge] result in
        waiting.withLock { _ = $0.reads.removeValue(forKey: token) }
        guard let taken = pending.take() else { return }
        bridge.reply(taken.request, result)
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
    func abandon(_ handle: UInt64, _ inode: UInt64) {
        tree.close(handle)
        passthrough.close(inode: inode, handle: handle)
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
