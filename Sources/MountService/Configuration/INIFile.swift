/// An INI file that cannot be read.
struct INIError: Error, Equatable {
    var message: String
    var line: Int
}

/// Sections of `key = value` lines. Lines that begin with `#` or `;` are comments.
struct INIFile {
    struct Entry {
        var key: String
        var value: String
        var line: Int
    }
    struct Section {
        var name: String
        var line: Int
        var entries: [Entry]
    }
    var sections: [Section] = []

    static func parse(_ bytes: [UInt8]) throws(INIError) -> INIFile {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw INIError(message: "not UTF-8", line: 1) }
        var file = INIFile()
        var number = 0
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            number += 1
            let trimmed = trim(line)
            guard let first = trimmed.first, first != "#", first != ";" else { continue }
            if first == "[" {
                guard trimmed.last == "]" else {
                    throw INIError(message: "a section's name must end with ]", line: number)
                }
                file.sections.append(Section(name: trim(trimmed.dropFirst().dropLast()), line: number, entries: []))
                continue
            }
            guard let mark = trimmed.firstIndex(where: { $0 == "=" || $0 == ":" }), mark != trimmed.startIndex else {
                throw INIError(message: "neither a section nor key = value", line: number)
            }
            guard !file.sections.isEmpty else { throw INIError(message: "a key before any section", line: number) }
            let entry = Entry(
                key: trim(trimmed[..<mark]), value: trim(trimmed[trimmed.index(after: mark)...]), line: number)
            file.sections[file.sections.count - 1].entries.append(entry)
        }
        return file
    }

    private static func trim(_ text: some StringProtocol) -> String {
        var rest = text.drop(while: \.isWhitespace)
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
