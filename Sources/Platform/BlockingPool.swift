internal import Glibc

/// Threads for calls that wait for the disk (fsync(2), copies of files), so that they hold up neither the threads that
/// answer the kernel nor Swift's cooperative pool.
///
/// The threads are the pool's own. Dispatch's are shared by all of a process, no more run at a time than there are
/// processors, and one that computes for a minute, as hashing does, lets everybody else wait as long.
public final class BlockingPool: Sendable {
    private typealias Job = @Sendable () -> Void

    /// Waits for a job.
    private final class Worker: Sendable {
        let awakened = Semaphore()
        /// Nil when it wakes: the thread is not needed any more.
        let job = Guarded<Job?>(nil)
    }
    private struct State {
        /// Jobs that no thread has taken yet, from `head` on.
        var jobs: [Job?] = []
        var head = 0
        var idle: [Worker] = []
        var threads = 0
        var isClosed = false

        mutating func next() -> Job? {
            guard head < jobs.count else { return nil }
            let job = jobs[head].take()
            head += 1
            if head == jobs.count {
                jobs.removeAll(keepingCapacity: jobs.count <= 1024)
                head = 0
            }
            return job
        }
    }

    /// Threads that stay for the next jobs.
    private static let mostIdle = 8

    /// How many threads can compute at the same time; two at least.
    public static let processors = max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    private let name: String
    private let limit: Int
    private let state = Guarded(State())

    /// - Parameters:
    ///   - name: shown for its threads by `ps -L` and `top -H`; at most 15 bytes count.
    ///   - threads: how many jobs run at the same time at most; a thread begins when it is needed.
    public init(name: String, threads: Int = 64) {
        self.name = name
        limit = max(1, threads)
    }

    deinit {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        for worker in idle { worker.awakened.signal() }
    }

    /// Runs work on some thread, soon.
    public func run(_ work: @escaping @Sendable () -> Void) {
        let (worker, begins) = state.withLock { state -> (Worker?, Bool) in
            if let worker = state.idle.popLast() {
                worker.job.withLock { $0 = work }
                return (worker, false)
            }
            state.jobs.append(work)
            if state.threads >= limit { return (nil, false) }
            state.threads += 1
            return (nil, true)
        }
        worker?.awakened.signal()
        if begins { WorkerThread(name: name, stackSize: 2 << 20) { [state] in Self.work(state) }.detach() }
    }

    /// Runs work and waits for it without blocking the calling task's thread.
    public func result<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { done in run { done.resume(returning: work()) } }
    }

    /// What a thread does.
    private static func work(_ state: Guarded<State>) {
        let worker = Worker()
        while true {
            let (job, ends) = state.withLock { state -> (Job?, Bool) in
                if let job = state.next() { return (job, false) }
                guard !state.isClosed, state.idle.count < mostIdle else {
                    state.threads -= 1
                    return (nil, true)
                }
                state.idle.append(worker)
                return (nil, false)
            }
            if ends { return }
            if let job {
                job()
                continue
            }
            worker.awakened.wait()
            // Taken off the list by who woke it.
            guard let job = worker.job.withLock({ $0.take() }) else { return }
            job()
        }
    }
}
