public import Platform

/// A file's local contents, open: for reading only, or for reading and writing. All who have a file open for writing
/// share its contents. Closes itself when the last reference goes.
public final class StagedFile: Sendable {
    /// The session's id.
    public let id: Int64

    init(id: Int64) { self.id = id }

    /// The file that holds the bytes, for reads. It stays good whatever becomes of the name.
    public var descriptor: FileDescriptor { fatalError("skeleton") }

    /// The length in bytes as of the last write.
    public var size: UInt64 { fatalError("skeleton") }

    /// Whether it was opened for writing.
    public var isWritable: Bool { fatalError("skeleton") }

    /// Writes all bytes at an offset; a gap before it reads as zeros.
    /// - Throws: `.diskFull`, `.io`; `.notPermitted` when it is open for reading only.
    public func write(_ bytes: RawSpan, at offset: UInt64) throws(StagingError) { fatalError("skeleton") }

    /// Cuts or lengthens the file.
    public func truncate(to size: UInt64) throws(StagingError) { fatalError("skeleton") }

    /// Reserves space for a range, and lengthens the file to its end unless `keepingSize`.
    public func allocate(_ range: Range<UInt64>, keepingSize: Bool) throws(StagingError) { fatalError("skeleton") }

    /// Makes what was written durable, bytes and name: fsync(2), and close(2) of any descriptor. Waits for the disk.
    /// - Throws: `.diskFull`, `.io`. What was accepted before stays.
    public func flush() throws(StagingError) { fatalError("skeleton") }

    /// The last descriptor of this open file was closed. When no other writer is left, the file is ready to be sent.
    public func close() { fatalError("skeleton") }
}
