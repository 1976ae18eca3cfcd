public import JSON

/// What is known of a session without its body: the facts of its index.
public struct SessionMetadata: Sendable, Equatable {
    /// The session's name; empty when it has none.
    public var name: String
    /// A description; empty when there is none.
    public var desc: String
    /// Labels in their order.
    public var tags: [String]
    /// The colour's name, "blue" by default.
    public var color: String
    /// The class (key `class`); empty when there is none.
    public var sessionClass: String
    /// How many windows the session holds.
    public var imageCount: Int
    /// When the session was made, as written: ISO 8601, as a rule without zone (local to the writer).
    public var createdAt: String?
    /// The length of the session's object in bytes.
    public var fileSize: UInt64?

    /// Metadata by its parts; what is left out has its default.
    public init(
        name: String = "", desc: String = "", tags: [String] = [], color: String = defaultColor,
        sessionClass: String = "", imageCount: Int = 0, createdAt: String? = nil, fileSize: UInt64? = nil
    ) {
        self.name = name
        self.desc = desc
        self.tags = tags
        self.color = color
        self.sessionClass = sessionClass
        self.imageCount = imageCount
        self.createdAt = createdAt
        self.fileSize = fileSize
    }

    /// The colour of a session that names none.
    public static let defaultColor = "blue"

    /// Reads what is there. What is missing, null or of another kind has its default: no name, description, class,
    /// tags; colour "blue"; 0 images; no date; no size. A single text as tags is one tag.
    public init(json: JSONValue) {
        self.init()
        for (key, value) in json.members ?? [] {
            switch key {
            case "name": name = value.string ?? ""
            case "desc": desc = value.string ?? ""
            case "tags": tags = Self.tags(value)
            case "color": if let text = value.string, !text.isEmpty { color = text }
            case "class": sessionClass = value.string ?? ""
            case "image_count": imageCount = value.integer.flatMap { Int(exactly: $0) }.map { max(0, $0) } ?? 0
            case "created_at": createdAt = value.string.flatMap { $0.isEmpty ? nil : $0 }
            case "file_size": fileSize = value.integer.flatMap { UInt64(exactly: $0) }
            default: break
            }
        }
    }

    private static func tags(_ value: JSONValue) -> [String] {
        if let text = value.string { return text.isEmpty ? [] : [text] }
        return (value.array ?? []).compactMap { $0.string }
    }

    /// The members that an index holds, in FastShot's order.
    public var json: JSONValue {
        [
            "name": .string(name), "desc": .string(desc), "tags": JSONValue(tags), "color": .string(color),
            "class": .string(sessionClass), "image_count": JSONValue(imageCount),
            "created_at": JSONValue(createdAt), "file_size": fileSize.map { JSONValue($0) } ?? .null,
        ]
    }
}
