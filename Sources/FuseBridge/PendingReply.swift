internal import CFuse
internal import FileTree
internal import Glibc
internal import Platform

/// A request that may be answered from any thread. `@unchecked Sendable`: libfuse allows that, and ``PendingReply``
/// hands the request to one thread only.
struct RequestReference: @unchecked Sendable {
    let request: fuse_req_t?
}

/// What a signal to the program does to its request. The kernel sends an interrupt for any signal, also for one that the
/// program ignores or that restarts calls: timers, children that end, the preemption of a language's threads.
enum Interrupts {
    /// Nothing: the request is about this machine's disk and soon done. Programs do not expect `EINTR` of a chmod(2), and
    /// one that is told it of an open(2) with O_EXCL tries again, and finds the file that it has just made.
    case ignored
    /// It answers the request. What waits for the network needs that: the kernel cannot take back a request that user
    /// space holds, and the program could not even be killed.
    case answered
    /// As ``answered``, but only from ``PendingReply/waits()`` on.
    case whileWaiting
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
        /// An interrupt is only noted: libfuse is still being told of the request, and holds a lock in it.
        var isRegistering = false
        /// An interrupt is only noted: what is being done has to be done first.
        var isShielded = false
        var isInterrupted = false

        var holdsInterrupts: Bool { isRegistering || isShielded }
    }

    fileprivate init(
        _ request: fuse_req_t?, session: FuseSession, token: UInt?, interrupts: Interrupts = .ignored
    ) {
        self.session = session
        self.token = token
        state = Guarded(
            State(
                request: RequestReference(request: request), isRegistering: token != nil,
                isShielded: interrupts == .whileWaiting))
    }

    /// libfuse knows how to interrupt the request.
    fileprivate func registered() { release { $0.isRegistering = false } }

    /// From now on the request waits for the network: a signal answers it, also one that came before.
    func waits() { release { $0.isShielded = false } }

    /// The wait is over, and what is wanted is done now: a signal that comes from here on does not answer the request.
    /// - Returns: false when one has, and nothing must be done any more.
    func proceeds() -> Bool {
        state.withLock { state in
            guard state.request != nil, !state.isInterrupted else { return false }
            state.isShielded = true
            return true
        }
    }

    private func release(_ change: (inout State) -> Void) {
        let isInterrupted = state.withLock { state in
            change(&state)
            return state.isInterrupted && !state.holdsInterrupts && state.request != nil
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
        // An answer would free the request, and the lock in it.
        let (waits, cancel) = state.withLock { state in
            state.isInterrupted = true
            return (state.holdsInterrupts, state.cancel)
        }
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
    func pendingReply(_ request: fuse_req_t?, interrupts: Interrupts) -> PendingReply {
        guard interrupts != .ignored else { return PendingReply(request, session: self, token: nil) }
        let (reply, token) = pending.add {
            PendingReply(request, session: self, token: $0, interrupts: interrupts)
        }
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
        let pending = pendingReply(request, interrupts: .ignored)
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
