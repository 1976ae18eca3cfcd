import Catalog
import Control
import JSON
import MountService
import Platform
import SessionFormat

/// How a session is printed.
enum SessionText {
    /// One line of `ls -l`.
    static func line(_ entry: SessionEntry, _ metadata: SessionMetadata?) -> String {
        line(entry.size, entry.modified, entry.fileName, metadata)
    }

    /// One line of `ls -l` for what is not in the bucket yet.
    static func line(_ report: SessionReport) -> String {
        let metadata = report.metadata == .null ? nil : SessionMetadata(json: report.metadata)
        return line(report.size, report.modified, report.name, metadata) + "  (\(report.state))"
    }

    private static func line(
        _ bytes: UInt64, _ modified: Timestamp, _ name: String, _ metadata: SessionMetadata?
    ) -> String {
        let size = String(bytes)
        var text = String(repeating: " ", count: max(0, 10 - size.utf8.count)) + size
        text += " " + Output.local(modified)
        text += " " + Output.plain(name)
        guard let metadata else { return text }
        text += "  [\(metadata.color)\(metadata.sessionClass.isEmpty ? "" : ", " + Output.plain(metadata.sessionClass))"
        text += ", \(metadata.imageCount) \(metadata.imageCount == 1 ? "image" : "images")]"
        if !metadata.tags.isEmpty { text += " #" + metadata.tags.map(Output.plain).joined(separator: " #") }
        return text
    }

    /// The facts of a session, one a line.
    static func block(_ entry: SessionEntry, _ metadata: SessionMetadata?) -> String {
        block(entry.fileName, entry.size, entry.modified, entry.uploaded, entry.etag, nil, metadata?.json ?? .null)
    }

    static func block(_ report: SessionReport) -> String {
        block(
            report.name, report.size, report.modified, report.uploaded, report.etag, report.state, report.metadata,
            reason: report.reason)
    }

    private static func block(
        _ name: String, _ size: UInt64, _ modified: Timestamp, _ uploaded: Timestamp?, _ etag: String?,
        _ state: String?, _ metadata: JSONValue, reason: String? = nil
    ) -> String {
        var facts: [(String, String)] = [("file", name), ("size", "\(size) (\(Output.size(size)))")]
        if let text = metadata["name"]?.string { facts.append(("name", text)) }
        if let text = metadata["desc"]?.string, !text.isEmpty { facts.append(("description", text)) }
        if let tags = metadata["tags"]?.array?.compactMap(\.string), !tags.isEmpty {
            facts.append(("tags", tags.joined(separator: ", ")))
        }
        if let text = metadata["class"]?.string, !text.isEmpty { facts.append(("class", text)) }
        if let text = metadata["color"]?.string { facts.append(("color", text)) }
        if let count = metadata["image_count"]?.integer { facts.append(("images", String(count))) }
        facts.append(("created", metadata["created_at"]?.string ?? Output.local(modified)))
        if let uploaded { facts.append(("uploaded", Output.local(uploaded))) }
        if let etag { facts.append(("etag", etag)) }
        if let state { facts.append(("state", state)) }
        if let reason { facts.append(("because", reason)) }
        if metadata == .null { facts.append(("metadata", "not known")) }
        return facts.map { key, value in
            key + String(repeating: " ", count: 13 - key.utf8.count) + Output.plain(value) + "\n"
        }.joined()
    }

    /// What is not in the bucket yet, in `--json`.
    static func json(_ report: SessionReport) -> JSONValue {
        .object([
            ("name", .string(report.name)), ("id", .integer(report.id)),
            ("size", .integer(Int64(clamping: report.size))), ("modified", .string(report.modified.iso8601)),
            ("uploaded", report.uploaded.map { .string($0.iso8601) } ?? .null),
            ("etag", report.etag.map { .string($0) } ?? .null), ("index", .string("unknown")),
            ("metadata", report.metadata),
        ])
    }

    /// A session in `--json`.
    static func json(_ entry: SessionEntry, _ metadata: SessionMetadata?) -> JSONValue {
        .object([
            ("name", .string(entry.fileName)), ("id", .integer(entry.id)),
            ("size", .integer(Int64(clamping: entry.size))),
            ("modified", .string(entry.modified.iso8601)),
            ("uploaded", entry.uploaded.map { .string($0.iso8601) } ?? .null),
            ("etag", entry.etag.map { .string($0) } ?? .null), ("index", .string(entry.indexState.word)),
            ("metadata", metadata?.json ?? .null),
        ])
    }
}
