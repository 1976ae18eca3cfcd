internal import JSON

/// `meta_cache/cache_info.json`: the desktop client's record of its local cache.
public struct LocalCacheInfo: Sendable, Equatable {
    /// What the client's last check of the cache found.
    public enum Status: String, Sendable, Equatable {
        /// Every checksum agreed.
        case valid
        /// Some did not; see ``LocalCacheInfo/corruptedFiles``.
        case corrupted
        /// The cache was emptied.
        case cleared
        /// Never checked, or a word that this version does not know.
        case unknown
    }

    /// When it was last brought up to date, ISO 8601.
    public var lastSync: String?
    /// The sum of the sessions' sizes in bytes.
    public var cacheSizeBytes: UInt64
    /// How many indexes it holds.
    public var totalMetaFiles: Int
    /// When it was last checked, ISO 8601.
    public var lastValidated: String?
    /// What the check found.
    public var status: Status
    /// The names of the files whose checksums did not agree.
    public var corruptedFiles: [String]

    /// A record by its parts.
    public init(
        lastSync: String?, cacheSizeBytes: UInt64, totalMetaFiles: Int, lastValidated: String?, status: Status,
        corruptedFiles: [String]
    ) {
        self.lastSync = lastSync
        self.cacheSizeBytes = cacheSizeBytes
        self.totalMetaFiles = totalMetaFiles
        self.lastValidated = lastValidated
        self.status = status
        self.corruptedFiles = corruptedFiles
    }

    /// Reads a record; what is missing is zero, empty or unknown.
    /// - Throws: `.truncated` or `.notJSON`; `.unexpectedShape` when it is no object.
    public static func decode(_ bytes: [UInt8]) throws(FormatError) -> LocalCacheInfo {
        let document: JSONValue
        do {
            document = try JSONValue.parse(bytes)
        } catch {
            throw FormatError(error, in: "cache record")
        }
        guard document.members != nil else { throw FormatError(.unexpectedShape, "cache record: not an object") }
        let check = document["integrity_check"]
        return LocalCacheInfo(
            lastSync: document["last_sync"]?.string,
            cacheSizeBytes: document["cache_size_bytes"]?.integer.flatMap { UInt64(exactly: $0) } ?? 0,
            totalMetaFiles: document["total_meta_files"]?.integer.flatMap { Int(exactly: $0) } ?? 0,
            lastValidated: check?["last_validated"]?.string,
            status: check?["status"]?.string.flatMap { Status(rawValue: $0) } ?? .unknown,
            corruptedFiles: (check?["corrupted_files"]?.array ?? []).compactMap(\.string))
    }

    /// The file as FastShot writes it.
    public func encode() -> [UInt8] {
        let document: JSONValue = [
            "version": "1.0", "last_sync": JSONValue(lastSync), "cache_size_bytes": JSONValue(cacheSizeBytes),
            "total_meta_files": JSONValue(totalMetaFiles),
            "integrity_check": [
                "last_validated": JSONValue(lastValidated), "status": .string(status.rawValue),
                "corrupted_files": JSONValue(corruptedFiles),
            ],
        ]
        return document.serialized(.pretty)
    }
}
