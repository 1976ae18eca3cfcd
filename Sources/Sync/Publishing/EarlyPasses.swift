internal import ObjectStore
internal import Platform
internal import SessionCache

/// Passes over contents that are still being written: large ones are nearly known when they are closed.
///
/// A pass follows the part of a file that was written in order. When a program touches that part again, the pass is
/// thrown away, and the job that sends the file makes one of its own. It holds no file open, so that one that was
/// removed meanwhile takes up no space.
final class EarlyPasses: Sendable {
    private struct Entry {
        let number: UInt64
        let pass: StagedPass
        /// Up to where it may read.
        var end: UInt64
        var isReading = true
    }
    private struct State {
        var entries: [String: Entry] = [:]
        var begun: UInt64 = 0
    }

    /// Smaller files are gone through faster than it is worth.
    static let threshold = MultipartPlan.threshold
    /// Passes at the same time; a further one takes the place of the oldest.
    static let most = 4

    private let state = Guarded(State())
    private let key: Secret?
    private let kind: StagedPass.Kind
    private let pool: BlockingPool

    init(key: Secret?, _ kind: StagedPass.Kind, pool: BlockingPool) {
        self.key = key
        self.kind = kind
        self.pool = pool
    }

    /// Follows what ``Staging/onGrowth(_:)`` tells.
    func note(_ path: String, _ growth: Growth) {
        switch growth {
        case .spoiled: state.withLock { _ = $0.entries.removeValue(forKey: path) }
        case .grown(let range):
            guard range.upperBound >= Self.threshold else { return }
            let isIdle = state.withLock { state in
                if var entry = state.entries[path] {
                    let isIdle = !entry.isReading
                    (entry.end, entry.isReading) = (range.upperBound, true)
                    state.entries[path] = entry
                    return isIdle
                }
                // One that has been taken, or whose place was wanted, is not begun again in the middle.
                guard range.lowerBound < Self.threshold else { return false }
                if state.entries.count >= Self.most,
                    let oldest = state.entries.min(by: { $0.value.number < $1.value.number })
                {
                    state.entries[oldest.key] = nil
                }
                state.begun += 1
                let pass = StagedPass(key: key, kind)
                state.entries[path] = Entry(number: state.begun, pass: pass, end: range.upperBound)
                return true
            }
            if isIdle { pool.run { self.read(path) } }
        }
    }

    /// The pass over contents that are closed now; nil where there is none that holds.
    func take(_ path: String) -> StagedPass? {
        state.withLock { $0.entries.removeValue(forKey: path)?.pass }
    }

    /// The contents that are followed, and how far it has come with each.
    var offsets: [String: UInt64] { state.withLock { $0.entries.mapValues(\.pass) }.mapValues(\.offset) }

    private func read(_ path: String) {
        var done: UInt64 = 0
        do throws(SystemError) {
            let file = try FileDescriptor.open(path)
            while true {
                let next = state.withLock { state -> (StagedPass, UInt64)? in
                    guard let entry = state.entries[path] else { return nil }
                    if entry.end > done { return (entry.pass, entry.end) }
                    state.entries[path]?.isReading = false
                    return nil
                }
                guard let (pass, end) = next else { return }
                try pass.advance(file, to: end)
                done = end
            }
        } catch { state.withLock { _ = $0.entries.removeValue(forKey: path) } }
    }
}
