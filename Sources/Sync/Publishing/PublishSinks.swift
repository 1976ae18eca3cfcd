internal import Digests
internal import ObjectStore
internal import Platform
internal import SessionFormat

/// Takes the digests of a body, and with a key at hand its metadata, in memory that does not grow with it.
final class HashingSink: ObjectSink {
    private struct State {
        var info: ObjectInfo?
        var md5 = MD5()
        var sha256 = SHA256()
        var skimmer: SessionSkimmer?
    }

    private let state: Guarded<State>
    private let key: Secret?
    private let skims: Bool

    init() {
        key = nil
        skims = false
        state = Guarded(State())
    }

    /// - Parameter key: FastShot's; metadata is read, too.
    init(skimming key: Secret?) {
        self.key = key
        skims = true
        state = Guarded(State())
    }

    var restarts: Bool { true }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        state.withLock { state in
            state = State(info: info)
            if skims { state.skimmer = SessionSkimmer(key: key?.reveal()) }
        }
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        state.withLock { state in
            state.md5.update(bytes)
            state.sha256.update(bytes)
            state.skimmer?.consume(bytes)
        }
    }

    /// What was read. Call it once, after the transfer.
    func finish() -> (info: ObjectInfo?, md5: String, sha256: String) {
        state.withLock { state in
            (state.info, Hex.encode(state.md5.finalize()), Hex.encode(state.sha256.finalize()))
        }
    }

    /// The metadata of the body as that of a session; nil when it is none.
    func metadata(_ name: SessionName) -> SessionMetadata? {
        state.withLock { state in
            guard let info = state.info, let skimmer = state.skimmer else { return nil }
            return try? skimmer.finish(name: name, fileSize: info.size)
        }
    }
}

/// Writes a body into a new file.
final class FileSink: ObjectSink {
    private let file: FileDescriptor
    private let position = Guarded<UInt64>(0)

    init(_ file: FileDescriptor) { self.file = file }

    var restarts: Bool { true }

    func begin(_ info: ObjectInfo, at offset: UInt64) throws(StoreError) {
        do throws(SystemError) { try file.truncate(to: 0) } catch { throw StoreError(error, key: info.key) }
        position.withLock { $0 = offset }
    }

    func receive(_ bytes: RawSpan) throws(StoreError) {
        let offset = position.withLock { position in
            defer { position += UInt64(bytes.byteCount) }
            return position
        }
        do throws(SystemError) { try file.write(bytes, at: offset) } catch { throw StoreError(error) }
    }
}
