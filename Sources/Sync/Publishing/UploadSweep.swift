internal import ObjectStore
internal import Platform
internal import SessionCache
internal import SessionFormat

/// Takes uploads in parts off the server that nobody goes on with: their contents were changed or given up, or the
/// answer to their beginning was lost.
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
    private let begun: BegunUploads
    private let pool: BlockingPool

    init(staging: Staging, store: any ObjectStore, begun: BegunUploads, pool: BlockingPool) {
        self.staging = staging
        self.store = store
        self.begun = begun
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
        if state.withLock({ $0.isRunning }) { return nil }
        let wait = wanted().isEmpty ? begun.wait(.now) : 0
        guard let wait else { return nil }
        return state.withLock { state in
            if state.isRunning { return nil }
            let rest = max(wait, state.restsUntil.seconds(since: now))
            guard rest <= 0 else { return rest }
            state.isRunning = true
            return 0
        }
    }

    func run() async {
        do throws(StoreError) {
            try await removeAbandoned()
            try await removeLost()
        } catch { return rest() }
        state.withLock { state in
            state.isRunning = false
            state.failures = 0
        }
    }

    /// - Throws: what passes.
    private func removeAbandoned() async throws(StoreError) {
        for upload in wanted() {
            FaultPoint.reached("publish.abandon.before")
            guard try await abandon(upload) else {
                state.withLock { _ = $0.stuck.insert(upload.uploadID) }
                continue
            }
            let staging = staging
            await pool.result { staging.forgotten([upload]) }
            FaultPoint.reached("publish.abandon.after")
        }
    }

    /// Looks for uploads whose beginning nobody heard of. An upload of another machine under the same name is left alone:
    /// it is known by its parts, and one without parts is left the time to send the first.
    private func removeLost() async throws(StoreError) {
        let due = begun.due(.now)
        guard !due.isEmpty else { return }
        for upload in try await present() {
            let now = Timestamp.now
            guard due.contains(where: { begun.mayBeLost(upload, $0, now) }),
                !staging.knownUploads().contains(upload.uploadID), try await hasNoParts(upload)
            else { continue }
            PublishContext.log.info("an upload that nobody goes on with is removed", ["object": upload.key])
            _ = try await abandon(MultipartProgress(uploadID: upload.uploadID, key: upload.key, partSize: 0))
        }
        let lookedFor = begun
        await pool.result { lookedFor.settle(due) }
    }

    /// - Returns: false when the server does not let it go.
    private func abandon(_ upload: MultipartProgress) async throws(StoreError) -> Bool {
        do throws(StoreError) { try await store.abandon(upload) } catch  where error.kind == .notFound {
        } catch {
            guard error.isRefusal else { throw error }
            PublishContext.log.warning(
                "an upload stays on the server", ["object": upload.key, "cause": error.description])
            return false
        }
        return true
    }

    /// The uploads of sessions that are under way, everybody's; none where they cannot be listed.
    private func present() async throws(StoreError) -> [MultipartUpload] {
        guard let multipart = store.multipart else { return [] }
        do throws(StoreError) { return try await multipart.uploads(prefix: SessionName.bodyPrefix) } catch {
            guard error.isRefusal else { throw error }
            PublishContext.log.info("uploads in parts cannot be listed", ["cause": error.description])
            return []
        }
    }

    private func hasNoParts(_ upload: MultipartUpload) async throws(StoreError) -> Bool {
        guard let multipart = store.multipart else { return false }
        do throws(StoreError) { return try await multipart.parts(of: upload.uploadID, upload.key).isEmpty } catch {
            guard error.isRefusal || error.kind == .notFound else { throw error }
            return false
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

extension StoreError {
    /// Whether the store refuses for good.
    fileprivate var isRefusal: Bool {
        switch kind {
        case .forbidden, .permanent, .unsupported: true
        default: false
        }
    }
}
