internal import Digests
internal import ObjectStore
internal import Platform
internal import SessionFormat
internal import Synchronization

/// One pass over the bytes of a file, in pieces: its digests, and what it tells as a session.
final class StagedPass: Sendable {
    /// What is taken beside the SHA-256 of the whole.
    enum Kind: Sendable {
        /// The MD5 of the whole, for contents that are sent in one piece.
        case whole
        /// A digest of each part, for contents that are sent in parts.
        case parts(Algorithm)

        /// - Parameter isInParts: whether the contents are so large that a store which takes parts gets them so.
        init(for store: any ObjectStore, isInParts: Bool) {
            guard isInParts, store.multipart != nil else {
                self = .whole
                return
            }
            self = .parts(store.capabilities.wantsSHA256 ? .sha256 : .md5)
        }
    }

    private struct State {
        let kind: Kind
        let sha256 = SHA256()
        /// Of the whole, or of the part that it is in.
        let second: SharedDigest
        let skimmer: SessionSkimmer
        var offset: UInt64 = 0

        init(_ kind: Kind, key: String?) {
            self.kind = kind
            second =
                switch kind {
                case .whole: SharedDigest(.md5)
                case .parts(let algorithm): SharedDigest(algorithm)
                }
            skimmer = SessionSkimmer(key: key)
        }

        /// - Parameter partEnded: called with the digest of a part.
        /// - Returns: whether there may be more before `end`.
        mutating func step(
            _ file: FileDescriptor, _ end: UInt64, partEnded: ([UInt8]) -> Void
        ) throws(SystemError) -> Bool {
            guard offset < end else { return false }
            // No piece goes beyond a part.
            let left = StagedPass.chunk - offset % StagedPass.chunk
            let bytes = try file.read(at: offset, count: Int(min(left, end - offset)))
            if bytes.isEmpty { return false }
            second.update(bytes.span.bytes)
            sha256.update(bytes)
            skimmer.consume(bytes.span.bytes)
            offset += UInt64(bytes.count)
            if case .parts = kind, offset % MultipartPlan.usualPart == 0 { partEnded(second.finalize()) }
            return offset < end
        }
    }

    /// What a pass has found.
    struct End: Sendable {
        /// How many bytes there were.
        var offset: UInt64
        /// Lower-case hex; nil where digests of parts were taken.
        var md5: String?
        /// Lower-case hex.
        var sha256: String
        var metadata: Result<SessionMetadata, FormatError>
    }

    /// Small enough for the heap: larger blocks are mapped and given back each time (``Memory``).
    private static let chunk: UInt64 = 128 << 10

    private let kind: Kind
    private let state: Mutex<State>
    private let isTaken = Atomic<Bool>(false)
    /// Of the parts that it has come past. Beside the state, which is locked for as long as ``finish(_:name:size:)`` takes.
    private let parts = Guarded<[[UInt8]]>([])

    init(key: Secret?, _ kind: Kind) {
        self.kind = kind
        state = Mutex(State(kind, key: key?.reveal()))
    }

    /// The digest of some bytes, where they are a part that it has come past.
    func digests(of range: Range<UInt64>) -> ContentDigests {
        guard case .parts(let algorithm) = kind, range.lowerBound % MultipartPlan.usualPart == 0,
            range.count == MultipartPlan.usualPart
        else { return ContentDigests() }
        let index = Int(range.lowerBound / MultipartPlan.usualPart)
        let digest = parts.withLock { $0.count > index ? $0[index] : nil }
        return algorithm == .md5 ? ContentDigests(md5: digest) : ContentDigests(sha256: digest)
    }

    private func step(_ state: inout State, _ file: FileDescriptor, _ end: UInt64) throws(SystemError) -> Bool {
        try state.step(file, end) { digest in parts.withLock { $0.append(digest) } }
    }

    /// How far it has come.
    var offset: UInt64 { state.withLock { $0.offset } }

    /// Goes on up to an offset that may be read already, or until ``finish(_:name:size:)`` is called.
    func advance(_ file: FileDescriptor, to end: UInt64) throws(SystemError) {
        while !isTaken.load(ordering: .acquiring) {
            let isMore = try state.withLock { state throws(SystemError) in try step(&state, file, end) }
            if !isMore { return }
        }
    }

    /// Reads the rest, once.
    func finish(_ file: FileDescriptor, name: SessionName, size: UInt64) throws(SystemError) -> End {
        isTaken.store(true, ordering: .releasing)
        return try state.withLock { state throws(SystemError) in
            while try step(&state, file, size) {}
            let metadata: Result<SessionMetadata, FormatError>
            do throws(FormatError) { metadata = .success(try state.skimmer.finish(name: name, fileSize: size)) } catch {
                metadata = .failure(error)
            }
            var md5: String?
            if case .whole = kind { md5 = Hex.encode(state.second.finalize()) }
            return End(
                offset: state.offset, md5: md5, sha256: Hex.encode(state.sha256.finalize()), metadata: metadata)
        }
    }
}
