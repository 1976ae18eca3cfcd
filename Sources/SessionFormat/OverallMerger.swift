internal import Digests
internal import JSON

/// Makes changes in an overall file of any size: members, rows and keys that FastShot does not know stay, in their
/// places; `total_sessions`, `last_updated` and `checksum` become what FastShot would write.
///
/// The file is read twice, for the number of rows stands before them: ``survey(_:)``, then ``write(_:into:)``.
public struct OverallMerger {
    /// Gives the file's bytes from an offset on, at most so many; none at the end.
    public typealias Source = (_ offset: UInt64, _ count: Int) throws -> [UInt8]
    /// Takes the next bytes of the result.
    public typealias Sink = ([UInt8]) throws -> Void

    /// What comes of the changes.
    public struct Survey: Sendable, Equatable {
        /// Elements of the list afterwards.
        public var rows = 0
        /// The checksum over them, in hex.
        public var checksum = ""
        /// Whether there is anything to write.
        public var isChanged = false
        /// The keys of the file.
        fileprivate var keys: Set<String> = []
    }

    private let changes: [OverallChange]
    private let lastUpdated: String

    /// - Parameters:
    ///   - changes: in their order; of several for a name the last one counts.
    ///   - lastUpdated: what the file is to say, ISO 8601.
    public init(_ changes: [OverallChange], lastUpdated: String) {
        self.changes = changes
        self.lastUpdated = lastUpdated
    }

    /// Reads the file and finds out what there is to do.
    /// - Throws: ``FormatError`` when it is no whole overall file, see ``OverallSalvage``; what `source` throws.
    public func survey(_ source: Source) throws -> Survey {
        var found = Survey()
        var set = OverallChangeSet(changes)
        let digest = SHA256()
        var canonical: [UInt8] = []
        func add(_ row: JSONValue) {
            canonical.removeAll(keepingCapacity: true)
            canonical.append(contentsOf: (found.rows == 0 ? "[" : ", ").utf8)
            row.serialize(.pythonCanonical, into: &canonical)
            digest.update(canonical)
            found.rows += 1
        }
        var elements = OverallElements()
        while let element = try elements.next(source) {
            switch element {
            case .member("sessions", _):
                throw FormatError(.unexpectedShape, "overall file: its sessions are no list", at: elements.position)
            case .member(let key, _): found.keys.insert(key)
            case .row(let value): if let row = set.apply(to: value) { add(row) }
            }
        }
        guard elements.hasRows else {
            throw FormatError(.unexpectedShape, "overall file: has no list of sessions", at: elements.position)
        }
        for row in set.rest() { add(row) }
        digest.update(Array((found.rows == 0 ? "[]" : "]").utf8))
        found.checksum = Hex.encode(digest.finalize())
        found.isChanged = set.isChanged
        return found
    }

    /// Writes the file with the changes made.
    /// - Parameters:
    ///   - survey: of the same bytes.
    ///   - sink: takes the result in pieces.
    /// - Throws: what `source` and `sink` throw; ``FormatError`` when the bytes are others than surveyed.
    public func write(_ survey: Survey, _ source: Source, into sink: Sink) throws {
        let own: [(String, JSONValue)] = [
            ("version", "1.0"), ("last_updated", .string(lastUpdated)), ("total_sessions", JSONValue(survey.rows)),
            ("checksum", .string(survey.checksum)),
        ]
        var set = OverallChangeSet(changes)
        var writer = OverallTextWriter()
        for (key, value) in own.dropLast() where !survey.keys.contains(key) { writer.member(key, value) }
        var elements = OverallElements()
        var isInside = false
        func endList() {
            for row in set.rest() { writer.row(row) }
            writer.endList()
            isInside = false
        }
        var isDone = false
        while let element = try elements.next(source) {
            if elements.hasRows, !isInside, !isDone {
                writer.beginList()
                (isInside, isDone) = (true, true)
            }
            switch element {
            case .member(let key, let value):
                if isInside { endList() }
                let wanted = key == "version" ? nil : own.first { $0.0 == key }?.1
                writer.member(key, wanted ?? value)
            case .row(let value): if let row = set.apply(to: value) { writer.row(row) }
            }
            if writer.bytes.count >= OverallElements.pieceSize { try sink(writer.take()) }
        }
        if !isDone { writer.beginList() }
        if isInside || !isDone { endList() }
        if !survey.keys.contains("checksum") { writer.member("checksum", .string(survey.checksum)) }
        writer.end()
        guard writer.rows == survey.rows else {
            throw FormatError(.unexpectedShape, "overall file: changed while it was read")
        }
        try sink(writer.take())
    }
}

/// Reads the elements of an overall file from a source.
struct OverallElements {
    static let pieceSize = 256 << 10

    private var scanner = ElementScanner(limit: OverallReader.elementLimit)
    private(set) var position: UInt64 = 0
    private var isOver = false

    /// Whether the list of rows has begun.
    var hasRows: Bool { scanner.hasRows }

    /// The next element; nil at the end of a whole file.
    mutating func next(_ source: OverallMerger.Source) throws -> ElementScanner.Element? {
        while true {
            if let element = try scanner.next() { return element }
            if isOver { return nil }
            let bytes = try source(position, Self.pieceSize)
            if bytes.isEmpty {
                isOver = true
                try scanner.finish()
                return nil
            }
            position += UInt64(bytes.count)
            scanner.append(bytes.span.bytes)
        }
    }
}

/// Writes an object with a list of rows, member by member, as FastShot lays it out.
struct OverallTextWriter {
    private(set) var bytes = Array("{".utf8)
    private(set) var rows = 0
    private var isEmpty = true

    mutating func member(_ key: String, _ value: JSONValue) {
        begin(key)
        value.serialize(.pretty, indent: 1, into: &bytes)
    }

    mutating func beginList() {
        begin("sessions")
        bytes.append(UInt8(ascii: "["))
    }

    mutating func row(_ value: JSONValue) {
        bytes.append(contentsOf: (rows == 0 ? "\n    " : ",\n    ").utf8)
        value.serialize(.pretty, indent: 2, into: &bytes)
        rows += 1
    }

    mutating func endList() { bytes.append(contentsOf: (rows == 0 ? "]" : "\n  ]").utf8) }

    mutating func end() { bytes.append(contentsOf: (isEmpty ? "}" : "\n}").utf8) }

    /// What has been written since the last call.
    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }

    private mutating func begin(_ key: String) {
        bytes.append(contentsOf: (isEmpty ? "\n  " : ",\n  ").utf8)
        JSONValue.string(key).serialize(.pretty, into: &bytes)
        bytes.append(contentsOf: ": ".utf8)
        isEmpty = false
    }
}
