public import Platform

/// What is known of a session's metadata index.
public enum IndexState: Int, Sendable, CaseIterable {
    /// Not looked at yet.
    case unknown = 0
    /// Its metadata is in the catalog.
    case known = 1
    /// The bucket holds none.
    case missing = 2
    /// The bucket holds one that cannot be read.
    case corrupt = 3

    /// `unknown`, `known`, `missing`, `corrupt`: for status and JSON.
    public var word: String {
        switch self {
        case .unknown: "unknown"
        case .known: "known"
        case .missing: "missing"
        case .corrupt: "corrupt"
        }
    }
}

/// A session as the catalog knows it, without its metadata.
public struct SessionEntry: Sendable, Equatable {
    /// Never used again for another session, stable across restarts; the inode number.
    public var id: Int64
    /// `<stem>.fastshot`, byte for byte as in the bucket.
    public var fileName: String
    /// The object's length in bytes.
    public var size: UInt64
    /// The modification time to show: the session's creation, else the stamp in its name, else the upload, else 0.
    public var modified: Timestamp
    /// The length of the metadata index in bytes; 0 when there is none to show.
    public var indexSize: UInt64
    /// The object's version tag without quotes, where known.
    public var etag: String?
    /// The MD5 of the contents in lower-case hex, where known.
    public var contentMD5: String?
    /// The SHA-256 of the contents in lower-case hex, where known.
    public var sha256: String?
    /// When the object was written to the bucket.
    public var uploaded: Timestamp?
    /// What is known of its metadata index.
    public var indexState: IndexState
}

/// A session that the overall file does not name.
public struct UnnamedSession: Sendable, Equatable {
    /// Its id.
    public var id: Int64
    /// Its file name in the bucket.
    public var fileName: String
    /// The object's version, without quotes, where known.
    public var etag: String?
}

/// One row of a listing, valid during the callback that got it.
public struct CatalogRow: ~Copyable {
    /// As ``SessionEntry/id``.
    public let id: Int64
    /// In bytes.
    public let size: UInt64
    /// Since the epoch.
    public let modifiedNanoseconds: Int64
    /// In bytes; 0 = no index to show.
    public let indexSize: UInt64
    @usableFromInline let name: UnsafeRawBufferPointer

    init(id: Int64, size: UInt64, modifiedNanoseconds: Int64, indexSize: UInt64, name: UnsafeRawBufferPointer) {
        self.id = id
        self.size = size
        self.modifiedNanoseconds = modifiedNanoseconds
        self.indexSize = indexSize
        self.name = name
    }

    /// Makes a row for a callback that takes rows of a scan.
    /// - Parameters:
    ///   - fileName: UTF-8.
    ///   - body: gets the row, which is valid only until it returns.
    public static func with<Result, Failure: Error>(
        id: Int64, size: UInt64, modified: Timestamp, indexSize: UInt64, fileName: [UInt8],
        _ body: (borrowing CatalogRow) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try fileName.span.bytes.withUnsafeBytes { name throws(Failure) in
            try body(
                CatalogRow(
                    id: id, size: size, modifiedNanoseconds: modified.nanoseconds, indexSize: indexSize, name: name))
        }
    }

    /// Makes a row of the same id and name with other figures.
    /// - Parameter body: gets the row, which is valid only until it returns.
    public func with<Result, Failure: Error>(
        size: UInt64, modified: Timestamp, indexSize: UInt64,
        _ body: (borrowing CatalogRow) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(
            CatalogRow(id: id, size: size, modifiedNanoseconds: modified.nanoseconds, indexSize: indexSize, name: name))
    }

    /// Gives the file name's UTF-8 bytes without a copy.
    @inlinable
    public func withFileName<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(name.bytes)
    }
}

/// Totals over all sessions.
public struct CatalogCounts: Sendable, Equatable {
    /// Sessions in the catalog.
    public var sessions = 0
    /// Sessions whose metadata is known.
    public var indexed = 0
    /// Sessions whose index was not looked at yet.
    public var unknownIndexes = 0
    /// Sessions without an index in the bucket.
    public var missingIndexes = 0
    /// Sessions whose index cannot be read.
    public var corruptIndexes = 0
    /// The sum of the objects' lengths.
    public var bytes: UInt64 = 0
}

/// What the store said of an object: from a listing, HEAD or GET.
public struct ObjectFacts: Sendable, Equatable {
    /// The object's length in bytes.
    public var size: UInt64
    /// Without quotes.
    public var etag: String?
    /// Lower-case hex.
    public var contentMD5: String?
    /// When the object was written to the bucket.
    public var uploaded: Timestamp?
    /// Facts; nil where the store does not say.
    public init(size: UInt64, etag: String? = nil, contentMD5: String? = nil, uploaded: Timestamp? = nil) {
        self.size = size
        self.etag = etag
        self.contentMD5 = contentMD5
        self.uploaded = uploaded
    }
}

/// What a change did to the sessions: enough to tell kernel caches.
public struct CatalogDelta: Sendable, Equatable {
    /// A session that came or went.
    public struct Item: Sendable, Equatable {
        /// Its id.
        public var id: Int64
        /// Its file name in the bucket.
        public var fileName: String
        /// A session by id and file name.
        public init(id: Int64, fileName: String) {
            self.id = id
            self.fileName = fileName
        }
    }
    /// Sessions that are new.
    public var added: [Item]
    /// Sessions that are gone.
    public var removed: [Item]
    /// Sessions of which version, size, time, index or metadata is another now.
    public var changed: [Int64]
    /// The catalog was made anew or changed by another process: anything that was shown may be different now.
    public var reset: Bool
    /// The local copy of `overall_meta.json` is another now.
    public var overallFile: Bool

    /// A change; empty by default.
    public init(
        added: [Item] = [], removed: [Item] = [], changed: [Int64] = [], reset: Bool = false, overallFile: Bool = false
    ) {
        self.added = added
        self.removed = removed
        self.changed = changed
        self.reset = reset
        self.overallFile = overallFile
    }

    /// Whether nothing happened.
    public var isEmpty: Bool { added.isEmpty && removed.isEmpty && changed.isEmpty && !reset && !overallFile }

    /// Adds a later change to this one.
    public mutating func merge(_ later: CatalogDelta) {
        added += later.added
        removed += later.removed
        changed += later.changed
        reset = reset || later.reset
        overallFile = overallFile || later.overallFile
    }
}

/// A session's body in the cache.
public struct CachedBody: Sendable, Equatable {
    /// The session's id.
    public var id: Int64
    /// The session's file name when the body was recorded; it outlives the session, so that the file can be found.
    public var fileName: String
    /// The object's version, without quotes.
    public var etag: String?
    /// In bytes.
    public var size: UInt64
    /// `md5:<hex>` or `sha256:<hex>`.
    public var digest: String
    /// The cache file's own modification time when it was verified.
    public var fileModified: Timestamp
    /// When somebody last read it.
    public var lastUsed: Timestamp
    /// Whether it stays when the cache is cleaned.
    public var pinned: Bool
    /// A record for ``Catalog/recordBody(_:)``.
    public init(
        id: Int64, fileName: String = "", etag: String?, size: UInt64, digest: String, fileModified: Timestamp,
        lastUsed: Timestamp, pinned: Bool = false
    ) {
        self.id = id
        self.fileName = fileName
        self.etag = etag
        self.size = size
        self.digest = digest
        self.fileModified = fileModified
        self.lastUsed = lastUsed
        self.pinned = pinned
    }
}
