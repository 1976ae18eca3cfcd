/// A text that is not an INI file. It quotes nothing of the text, for that may hold credentials.
public struct INIError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What a line lacks.
    public enum Problem: Sendable, Equatable {
        /// A setting stands before the first `[section]`.
        case outsideSection
        /// A section name is empty or not closed by `]`.
        case sectionName
        /// Neither a section, a comment nor `key = value`.
        case noDelimiter
        /// Nothing stands before `=` or `:`.
        case noKey
    }

    /// The line, from 1.
    public let line: Int
    /// What it lacks.
    public let problem: Problem

    /// `line 3: neither [section] nor key = value`.
    public var description: String {
        switch problem {
        case .outsideSection: "line \(line): a setting before the first [section]"
        case .sectionName: "line \(line): a section needs a name and a closing ]"
        case .noDelimiter: "line \(line): neither [section] nor key = value"
        case .noKey: "line \(line): no key before the delimiter"
        }
    }
}

/// An INI file as Python's `configparser` reads it, which FastShot's `config.ini` and the AWS files are written for
/// (<https://docs.python.org/3/library/configparser.html>), without interpolation:
///
/// - `key = value` or `key: value`; keys in lower case; the last of several equal keys counts.
/// - A line that is indented deeper than its key continues the value, after a line break. So a nested block of the AWS
///   files is a value that begins with a line break: see ``Section/nested(_:_:)``.
/// - Whole lines after `#` or `;` are comments. Within a line they are part of the value, unless ``Comments/inline`` is
///   asked for.
/// - A section that comes twice is one section. Section names keep their case.
/// - Line ends are LF, CRLF or CR; a byte order mark is skipped.
public struct INIFile: Sendable, Equatable {
    /// Where comments may begin.
    public enum Comments: Sendable {
        /// At the beginning of a line only: FastShot, our own configuration.
        case wholeLines
        /// After white space within a line too: the AWS files
        /// (<https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>). A `#` inside a key stays.
        case inline
    }

    /// One `key = value`.
    public struct Entry: Sendable, Equatable {
        /// In lower case.
        public let key: String
        /// Without white space around it; lines of a continued value are separated by LF.
        public internal(set) var value: String
        /// Where the key stands, from 1.
        public let line: Int
    }

    /// A `[section]` with its entries, in the order they were written.
    public struct Section: Sendable, Equatable {
        /// What stands between the brackets, without white space around it.
        public let name: String
        /// Where it begins for the first time, from 1.
        public let line: Int
        /// All entries, overridden ones included.
        public internal(set) var entries: [Entry]

        /// The value of the last entry with a key in whatever case; nil when there is none.
        public func value(_ key: String) -> String? {
            let key = key.lowercased()
            return entries.last { $0.key == key }?.value
        }

        /// The first word of the name: `store` of `[store "work"]`, `profile` of `[profile x]`.
        public var kind: String { INIFile.words(name).kind }
        /// What follows the first word, without quotes around it: `work` of `[store "work"]`; nil for a single word.
        public var title: String? { INIFile.words(name).title }

        /// A setting of a nested block, `addressing_style` below `s3 =`; nil when there is no such block or setting.
        public func nested(_ block: String, _ key: String) -> String? {
            guard let value = value(block), value.hasPrefix("\n") else { return nil }
            let key = key.lowercased()
            var found: String?
            for line in value.split(separator: "\n") {
                let entry = INIFile.divide(line[...], at: [UInt8(ascii: "=")])
                if let entry, entry.key.lowercased() == key { found = String(entry.value) }
            }
            return found
        }
    }

    /// All sections in the order of their first lines.
    public private(set) var sections: [Section] = []

    /// The section with a name; nil when there is none.
    public func section(_ name: String) -> Section? { sections.first { $0.name == name } }

    /// The section of a kind with a title: `section(kind: "store", title: "work")` for `[store "work"]`.
    public func section(kind: String, title: String) -> Section? {
        sections.first { $0.kind == kind && $0.title == title }
    }

