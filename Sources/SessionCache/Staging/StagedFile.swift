public import Platform
internal import Synchronization

/// A file's local contents, open: for reading only, or for reading and writing. All who have a file open for writing
/// share its contents. Closes itself when the last reference goes.
public final class StagedFile: Sendable {
    enum Source: Sendable {
        /// Accepted contents, which do not change.
        case whole(FileDescriptor, size: UInt64)
        case draft(Draft)
    }

    /// The session's id.
    public let id: Int64
    /// Whether it was opened for writing.
    public let isWritable: Bool
    private let source: Source
    private let staging: Staging
    private let isClosed = Atomic<Bool>(false)

    init(id: Int64, source: Source, isWritable: Bool, staging: Staging) {
        self.id = id
        self.source = source
        self.isWritable = isWritable
        self.staging = staging
    }

    deinit { close() }

    /// The file that holds the bytes, for reads. It stays good whatever becomes of the name.
    public var descriptor: FileDescriptor {
        switch source {
        case .whole(let file, _): file
        case .draft(let draft): draft.file
        }
    }

    /// The length in bytes as of the last write.
    public var size: UInt64 {
        switch source {
        case .whole(_, let size): size
        case .draft(let draft): draft.state.withLock { $0.size }
        }
    }

    /// Writes all bytes at an offset; a gap before it reads as zeros.
    /// - Throws: `.diskFull`, `.io`; `.notPermitted` when it is open for reading only.
    public func write(_ bytes: RawSpan, at offset: UInt64) throws(StagingError) {
        let draft = try writable()
        try system { () throws(SystemError) in try draft.write(bytes, at: offset) }
    }

    /// Cuts or lengthens the file.
    /// - Throws: `.diskFull`, `.io`, `.tooLarge`; `.notPermitted` when it is open for reading only.
    public func truncate(to size: UInt64) throws(StagingError) {
        let draft = try writable()
        try system { () throws(SystemError) in try draft.truncate(to: size) }
    }

    /// Reserves space for a range, and lengthens the file to its end unless `keepingSize`.
    /// - Throws: `.diskFull`, `.io`, `.tooLarge`; `.notPermitted` when it is open for reading only.
    public func allocate(_ range: Range<UInt64>, keepingSize: Bool) throws(StagingError) {
        let draft = try writable()
        try system { () throws(SystemError) in try draft.allocate(range, keepingSize: keepingSize) }
    }

    /// Makes what was written durable, bytes and name: fsync(2), and close(2) of any descriptor. Waits for the disk.
    /// - Throws: `.diskFull`, `.io`. What was accepted before stays.
    public func flush() throws(StagingError) {
        guard case .draft(let draft) = source, isWritable else { return }
        try staging.flush(draft)
    }

    /// The last descriptor of this open file was closed. When no other writer is left, the file is ready to be sent.
    /// Waits for the disk where something was written since the last flush.
    public func close() {
        guard case .draft(let draft) = source, isWritable else { return }
        if !isClosed.exchange(true, ordering: .acquiringAndReleasing) { staging.release(draft) }
    }

    private func writable() throws(StagingError) -> Draft {
        guard case .draft(let draft) = source, isWritable, !isClosed.load(ordering: .acquiring) else {
            throw StagingError(.notPermitted, "the file is not open for writing")
        }
        return draft
    }

    private func system(_ body: () throws(SystemError) -> Void) throws(StagingError) {
        do throws(SystemError) { try body() } catch { throw StagingError(error) }
    }
}
