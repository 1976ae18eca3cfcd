public import JSON

/// What the overall file says of an object's contents.
public enum ObjectChecksum: Sendable, Equatable {
    /// `etag:<md5 hex>`, of a single-part object.
    case etag(String)
    /// `sha256:<hex>`.
    case sha256(String)

    /// Reads either form; nil for anything else, the empty text included.
    public init?(text: String) {
        if let hex = afterPrefix("etag:", text), !hex.isEmpty {
            self = .etag(hex)
        } else if let hex = afterPrefix("sha256:", text), !hex.isEmpty {
            self = .sha256(hex)
        } else {
            return nil
        }
    }

    /// Whether two checksums of one kind are of different contents.
    public func contradicts(_ other: ObjectChecksum) -> Bool {
        switch (self, other) {
        case (.etag(let one), .etag(let another)), (.sha256(let one), .sha256(let another)): one != another
        default: false
        }
    }

    /// As the file has it.
    public var text: String {
        switch self {
        case .etag(let hex): "etag:" + hex
        case .sha256(let hex): "sha256:" + hex
        }
    }
}

/// One session's row in `overall_meta.json`.
public struct OverallRow: Sendable, Equatable {
    /// `<stem>.fastshot`; not checked for being a possible file name.
    public var fileName: String
    /// When the object was uploaded, ISO 8601 with an offset.
    public var createdAt: String?
    /// The object's length in bytes.
    public var fileSize: UInt64?
    /// The digest of the object, where the row has one.
    public var checksum: ObjectChecksum?
    /// The index's metadata, under the additional key `metadata` that FastShot ignores.
    public var metadata: SessionMetadata?

    /// A row by its parts.
    public init(
        fileName: String, createdAt: String? = nil, fileSize: UInt64? = nil, checksum: ObjectChecksum? = nil,
        metadata: SessionMetadata? = nil
    ) {
        self.fileName = fileName
        self.createdAt = createdAt
        self.fileSize = fileSize
        self.checksum = checksum
        self.metadata = metadata
    }

    /// Reads what is there; nil without a file name.
    public init?(json: JSONValue) {
        var name: String?
        self.init(fileName: "")
        for (key, value) in json.members ?? [] {
            switch key {
            case "filename": name = value.string
            case "created_at": createdAt = value.string
            case "file_size": fileSize = value.integer.flatMap { UInt64(exactly: $0) }
            case "checksum": checksum = value.string.flatMap { ObjectChecksum(text: $0) }
            case "metadata": metadata = value.members == nil ? nil : SessionMetadata(json: value)
            default: break
            }
        }
        guard let name, !name.isEmpty else { return nil }
        fileName = name
    }

    /// The row in FastShot's order of keys, the metadata last.
    public var json: JSONValue {
        var members: [(String, JSONValue)] = [
            ("filename", .string(fileName)), ("created_at", JSONValue(createdAt)),
            ("file_size", fileSize.map { JSONValue($0) } ?? .null), ("checksum", .string(checksum?.text ?? "")),
        ]
        if let metadata { members.append(("metadata", metadata.json)) }
        return .object(members)
    }
}
