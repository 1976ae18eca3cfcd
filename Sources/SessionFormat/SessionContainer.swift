internal import Digests
public import JSON

/// A `.fastshot` object: a cover picture, the mark `FHDR`, and the session as JSON, XORed with the key where there is
/// one. That hides a session from a glance and no more.
public struct SessionContainer: Sendable, Equatable {
    /// How the session lies in the object.
    public enum Form: Sendable, Equatable {
        /// Behind a cover picture and `FHDR`.
        case covered
        /// The bare JSON, as the desktop client's "save to file" writes it. Never obfuscated.
        case bare
    }

    /// How it lies in the object.
    public var form: Form
    /// The cover picture (PNG), which is what other programs show; empty in the bare form.
    public var cover: [UInt8]
    /// Whether the payload is XORed with a key.
    public var isObfuscated: Bool
    /// The session object.
    public var session: JSONValue
    /// The metadata object; nil in the legacy shape where the session stands alone at top level.
    public var metadata: JSONValue?

    /// A container to be written.
    public init(form: Form = .covered, cover: [UInt8], session: JSONValue, metadata: JSONValue?) {
        self.form = form
        self.cover = cover
        self.session = session
        self.metadata = metadata
        isObfuscated = false
    }

    /// What stands between the cover picture and the payload.
    static let mark = Array("FHDR".utf8)

    /// Reads an object of any version.
    /// - Parameter key: FastShot's `encryption_key`; an object that is not obfuscated is read as well.
    /// - Throws: `.keyNeeded`, `.wrongKey`; `.truncated` or `.notJSON` when the payload opens but is damaged;
    ///   `.unexpectedShape` when the object is no session.
    public static func decode(_ bytes: [UInt8], key: String?) throws(FormatError) -> SessionContainer {
        if looksLikeJSON(bytes[...]) {
            return try container(try parse(bytes, at: 0), form: .bare, cover: [], isObfuscated: false)
        }
        guard let place = firstMark(in: bytes) else {
            throw noSession
        }
        let cover = Array(bytes[..<place])
        var payload = Array(bytes[(place + mark.count)...])
        let offset = UInt64(place + mark.count)
        guard !payload.isEmpty else { throw noPayload(at: offset) }
        if let key, !key.isEmpty {
            let hidden = payload
            obfuscate(&payload, key: key)
            if looksLikeJSON(payload[...]) {
                return try container(
                    try parse(payload, at: offset, keyLength: key.utf8.count), form: .covered, cover: cover,
                    isObfuscated: true)
            }
            guard looksLikeJSON(hidden[...]) else { throw wrongKey(at: offset) }
            payload = hidden
        } else if !looksLikeJSON(payload[...]) {
            throw keyNeeded(at: offset)
        }
        return try container(try parse(payload, at: offset), form: .covered, cover: cover, isObfuscated: false)
    }

    /// The object as FastShot writes it.
    /// - Parameter key: FastShot's `encryption_key`, or nil to write the payload plainly. Ignored in the bare form.
    public func encode(key: String?) -> [UInt8] {
        let document: JSONValue
        if let metadata { document = ["session": session, "metadata": metadata] } else { document = session }
        guard form == .covered else { return document.serialized(.pretty) }
        var payload = document.serialized(.pretty)
        if let key, !key.isEmpty { Self.obfuscate(&payload, key: key) }
        var bytes = cover
        bytes.reserveCapacity(cover.count + Self.mark.count + payload.count)
        bytes.append(contentsOf: Self.mark)
        bytes.append(contentsOf: payload)
        return bytes
    }

    private static func container(
        _ document: JSONValue, form: Form, cover: [UInt8], isObfuscated: Bool
    ) throws(FormatError) -> SessionContainer {
        guard document.members != nil else { throw FormatError(.unexpectedShape, "session: not an object") }
        var session = document
        var metadata: JSONValue?
        if let nested = document["session"], nested.members != nil {
            session = nested
            let given = document["metadata"]
            metadata = given?.members == nil ? .object([]) : given
        }
        var found = SessionContainer(form: form, cover: cover, session: session, metadata: metadata)
        found.isObfuscated = isObfuscated
        return found
    }

