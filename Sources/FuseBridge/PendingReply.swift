internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform

/// A request that may be answered from any thread. `@unchecked Sendable`: libfuse allows that, and ``PendingReply``
/// hands the request to one thread only.
struct RequestReference: @unchecked Sendable {
    let request: fuse_req_t?
}

/// A request that is answered later, exactly once: by its outcome, by an interrupt, or not at all when the session is
/// torn down before.
final class PendingReply: Sendable {
    private let session: FuseSession
    private let token: UInt?
    private let state: Guarded<State>

    private struct State {
        /// Nil once somebody has taken it.
        var request: RequestReference?
        /// Stops what the request waits for.
        var cancel: (@Sendable () -> Void)?
        /// libfuse is still being told of the request, and holds a lock in it.
        var isRegistering = false
        var isInterrupted = false
    }

    fileprivate init(_ request: fuse_req_t?, session: FuseSession, token: UInt?) {
        self.session = session
        self.token = token
        state = Guarded(State(request: RequestReference(request: request), isRegistering: token != nil))
    }

    /// libfuse knows how to interrupt the request.
    fileprivate func registered() {
        let isInterrupted = state.withLock { state in
            state.isRegistering = false
            return state.isInterrupted
        }
        if isInterrupted { interrupt() }
    }

    /// Answers, unless somebody has.
    /// - Returns: whether `body` was called. When it was not, nobody has learnt of the outcome.
    @discardableResult
    func answer(_ body: (fuse_req_t?) -> Void) -> Bool {
        if let token { session.pending.forget(token) }
        guard session.enter() else { return false }
        defer { session.leave() }
        let taken = state.withLock { state in
            defer { state = State() }
            return state.request
        }
        guard let taken else { return false }
        body(taken.request)
        return true
    }

    /// Calls `cancel` when the request is interrupted, at once if it was already.
    func onInterrupt(_ cancel: @escaping @Sendable () -> Void) {
        let isOver = state.withLock { state in
            if state.request != nil { state.cancel = cancel }
            return state.request == nil
        }
        if isOver { cancel() }
    }

    /// The program has got a signal: it gets its answer, and what it waited for is no longer wanted.
    fileprivate func interrupt() {
        let (waits, cancel) = state.withLock { state in
            state.isInterrupted = true
            return (state.isRegistering, state.cancel)
        }
        // An answer frees the request, and the lock in it.
        if waits { return }
        answer { fuse_reply_err($0, EINTR) }
        cancel?()
    }
}

/// Requests that wait for the network, by the token that libfuse gives back on an interrupt. A token instead of a
/// pointer: an interrupt may come while the answer is on its way and the object already gone.
final class PendingReplies: Sendable {
    private let waiting = Guarded<(next: UInt, replies: [UInt: PendingReply])>((1, [:]))

    fileprivate func add(_ make: (UInt) -> PendingReply) -> (PendingReply, UInt) {
        let token = waiting.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        let reply = make(token)
        waiting.withLock { $0.replies[token] = reply }
        return (reply, token)
    }

    fileprivate func forget(_ token: UInt) { waiting.withLock { _ = $0.replies.removeValue(forKey: token) } }

    func interrupt(_ token: UInt) { waiting.withLock { $0.replies.removeValue(forKey: token) }?.interrupt() }

    /// The session ends: nobody may be left who waits.
    func interruptAll() {
        let all = waiting.withLock { state in
            defer { state.replies = [:] }
            return Array(state.replies.values)
        }
        for reply in all { reply.interrupt() }
    }
}

extension FuseSession {
    /// Keeps a request for an answer from another thread.
    /// - Parameter interruptible: a signal answers it. What waits for the network has to be: the kernel cannot take back
    ///   a request that user space holds, and the program could not even be killed.
    func pendingReply(_ request: fuse_req_t?, interruptible: Bool) -> PendingReply {
        guard interruptible else { return PendingReply(request, session: self, token: nil) }
        let (reply, token) = pending.add { PendingReply(request, session: self, token: $0) }
        fuse_req_interrupt_func(
            request,
            { request, data in
                bridge(fuse_req_userdata(request))?.pending.interrupt(UInt(bitPattern: data))
            }, UnsafeMutableRawPointer(bitPattern: token))
        reply.registered()
        return reply
    }

    /// Answers a request with what work that waits for the disk comes to.
    func deferred<Value: Sendable>(
        _ request: fuse_req_t?, _ work: @escaping @Sendable () throws(FileSystemError) -> Value,
        reply: @escaping @Sendable (fuse_req_t?, Value) -> Void
    ) {
        let pending = pendingReply(request, interruptible: false)
        later { [self] in
            do throws(FileSystemError) {
                let value = try work()
                pending.answer { reply($0, value) }
            } catch {
                pending.answer { replyError($0, error) }
            }
        }
    }

    /// As above, with nothing to tell but that it is done.
    func deferred(
        _ request: fuse_req_t?, _ work: @escaping @Sendable () throws(FileSystemError) -> Void,
        reply: @escaping @Sendable (fuse_req_t?) -> Void
    ) {
        deferred(
            request,
            { () throws(FileSystemError) -> Bool in
                try work()
                return true
            }
        ) { request, _ in reply(request) }
    }
}
