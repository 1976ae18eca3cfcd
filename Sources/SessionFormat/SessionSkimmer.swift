internal import JSON

/// Reads the metadata off a `.fastshot` object as its bytes pass, in memory that does not grow with the object.
///
/// Feed it with ``consume(_:)`` and end with ``finish(name:fileSize:)``. It checks the whole document: what
/// ``SessionContainer/decode(_:key:)`` refuses is refused here, with the same error.
public final class SessionSkimmer {
    /// What is kept of an object's metadata at most, in bytes.
    public static let metadataLimit = 4 << 20

    private enum Phase {
        /// Nothing was seen that bare JSON could not begin with.
        case bare
        /// The mark is looked for, of which so many bytes have just come.
        case cover(Int)
        case payload
    }

    private let key: [UInt8]
    /// The key over and over, so that a piece can be XORed from any of its places on.
    private let pattern: [UInt8]
    private var piece: [UInt8] = []
    private static let pieceSize = 16 << 10

    private var phase = Phase.bare
    private var received: UInt64 = 0
    private var payloadStart: UInt64 = 0
    /// The object as it is: the bare form, or a payload without a key.
    private var plain = SessionReading()
    /// The payload opened with the key; nil without one, and once it has shown that it is not obfuscated.
    private var opened: SessionReading?

    /// - Parameter key: FastShot's `encryption_key`; an object that is not obfuscated is read as well.
    public init(key: String?) {
        self.key = Array((key ?? "").utf8)
        var pattern: [UInt8] = []
        if !self.key.isEmpty {
            while pattern.count < Self.pieceSize + self.key.count { pattern.append(contentsOf: self.key) }
            piece = [UInt8](repeating: 0, count: Self.pieceSize)
        }
        self.pattern = pattern
    }

    /// Takes the next bytes.
    public func consume(_ bytes: RawSpan) {
        var start = 0
        if case .bare = phase {
            guard let place = plain.consume(bytes) else {
                received += UInt64(bytes.byteCount)
                return
            }
            // Nothing before it can be part of the mark.
            phase = .cover(0)
            start = place
        }
        if case .cover(let matched) = phase {
            guard let place = markEnd(in: bytes, from: start, matched) else {
                received += UInt64(bytes.byteCount)
                return
            }
            start = place
            phase = .payload
            payloadStart = received + UInt64(place)
            plain = SessionReading()
            if !key.isEmpty { opened = SessionReading() }
        }
        while start < bytes.byteCount {
            let end = min(bytes.byteCount, start + Self.pieceSize)
            payload(bytes.extracting(start..<end), at: received + UInt64(start) - payloadStart)
            start = end
        }
        received += UInt64(bytes.byteCount)
    }

    /// Ends the object. As ``SessionContainer/metadata(name:fileSize:)`` of the whole object.
    /// - Throws: as ``SessionContainer/decode(_:key:)``; `.tooLarge` when the metadata is larger than
    ///   ``metadataLimit``.
    public func finish(name: SessionName, fileSize: UInt64) throws(FormatError) -> SessionMetadata {
        switch phase {
        case .bare:
            guard plain.isAccepted else { throw SessionContainer.noSession }
            return try finish(&plain, keyLength: nil).metadata(name: name, fileSize: fileSize)
        case .cover: throw SessionContainer.noSession
        case .payload: break
        }
        guard received > payloadStart else { throw SessionContainer.noPayload(at: payloadStart) }
        if var reading = opened, reading.isAccepted {
            return try finish(&reading, keyLength: key.count).metadata(name: name, fileSize: fileSize)
        }
        guard plain.isAccepted else {
            throw key.isEmpty
                ? SessionContainer.keyNeeded(at: payloadStart) : SessionContainer.wrongKey(at: payloadStart)
        }
        return try finish(&plain, keyLength: nil).metadata(name: name, fileSize: fileSize)
    }

    private func finish(_ reading: inout SessionReading, keyLength: Int?) throws(FormatError) -> SessionFacts {
        let facts: SessionFacts
        do throws(JSONError) {
            facts = try reading.finish()
        } catch {
            throw SessionContainer.unreadable(error, at: payloadStart, keyLength: keyLength)
        }
        guard !reading.isOverfull else {
            throw FormatError(.tooLarge, "session: metadata of more than \(Self.metadataLimit) bytes")
        }
        return facts
    }

    /// At most ``pieceSize`` bytes of the payload.
    private func payload(_ bytes: RawSpan, at offset: UInt64) {
        // What opens with the key is read so, even if it could be read without.
        if opened == nil || opened?.isAccepted == false { _ = plain.consume(bytes) }
        guard opened != nil else { return }
        let count = bytes.byteCount
        xor(bytes, with: Int(offset % UInt64(key.count)))
        if opened?.consume(piece.span.bytes.extracting(0..<count)) != nil { opened = nil }
    }