    /// Reads a whole file's text.
    /// - Throws: `INIError` at the first line that cannot be read.
    public static func parse(_ text: String, comments: Comments = .wholeLines) throws(INIError) -> INIFile {
        var parser = INIParser(comments: comments)
        var text = Substring(text)
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        var line = text.utf8.startIndex
        while line < text.utf8.endIndex {
            let end = text.utf8[line...].firstIndex { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
            try parser.consume(text[line..<(end ?? text.utf8.endIndex)])
            guard let end else { break }
            line = text.utf8.index(after: end)
            if text.utf8[end] == UInt8(ascii: "\r"), line < text.utf8.endIndex, text.utf8[line] == UInt8(ascii: "\n") {
                line = text.utf8.index(after: line)
            }
        }
        return INIFile(sections: parser.sections)
    }

    /// Both sides of the first delimiter, trimmed; nil when there is none.
    static func divide(_ line: Substring, at delimiters: [UInt8]) -> (key: Substring, value: Substring)? {
        guard let delimiter = line.utf8.firstIndex(where: { delimiters.contains($0) }) else { return nil }
        return (trim(line[..<delimiter]), trim(line[line.utf8.index(after: delimiter)...]))
    }

    static func trim(_ text: Substring) -> Substring {
        guard let first = text.utf8.firstIndex(where: { !isSpace($0) }),
            let last = text.utf8.lastIndex(where: { !isSpace($0) })
        else { return "" }
        return text[first...last]
    }

    static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || (UInt8(ascii: "\t")...UInt8(ascii: "\r")).contains(byte)
    }

    private static func words(_ name: String) -> (kind: String, title: String?) {
        guard let space = name.utf8.firstIndex(where: isSpace) else { return (name, nil) }
        var title = trim(name[space...])
        for quote in ["\"", "'"] where title.utf8.count >= 2 && title.hasPrefix(quote) && title.hasSuffix(quote) {
            title = title.dropFirst().dropLast()
        }
        return (String(name[..<space]), String(title))
    }
}

/// Takes an INI file line by line.
private struct INIParser {
    let comments: INIFile.Comments
    private(set) var sections: [INIFile.Section] = []
    private var number = 0
    private var current: Int?
    /// Whether the last entry may be continued, and how far its key is indented.
    private var continuable: Int?
    /// Empty lines since: part of the value when it goes on.
    private var emptyLines = 0

    init(comments: INIFile.Comments) { self.comments = comments }

    mutating func consume(_ raw: Substring) throws(INIError) {
        number += 1
        let line = INIFile.trim(withoutInlineComment(raw))
        guard let first = line.utf8.first else {
            emptyLines += 1
            return
        }
        if first == UInt8(ascii: "#") || first == UInt8(ascii: ";") { return }
        let indentation = raw.utf8.prefix(while: INIFile.isSpace).count
        if let current, let continuable, indentation > continuable {
            let last = sections[current].entries.count - 1
            sections[current].entries[last].value += String(repeating: "\n", count: emptyLines + 1) + line
            emptyLines = 0
            return
        }
        emptyLines = 0
        if first == UInt8(ascii: "[") {
            try beginSection(line)
        } else {
            try addEntry(line, indentation: indentation)
        }
    }

    private mutating func beginSection(_ line: Substring) throws(INIError) {
        guard let end = line.utf8.lastIndex(of: UInt8(ascii: "]")) else {
            throw INIError(line: number, problem: .sectionName)
        }
        let name = INIFile.trim(line[..<end].dropFirst())
        guard !name.isEmpty else { throw INIError(line: number, problem: .sectionName) }
        continuable = nil
        current = sections.firstIndex { $0.name == name }
        if current == nil {
            current = sections.count
            sections.append(INIFile.Section(name: String(name), line: number, entries: []))
        }
    }

    private mutating func addEntry(_ line: Substring, indentation: Int) throws(INIError) {
        guard let (key, value) = INIFile.divide(line, at: [UInt8(ascii: "="), UInt8(ascii: ":")]) else {
            throw INIError(line: number, problem: .noDelimiter)
        }
        guard !key.isEmpty else { throw INIError(line: number, problem: .noKey) }
        guard let current else { throw INIError(line: number, problem: .outsideSection) }
        let entry = INIFile.Entry(key: key.lowercased(), value: String(value), line: number)
        sections[current].entries.append(entry)
        continuable = indentation
    }

    private func withoutInlineComment(_ line: Substring) -> Substring {
        guard comments == .inline else { return line }
        var afterSpace = false
        for index in line.utf8.indices {
            let byte = line.utf8[index]
            if afterSpace, byte == UInt8(ascii: "#") || byte == UInt8(ascii: ";") { return line[..<index] }
            afterSpace = INIFile.isSpace(byte)
        }
        return line
    }
}
