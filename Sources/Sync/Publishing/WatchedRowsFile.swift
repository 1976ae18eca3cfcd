internal import JSON
internal import Platform
internal import SessionFormat

/// What of ``WatchedRows`` outlives the process: a line of JSON for each row that was written or removed, of which the
/// last one of a name counts. Lines are added, for jobs wait for it and there may be thousands of rows; once most of them
/// are of no use, the file is written anew.
final class WatchedRowsFile: Sendable {
    enum Line: Sendable {
        case written(WatchedRows.Item)
        case removed(fileName: String, Timestamp)
    }

    /// Lines that may be of no use, beside as many as are.
    private static let spare = 1000

    private let path: String
    /// How many lines the file has; nil: it has to be written anew.
    private let lines = Guarded<Int?>(nil)

    init(path: String) { self.path = path }

    /// The lines in their order. What cannot be read is left out.
    func read() -> [Line] {
        guard let bytes = try? Files.read(path) else { return [] }
        let found = bytes.split(separator: UInt8(ascii: "\n")).map { Self.line(Array($0)) }
        // What a process that died was writing must not run into the next line.
        if !found.contains(where: { $0 == nil }), bytes.isEmpty || bytes.last == UInt8(ascii: "\n") {
            lines.withLock { $0 = found.count }
        }
        return found.compactMap { $0 }
    }

    /// - Parameters:
    ///   - count: how many lines are of use, the new ones among them.
    ///   - all: those.
    func add(_ new: [Line], ofUse count: Int, all: () -> [Line]) {
        if new.isEmpty { return }
        lines.withLock { lines in
            do throws(SystemError) {
                if let before = lines, before + new.count <= 2 * count + Self.spare {
                    lines = nil
                    try FileDescriptor.open(path, [.write, .append, .create]).append(Self.bytes(new))
                    lines = before + new.count
                } else {
                    let all = all()
                    try Files.replace(path, with: Self.bytes(all), durably: false)
                    lines = all.count
                }
            } catch { PublishContext.log.warning("watched rows are not kept", ["cause": error.description]) }
        }
    }

    private static func bytes(_ lines: [Line]) -> [UInt8] {
        var bytes: [UInt8] = []
        for line in lines {
            let value: JSONValue =
                switch line {
                case .written(let item):
                    .object([
                        ("written", .integer(item.written.nanoseconds)), ("etag", JSONValue(item.etag)),
                        ("row", item.row.json),
                    ])
                case .removed(let fileName, let time):
                    .object([("written", .integer(time.nanoseconds)), ("name", .string(fileName))])
                }
            bytes += value.serialized()
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }

    private static func line(_ bytes: [UInt8]) -> Line? {
        guard let value = try? JSONValue.parse(bytes), let time = value["written"]?.integer else { return nil }
        let written = Timestamp(nanoseconds: time)
        if let name = value["name"]?.string { return .removed(fileName: name, written) }
        guard let row = value["row"].flatMap({ OverallRow(json: $0) }) else { return nil }
        return .written(WatchedRows.Item(row: row, etag: value["etag"]?.string, written: written))
    }
}
