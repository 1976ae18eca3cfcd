internal import Digests
internal import Platform
internal import SessionFormat

/// Everything that the catalog keeps of one session: a row of `session` and its row of `detail`.
struct Record: Equatable {
    /// Where the metadata came from.
    enum Source: Int64 {
        case none = 0
        /// The key `metadata` of the session's row in the overall file.
        case row = 1
        /// The index object.
        case object = 2
    }

    var id: Int64 = 0
    var fileName: String
    var size: UInt64 = 0
    var modified = Timestamp(nanoseconds: 0)
    var indexSize: UInt64 = 0
    var state = IndexState.unknown
    var etag: String?
    var md5: [UInt8]?
    var sha256: [UInt8]?
    var uploaded: Timestamp?
    /// Whether size, etag and upload time are the store's own word (listing, HEAD, GET) and not the overall file's.
    var listed = false
    /// The mark of the overall row's facts when they were last taken; nil when the overall file does not name it.
    var rowFacts: Int64?
    /// The mark of the overall row's metadata when it was last taken; nil when it had none.
    var rowMetadata: Int64?
    /// The version of the index object that the metadata is of, where known.
    var indexEtag: String?
    var source = Source.none
    var metadata: SessionMetadata?
    /// The index object's bytes where they are not what ``generatedIndex`` gives.
    var indexBytes: [UInt8]?
    /// Why the index cannot be read.
    var reason: String?

    init(fileName: String) { self.fileName = fileName }

    /// The index file as FastShot writes it at a session's first save.
    var generatedIndex: [UInt8]? {
        metadata.map { metadata in
            MetadataIndex(
                fileName: fileName, metadata: metadata, createdAt: metadata.createdAt, lastUpdated: metadata.createdAt
            ).encode()
        }
    }

    /// Brings what follows from the facts in step with them: the time to show and the size of the index.
    mutating func settle() {
        modified = shownTime
        // An index's name is a byte longer than the session's and can be too long for a file: then none is shown.
        if fileName.utf8.count >= 255 {
            indexSize = 0
        } else if let indexBytes {
            indexSize = UInt64(indexBytes.count)
        } else {
            indexSize = metadata.map { IndexLength.of(fileName: fileName, $0) } ?? 0
        }
    }

    /// The session's creation (local time unless it names a zone), else the stamp in its name, else the upload.
    private var shownTime: Timestamp {
        if let time = metadata?.createdAt.flatMap(NaiveTime.init(iso8601:))?.timestamp { return time }
        if let time = SessionName(fileName: fileName)?.stamp?.timestamp { return time }
        return uploaded ?? Timestamp(nanoseconds: 0)
    }

    /// What damage on the disk is told by: a SHA-256, cut to 16 bytes, over everything that the bucket said. The marks
    /// of the overall rows are left out, as a wrong one only costs a reading.
    var digest: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512 + (indexBytes?.count ?? 0))
        bytes.add(UInt64(bitPattern: id))
        bytes.add(fileName)
        bytes.add(size)
        bytes.add(UInt64(bitPattern: modified.nanoseconds))
        bytes.add(indexSize)
        bytes.add(UInt64(state.rawValue))
        bytes.add(etag)
        bytes.add(md5)
        bytes.add(sha256)
        bytes.add(uploaded.map { UInt64(bitPattern: $0.nanoseconds) })
        bytes.add(UInt64(bitPattern: source.rawValue))
        if let metadata {
            bytes.add(metadata.name)
            bytes.add(metadata.desc)
            bytes.add(metadata.color)
            bytes.add(metadata.sessionClass)
            bytes.add(UInt64(metadata.imageCount))
            bytes.add(metadata.createdAt)
            bytes.add(metadata.fileSize)
            for tag in metadata.tags { bytes.add(tag) }
        }
        bytes.add(indexBytes)
        bytes.add(reason)
        return Array(SHA256.hash(bytes).prefix(16))
    }
}

extension [UInt8] {
    fileprivate mutating func add(_ number: UInt64?) {
        guard let number else { return append(0) }
        append(8)
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
    fileprivate mutating func add(_ text: String?) {
        guard var text else { return append(0) }
        text.withUTF8 { bytes in
            add(UInt64(bytes.count))
            append(contentsOf: bytes)
        }
    }
    fileprivate mutating func add(_ bytes: [UInt8]?) {
        guard let bytes else { return append(0) }
        add(UInt64(bytes.count))
        append(contentsOf: bytes)
    }
}