    /// An object begins here, behind a byte order mark or space.
    private static func looksLikeJSON(_ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
        rest = rest.drop { isSpace($0) }
        guard rest.first == UInt8(ascii: "{") else { return false }
        rest = rest.dropFirst().drop { isSpace($0) }
        return rest.first == UInt8(ascii: "\"") || rest.first == UInt8(ascii: "}")
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    private static func parse(_ bytes: [UInt8], at offset: UInt64, keyLength: Int? = nil) throws(FormatError)
        -> JSONValue
    {
        do {
            return try JSONValue.parse(bytes)
        } catch {
            throw unreadable(error, at: offset, keyLength: keyLength)
        }
    }

    // MARK: What is wrong with an object

    static var noSession: FormatError {
        FormatError(.unexpectedShape, "session: neither JSON nor a picture with a session behind it")
    }

    static func noPayload(at offset: UInt64) -> FormatError {
        FormatError(.truncated, "session: ends before its payload", at: offset)
    }

    static func keyNeeded(at offset: UInt64) -> FormatError {
        FormatError(.keyNeeded, "session: obfuscated, and no key was given", at: offset)
    }

    static func wrongKey(at offset: UInt64) -> FormatError {
        FormatError(.wrongKey, "session: does not open with the key given", at: offset)
    }

    /// - Parameter keyLength: of the key that the text was opened with, if it was.
    static func unreadable(_ error: JSONError, at offset: UInt64, keyLength: Int?) -> FormatError {
        // A key that is nearly right opens the first bytes. What follows is keys and line breaks, where it shows.
        if let keyLength, error.offset < 256 + 4 * keyLength, error.kind != .unexpectedEnd {
            return wrongKey(at: offset)
        }
        return FormatError(error, in: "session", at: offset)
    }

    private static func firstMark(in bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBufferPointer { bytes in
            guard bytes.count >= mark.count else { return nil }
            for index in 0...bytes.count - mark.count
            where bytes[index] == mark[0] && bytes[index + 1] == mark[1] && bytes[index + 2] == mark[2]
                && bytes[index + 3] == mark[3]
            {
                return index
            }
            return nil
        }
    }

    /// XORs with the key over and over; the same again undoes it.
    private static func obfuscate(_ payload: inout [UInt8], key: String) {
        let key = Array(key.utf8)
        key.withUnsafeBufferPointer { key in
            payload.withUnsafeMutableBufferPointer { payload in
                var start = 0
                while start < payload.count {
                    let length = min(key.count, payload.count - start)
                    for index in 0..<length { payload[start + index] ^= key[index] }
                    start += length
                }
            }
        }
    }
}

extension SessionContainer {
    /// The metadata of the session, made up from what is there where the object has none: the name and the stamp of the
    /// file name, the session's time, the number of its windows.
    /// - Parameters:
    ///   - name: the session's file name.
    ///   - fileSize: the object's length in bytes.
    public func metadata(name: SessionName, fileSize: UInt64) -> SessionMetadata {
        SessionFacts(
            metadata: metadata ?? .object([]), windows: session["windows"]?.array?.count,
            timestamp: session["timestamp"]?.string
        ).metadata(name: name, fileSize: fileSize)
    }
}

/// What a session's metadata is made of.
struct SessionFacts {
    /// The metadata object; empty where there is none.
    var metadata: JSONValue
    /// The number of windows; nil where the session has no list of them.
    var windows: Int?
    /// The session's time.
    var timestamp: String?

    func metadata(name: SessionName, fileSize: UInt64) -> SessionMetadata {
        var facts = SessionMetadata(json: metadata)
        if metadata["name"]?.string == nil { facts.name = name.title }
        if metadata["image_count"]?.integer == nil { facts.imageCount = windows ?? 0 }
        if facts.createdAt == nil { facts.createdAt = timestamp ?? name.stamp?.iso8601 }
        facts.fileSize = fileSize
        return facts
    }
}
