internal import ObjectStore
internal import Platform

/// Receives the overall file into a temporary file, from which it is read while it still arrives: whatever its size and
/// the speeds of both sides, memory stays small, and the thread that delivers is never held up.
final class OverallSpool: ObjectSink {
    /// What has arrived.
    struct Progress {
        /// The object's facts, once known.
        var info: ObjectInfo?
        /// How many bytes from the beginning are there.
        var arrived: UInt64 = 0
        /// Counts beginnings with another version: what was read before does not count any more.
        var attempt = 0
        /// The temporary file, made when a body comes: a look that finds nothing new leaves the disk alone.
        var file: FileDescriptor?
        fileprivate var position: UInt64 = 0
    }

    private let path: String
    private let state = Guarded(Progress())
    /// One element at least after every arrival since the last one was taken.
    let arrivals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    /// - Parameter target: beside this path the temporary file is made.
    init(beside target: String) {
        path = Files.temporaryPath(beside: target)
        (arrivals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// A transfer may be repeated; see ``begin(_:at:)``.
    var restarts: Bool { true }

    var progress: Progress { state.withLock { $0 } }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        let before = progress
        guard offset <= before.arrived else {
            throw StoreError(.temporary, key: info.key, message: "the transfer leaves out bytes before \(offset)")
        }
        // A transfer that was repeated or resumed within one version goes on in the same file.
        let isSame = before.info.map { $0.size == info.size && $0.etag == info.etag && info.etag != nil } ?? true
        let file: FileDescriptor
        do throws(SystemError) {
            if let made = before.file { file = made } else { file = try .open(path, [.readWrite, .exclusive]) }
            if !isSame { try file.truncate(to: 0) }
        } catch { throw StoreError(error, key: info.key) }
        state.withLock { state in
            state.file = file
            state.info = info
            state.position = offset
            if isSame { return }
            state.arrived = 0
            state.attempt += 1
        }
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        let (file, position) = state.withLock { ($0.file, $0.position) }
        do throws(SystemError) { try file?.write(bytes, at: position) } catch { throw StoreError(error) }
        let end = position + UInt64(bytes.byteCount)
        state.withLock { state in
            state.position = end
            state.arrived = max(state.arrived, end)
        }
        signal.yield()
    }

    /// No more will arrive.
    func end() { signal.finish() }

    /// Makes what arrived the overall file of the cache.
    func keep(as target: String) throws(SystemError) {
        try progress.file?.synchronize()
        try Files.rename(path, to: target)
    }

    /// Removes the temporary file.
    func discard() {
        if progress.file != nil { try? Files.remove(path) }
    }
}
