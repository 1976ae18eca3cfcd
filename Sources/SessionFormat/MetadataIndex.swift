internal import Digests
public import JSON

/// Whether a stored checksum agrees with what it is taken over.
public enum ChecksumState: String, Sendable, Equatable {
    /// It agrees.
    case valid
    /// It does not.
    case mismatch
    /// The file has none, as older ones.
    case absent
}

/// `meta_indexes/<stem>.meta.json`: the metadata of one session, in the bucket or in the desktop client's cache.
public struct MetadataIndex: Sendable, Equatable {
    /// The two places where FastShot keeps indexes, which differ in the checksum.
    public enum Place: Sendable, Equatable {
        /// In the bucket: bare hex SHA-256 over the metadata in canonical form.
        case bucket
        /// In `~/.fastshot`: `sha256:` and the hex SHA-256 over the file without its checksum.
        case localCache
    }

    /// `<stem>.fastshot`, or nil where the file does not say.
    public var fileName: String?
    /// The session's metadata.
    public var metadata: SessionMetadata
    /// Where its checksum says it belongs.
    public var place: Place
    /// Whether the stored checksum agrees. A mismatch in the bucket need not be damage: after FastShot's "rebuild all
    /// indexes" the checksum was taken over more members than are stored.
    public var checksum: ChecksumState
    /// When the index was made, ISO 8601.
    public var createdAt: String?
    /// When the index was written, ISO 8601.
    public var lastUpdated: String?

    /// An index to be written.
    public init(
        fileName: String, metadata: SessionMetadata, place: Place = .bucket, createdAt: String? = nil,
        lastUpdated: String? = nil
    ) {
        self.fileName = fileName
        self.metadata = metadata
        self.place = place
        self.checksum = .valid
        self.createdAt = createdAt
        self.lastUpdated = lastUpdated
    }

    /// Reads an index of any version: with the metadata under `metadata`, or at top level as an early version had it;
    /// with members missing, which get their defaults.
    /// - Throws: `.truncated` or `.notJSON`; `.unexpectedShape` when it is no object.
    public static func decode(_ bytes: [UInt8]) throws(FormatError) -> MetadataIndex {
        let document: JSONValue
        do {
            document = try JSONValue.parse(bytes)
        } catch {
            throw FormatError(error, in: "metadata index")
        }
        guard let members = document.members else {
            throw FormatError(.unexpectedShape, "metadata index: not an object")
        }
        let nested = document["metadata"]
        let isNested = nested?.members != nil
        let source = isNested ? nested ?? document : document
        var index = MetadataIndex(fileName: "", metadata: SessionMetadata(json: source))
        index.fileName = document["filename"]?.string ?? source["filename"]?.string
        index.createdAt = document["created_at"]?.string
        index.lastUpdated = document["last_updated"]?.string
        if index.metadata.createdAt == nil { index.metadata.createdAt = index.createdAt }
        index.place = .bucket
        guard let stored = document["checksum"]?.string, !stored.isEmpty else {
            index.checksum = .absent
            return index
        }
        if let hex = afterPrefix("sha256:", stored) {
            index.place = .localCache
            let rest = JSONValue.object(members.filter { $0.0 != "checksum" })
            index.checksum = SHA256.hex(rest.serialized(.pretty)) == hex ? .valid : .mismatch
        } else {
            // The early layout has no part of its own that the checksum could be taken over.
            let part = isNested ? source : .object(members.filter { !Self.envelope.contains($0.0) })
            index.checksum = checksum(of: part) == stored ? .valid : .mismatch
        }
        return index
    }

    private static let envelope: Set<String> = ["version", "filename", "checksum", "last_updated"]

    /// Members of the file and of its metadata that this format does not know.
    public struct Foreign: Sendable, Equatable {
        fileprivate var outer: [(String, JSONValue)] = []
        fileprivate var inner: [(String, JSONValue)] = []

        /// None.
        public init() {}

        /// Those of an index of the present layout; none where it has another.
        public init(_ bytes: [UInt8]) {
            guard let document = try? JSONValue.parse(bytes), let nested = document["metadata"]?.members else { return }
            let known = Set((SessionMetadata().json.members ?? []).map(\.0))
            outer = (document.members ?? []).filter { !MetadataIndex.members.contains($0.0) }
            inner = nested.filter { !known.contains($0.0) }
        }

        /// Those that may stay when the session gets another body: without what is taken over the body, as the names
        /// tell (checksums, tags, lengths, thumbnails).
        public var ofAnyBody: Foreign {
            var kept = Foreign()
            kept.outer = outer.filter { !Self.tellsOfBody($0.0) }
            kept.inner = inner.filter { !Self.tellsOfBody($0.0) }
            return kept
        }

        private static let bodyWords: Set<String> = [
            "checksum", "digest", "hash", "md5", "etag", "crc", "crc32", "size", "length", "bytes", "thumbnail",
            "preview", "filename",
        ]

        private static func tellsOfBody(_ name: String) -> Bool {
            name.lowercased().split { !$0.isLetter && !$0.isNumber }.contains { word in
                bodyWords.contains(String(word)) || word.hasPrefix("sha") && word.dropFirst(3).allSatisfy(\.isNumber)
            }
        }

        /// Whether they are the same, in the same order.
        public static func == (left: Foreign, right: Foreign) -> Bool {
            JSONValue.object(left.outer) == .object(right.outer) && JSONValue.object(left.inner) == .object(right.inner)
        }
    }

    private static let members = envelope.union(["metadata", "created_at"])

    /// The file as FastShot writes it, with its checksum.
    /// - Parameter foreign: members of other clients that stay behind ours.
    public func encode(keeping foreign: Foreign = Foreign()) -> [UInt8] {
        let stored = JSONValue.object((metadata.json.members ?? []) + foreign.inner)
        var members: [(String, JSONValue)] = [
            ("version", "1.0"), ("filename", JSONValue(fileName)), ("metadata", stored),
        ]
        if place == .bucket { members.append(("checksum", .string(Self.checksum(of: stored)))) }
        members.append(("created_at", JSONValue(createdAt)))
        members.append(("last_updated", JSONValue(lastUpdated)))
        members += foreign.outer
        if place == .localCache {
            let digest = SHA256.hex(JSONValue.object(members).serialized(.pretty))
            members.append(("checksum", .string("sha256:" + digest)))
        }
        return JSONValue.object(members).serialized(.pretty)
    }

    /// The checksum of the bucket's form: hex SHA-256 of the metadata as canonical JSON.
    public static func checksum(of metadata: JSONValue) -> String {
        SHA256.hex(metadata.serialized(.pythonCanonical))
    }
}

/// What stands behind a prefix, compared by bytes; nil when the text begins otherwise.
func afterPrefix(_ prefix: String, _ text: String) -> String? {
    guard text.utf8.starts(with: prefix.utf8) else { return nil }
    return String(decoding: text.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
}
