internal import ObjectStore
internal import Platform
internal import SessionCache

/// Takes uploads in parts off the server that nobody goes on with: their contents were changed or given up.
final class UploadSweep: Sendable {
    private struct State {
        var isRunning = false
        var failures = 0
        var restsUntil = Timestamp.monotonic
        /// Uploads that the server does not let go, until the next start.
        var stuck: Set<String> = []
    }

    /// The longest rest after a failure, in seconds.
    private static let longestPause = 300.0

    private let state = Guarded(State())
    private let staging: Staging
    private let store: any ObjectStore
    private let pool: BlockingPool

    init(staging: Staging, store: any ObjectStore, pool: BlockingPool) {
        self.staging = staging
        self.store = store
        self.pool = pool
    }

    /// Whether one is under way.
    var isRunning: Bool { state.withLock { $0.isRunning } }

    private func wanted() -> [MultipartProgress] {
        let stuck = state.withLock { $0.stuck }
        return staging.abandonedUploads().filter { !stuck.contains($0.uploadID) }
    }

    /// Begins when there is something to be done.
    /// - Returns: the seconds until a sweep may begin; nil when there is nothing to do, or while one is under way; 0:
    ///   it has begun, and ``run()`` is to be called.
    func begin(_ now: Timestamp) -> Double? {
        if state.withLock({ $0.isRunning }) || wanted().isEmpty { return nil }
        return state.withLock { state in
            if state.isRunning { return nil }
            let rest = state.restsUntil.seconds(since: now)
            guard rest <= 0 else { return rest }
            state.isRunning = true
            return 0
        }
    }

    func run() async {
        for upload in wanted() {
            FaultPoint.reached("publish.abandon.before")
            do throws(StoreError) {
                try await store.abandon(upload)
            } catch {
                switch error.kind {
                case .notFound: break
                case .forbidden, .permanent, .unsupported:
                    PublishContext.log.warning(
                        "an upload stays on the server", ["object": upload.key, "cause": error.description])
                    state.withLock { _ = $0.stuck.insert(upload.uploadID) }
                    continue
                default: return rest()
                }
            }
            let staging = staging
            await pool.result { staging.forgotten([upload]) }
            FaultPoint.reached("publish.abandon.after")
        }
        state.withLock { state in
            state.isRunning = false
            state.failures = 0
        }
    }

    private func rest() {
        let now = Timestamp.monotonic
        state.withLock { state in
            state.isRunning = false
            state.failures += 1
            let pause = min(Self.longestPause, Double(1 << min(state.failures, 9))) * Double.random(in: 0.5...1)
            state.restsUntil = now.later(by: pause)
        }
    }
}