    /// XORs a piece with the key, whose byte at `phase` comes first.
    private func xor(_ bytes: RawSpan, with phase: Int) {
        pattern.withUnsafeBytes { pattern in
            bytes.withUnsafeBytes { source in
                piece.withUnsafeMutableBytes { target in
                    var here = 0
                    while here + 8 <= source.count {
                        let word = source.loadUnaligned(fromByteOffset: here, as: UInt64.self)
                        let mask = pattern.loadUnaligned(fromByteOffset: phase + here, as: UInt64.self)
                        target.storeBytes(of: word ^ mask, toByteOffset: here, as: UInt64.self)
                        here += 8
                    }
                    while here < source.count {
                        target[here] = source[here] ^ pattern[phase + here]
                        here += 1
                    }
                }
            }
        }
    }

    /// Where the payload begins; nil when the mark is not complete yet.
    private func markEnd(in bytes: RawSpan, from start: Int, _ begun: Int) -> Int? {
        let mark = SessionContainer.mark
        return bytes.withUnsafeBytes { bytes in
            var matched = begun
            var here = start
            while here < bytes.count {
                let byte = bytes[here]
                // No byte of the mark but the first begins it again.
                matched = byte == mark[matched] ? matched + 1 : byte == mark[0] ? 1 : 0
                here += 1
                if matched == mark.count { return here }
            }
            phase = .cover(matched)
            return nil
        }
    }
}

/// One way to read a session's text: whether it begins as a session does, and what stands in it.
private struct SessionReading {
    private enum Opening { case start, mark(Int), space, brace, accepted, refused }

    private var opening = Opening.start
    private var sieve: JSONSieve
    private let session, sessionTime, sessionWindows, topTime, topWindows, metadata: JSONSieve.Place
    private let members: [(String, JSONSieve.Place)]

    init() {
        var sieve = JSONSieve(limit: SessionSkimmer.metadataLimit)
        session = sieve.place("session", keeping: .kind)
        sessionTime = sieve.place("session", "timestamp", keeping: .value)
        sessionWindows = sieve.place("session", "windows", keeping: .count)
        topTime = sieve.place("timestamp", keeping: .value)
        topWindows = sieve.place("windows", keeping: .count)
        metadata = sieve.place("metadata", keeping: .kind)
        members = ["name", "desc", "tags", "color", "class", "image_count", "created_at"].map {
            ($0, sieve.place("metadata", $0, keeping: .value))
        }
        self.sieve = sieve
    }

    /// Whether it begins as a session does.
    var isAccepted: Bool { if case .accepted = opening { true } else { false } }
    /// Whether it cannot be a session.
    private var isRefused: Bool { if case .refused = opening { true } else { false } }
    /// Whether something was too large to be kept.
    var isOverfull: Bool { sieve.isOverfull }

    /// Takes the next bytes.
    /// - Returns: where the byte stands that no session can begin with, if one came.
    mutating func consume(_ bytes: RawSpan) -> Int? {
        if isRefused { return 0 }
        if !isAccepted, let place = open(bytes) { return place }
        sieve.consume(bytes)
        return nil
    }

    /// As ``SessionContainer`` tells a session's beginning: a brace and a key or another brace, behind a byte order mark
    /// or space.
    private mutating func open(_ bytes: RawSpan) -> Int? {
        bytes.withUnsafeBytes { bytes in
            for (index, byte) in bytes.enumerated() {
                switch (opening, byte) {
                case (.start, 0xEF): opening = .mark(1)
                case (.mark(1), 0xBB): opening = .mark(2)
                case (.mark(2), 0xBF): opening = .space
                case (.start, 0x20), (.start, 0x0A), (.start, 0x0D), (.start, 0x09): opening = .space
                case (.space, 0x20), (.space, 0x0A), (.space, 0x0D), (.space, 0x09): break
                case (.start, UInt8(ascii: "{")), (.space, UInt8(ascii: "{")): opening = .brace
                case (.brace, 0x20), (.brace, 0x0A), (.brace, 0x0D), (.brace, 0x09): break
                case (.brace, UInt8(ascii: "\"")), (.brace, UInt8(ascii: "}")):
                    opening = .accepted
                    return nil
                default:
                    opening = .refused
                    return index
                }
            }
            return nil
        }
    }

    /// - Throws: ``JSONError`` with its place in the text.
    mutating func finish() throws(JSONError) -> SessionFacts {
        try sieve.finish()
        guard sieve.isObject(session) else {
            return SessionFacts(
                metadata: .object([]), windows: sieve.count(topWindows), timestamp: sieve.value(topTime)?.string)
        }
        var given: [(String, JSONValue)] = []
        if sieve.isObject(metadata) {
            for (key, place) in members { if let value = sieve.value(place) { given.append((key, value)) } }
        }
        return SessionFacts(
            metadata: .object(given), windows: sieve.count(sessionWindows), timestamp: sieve.value(sessionTime)?.string)
    }
}
