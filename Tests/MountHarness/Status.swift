internal import Testing

/// `sessionfs status --json`, by dotted paths.
package struct Status {
    package let fields: [String: Any]

    package init(_ fields: [String: Any]) { self.fields = fields }

    package func value(_ path: String) -> Any? {
        path.split(separator: ".").reduce(fields as Any?) { ($0 as? [String: Any])?[String($1)] }
    }

    package func number(_ path: String) throws -> Int { try #require(value(path) as? Int, "\(path) in \(fields)") }

    package func text(_ path: String) throws -> String { try #require(value(path) as? String, "\(path) in \(fields)") }

    /// Requests made to the store so far.
    package func requests() throws -> Int { try number("freshness.requests") }
}

/// An entry of `sessionfs queue list --json`.
package struct QueuedChange {
    package let id: Int
    package let name: String
    /// `create`, `edit`, `remove`, `rename`.
    package let kind: String
    /// `ready`, `open`, `local`, `refused`, `failed`, `conflict`, `held`.
    package let state: String
    package let size: Int?
    package let reason: String
    package let remoteName: String?
    package let conflict: Int?

    init(_ fields: [String: Any]) throws {
        id = try #require(fields["id"] as? Int, "\(fields)")
        name = try #require(fields["name"] as? String, "\(fields)")
        kind = try #require(fields["kind"] as? String, "\(fields)")
        state = try #require(fields["state"] as? String, "\(fields)")
        size = fields["size"] as? Int
        reason = fields["reason"] as? String ?? ""
        remoteName = fields["remote_name"] as? String
        conflict = fields["conflict"] as? Int
    }
}

/// An entry of `sessionfs conflicts list --json`.
package struct ListedConflict {
    package let id: Int
    /// `created`, `edited`, `edited_removed`, `removed_edited`, `renamed`.
    package let kind: String
    package let name: String
    package let localName: String?
    package let choice: String?
    package let decidedBy: String?
    /// Where the losing contents are kept.
    package let kept: String?

    init(_ fields: [String: Any]) throws {
        id = try #require(fields["id"] as? Int, "\(fields)")
        kind = try #require(fields["kind"] as? String, "\(fields)")
        name = try #require(fields["name"] as? String, "\(fields)")
        localName = fields["local_name"] as? String
        choice = fields["choice"] as? String
        decidedBy = fields["decided_by"] as? String
        kept = fields["kept"] as? String
    }
}
