internal import Digests
internal import Platform
internal import SessionFormat
internal import Synchronization

/// One pass over the bytes of a file, in pieces: its digests, and what it tells as a session.
final class StagedPass: Sendable {
    private struct State {
        let md5 = MD5()
        let sha256 = SHA256()
        let skimmer: SessionSkimmer
        var offset: UInt64 = 0

        /// - Returns: whether there may be more before `end`.
        mutating func step(_ file: FileDescriptor, _ end: UInt64, _ chunk: Int) throws(SystemError) -> Bool {
            guard offset < end else { return false }
            let bytes = try file.read(at: offset, count: Int(min(UInt64(chunk), end - offset)))
            if bytes.isEmpty { return false }
            md5.update(bytes)
            sha256.update(bytes)
            skimmer.consume(bytes.span.bytes)
            offset += UInt64(bytes.count)
            return offset < end
        }
    }

    /// What a pass has found.
    struct End: Sendable {
        /// How many bytes there were.
        var offset: UInt64
        /// Lower-case hex.
        var md5: String
        /// Lower-case hex.
        var sha256: String
        var metadata: Result<SessionMetadata, FormatError>
    }

    /// Small enough for the heap: larger blocks are mapped and given back each time (``Memory``).
    private static let chunk = 128 << 10

    private let state: Mutex<State>
    private let isTaken = Atomic<Bool>(false)

    init(key: Secret?) { state = Mutex(State(skimmer: SessionSkimmer(key: key?.reveal()))) }

    /// How far it has come.
    var offset: UInt64 { state.withLock { $0.offset } }

    /// Goes on up to an offset that may be read already, or until ``finish(_:name:size:)`` is called.
    func advance(_ file: FileDescriptor, to end: UInt64) throws(SystemError) {
        while !isTaken.load(ordering: .acquiring) {
            let isMore = try state.withLock { state throws(SystemError) in try state.step(file, end, Self.chunk) }
            if !isMore { return }
        }
    }

    /// Reads the rest, once.
    func finish(_ file: FileDescriptor, name: SessionName, size: UInt64) throws(SystemError) -> End {
        isTaken.store(true, ordering: .releasing)
        return try state.withLock { state throws(SystemError) in
            while try state.step(file, size, Self.chunk) {}
            let metadata: Result<SessionMetadata, FormatError>
            do throws(FormatError) { metadata = .success(try state.skimmer.finish(name: name, fileSize: size)) } catch {
                metadata = .failure(error)
            }
            return End(
                offset: state.offset, md5: Hex.encode(state.md5.finalize()),
                sha256: Hex.encode(state.sha256.finalize()), metadata: metadata)
        }
    }
}
