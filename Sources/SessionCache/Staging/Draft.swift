internal import Platform
internal import Synchronization

/// The contents of a file that is open for writing: a file of its own, shared by all who have it open.
///
/// Locks: `flushing` is held while a flush waits for the disk and commits; `state` never while anything waits.
final class Draft: Sendable {
    struct State {
        var size: UInt64
        var modified: Timestamp
        /// Rises with every change of the bytes, their number or the time.
        var version: UInt64
        /// What the bucket held when the file was opened; used while the file has no row.
        var base: PendingTable.Remote?
        /// It has no name any more.
        var isDetached = false
        var prefix: OrderedPrefix
    }

    struct Flushed {
        /// The version that is durable, journal included.
        var version: UInt64
        /// Whether its name in the directory is durable.
        var isNamed = false
    }

    let id: Int64
    let path: String
    let file: FileDescriptor
    /// ``Staging/View/rebases`` from before its base was looked up.
    let rebases: Int64
    let observer: GrowthObserver
    let state: Mutex<State>
    let flushing: Mutex<Flushed>

    /// - Parameter isChanged: whether it differs from what the journal or the bucket has.
    init(
        id: Int64, path: String, file: FileDescriptor, size: UInt64, modified: Timestamp, base: PendingTable.Remote?,
        rebases: Int64, observer: GrowthObserver, isChanged: Bool
    ) {
        self.id = id
        self.path = path
        self.file = file
        self.rebases = rebases
        self.observer = observer
        state = Mutex(
            State(
                size: size, modified: modified, version: isChanged ? 1 : 0, base: base,
                prefix: OrderedPrefix(isEmpty: size == 0)))
        flushing = Mutex(Flushed(version: 0))
    }

    var content: StagedContent {
        state.withLock { StagedContent(path: path, size: $0.size, modified: $0.modified) }
    }

    func write(_ bytes: RawSpan, at offset: UInt64) throws(SystemError) {
        guard bytes.byteCount > 0 else { return }
        do throws(SystemError) {
            try file.write(bytes, at: offset)
        } catch {
            // Some of them may have been written.
            let spoiled = state.withLock { state in
                if let size = try? file.size() { state.change(size: size) }
                return state.prefix.cut(to: offset)
            }
            if let spoiled { observer.tell(path, spoiled) }
            throw error
        }
        // After the bytes, so that a flush which sees this version has them.
        let end = offset + UInt64(bytes.byteCount)
        let growth = state.withLock { state in
            state.change(size: max(state.size, end))
            return state.prefix.wrote(offset..<end)
        }
        guard let growth else { return }
        // The disk begins with a large file while it is still written, so that close has less to wait for.
        if case .grown(let blocks) = growth { file.beginWriteback(blocks) }
        observer.tell(path, growth)
    }

    func truncate(to size: UInt64) throws(SystemError) {
        try file.truncate(to: size)
        let spoiled = state.withLock { state in
            state.change(size: size)
            return state.prefix.cut(to: size)
        }
        if let spoiled { observer.tell(path, spoiled) }
    }

    func allocate(_ range: Range<UInt64>, keepingSize: Bool) throws(SystemError) {
        try file.allocate(range, keepingSize: keepingSize)
        if !keepingSize { state.withLock { state in state.change(size: max(state.size, range.upperBound)) } }
    }

    func setModified(_ time: Timestamp) {
        state.withLock { state in
            state.modified = time
            state.version += 1
        }
    }
}

extension Draft.State {
    fileprivate mutating func change(size: UInt64) {
        self.size = size
        modified = .now
        version += 1
    }
}
