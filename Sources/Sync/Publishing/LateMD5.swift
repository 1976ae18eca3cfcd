internal import Digests
internal import Glibc
internal import Platform

/// The MD5 of contents that go in parts. Their upload does not need it, and it takes longer than all else that is done to
/// them; it tells later that an object whose tag is another has the same contents. So it is taken after the body is sent,
/// beside index and row; where the body takes long, which is the line's doing, beside that.
struct LateMD5: Sendable {
    private let waiting: Task<Void, Never>
    private let taking: Task<String?, Never>

    private static let piece = 128 << 10
    /// Seconds after which an upload takes long.
    static let patience = 2.0

    /// Begins when it is known that the contents are to be sent, and not before its time.
    init(_ examination: Examination, patience: Double = Self.patience) {
        let waiting = Task<Void, Never> { try? await Task.sleep(for: .seconds(patience)) }
        self.waiting = waiting
        taking = Task {
            guard let facts = try? await examination.facts() else { return nil }
            if let known = facts.md5 { return known }
            await waiting.value
            let isStopped = Guarded(false)
            return await withTaskCancellationHandler {
                await Self.atLeisure { Self.take(examination.file, facts.size, isStopped) }
            } onCancel: {
                isStopped.withLock { $0 = true }
            }
        }
    }

    /// Lower-case hex. Nil where the file cannot be read, and after a cancellation, the waiting task's included.
    var md5: String? {
        get async {
            await withTaskCancellationHandler {
                await taking.value
            } onCancel: {
                cancel()
            }
        }
    }

    /// The body is sent.
    func begin() { waiting.cancel() }

    /// It is not needed.
    func cancel() {
        waiting.cancel()
        taking.cancel()
    }

    /// Runs work on a thread of its own behind all others of the process.
    private static func atLeisure<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { done in
            let thread = WorkerThread(name: "md5") {
                // On Linux for this thread alone, and between processes only where sessions are not scheduled as groups.
                setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 19)
                done.resume(returning: work())
            }
            thread.detach()
        }
    }

    private static func take(_ file: FileDescriptor, _ size: UInt64, _ isStopped: Guarded<Bool>) -> String? {
        let digest = MD5()
        var offset: UInt64 = 0
        while offset < size {
            guard !isStopped.withLock({ $0 }),
                let bytes = try? file.read(at: offset, count: Int(min(UInt64(piece), size - offset))), !bytes.isEmpty
            else { return nil }
            digest.update(bytes)
            offset += UInt64(bytes.count)
        }
        return Hex.encode(digest.finalize())
    }
}
