internal import Catalog
internal import SessionCache
internal import SessionFormat

/// The extended attribute by which a file's state is seen (M8).
let stateAttribute = "user.sessionfs.state"

extension FileTree {
    /// Whether the attributes of a node come from contents that lie here and may have to be read for them: that waits
    /// for the disk.
    public func attributesAreStaged(_ inode: Inode) -> Bool {
        guard inode.slotIndex == Int(Inode.Slot.body.rawValue) else { return false }
        return sources.staging?.change(id: inode.row)?.content != nil
    }

    /// The word of `user.sessionfs.state` for a session.
    public func stateWord(_ id: Int64) -> String { sources.stateWord(id) }
}

extension BodyNode {
    func attributeNames(_ row: Int64) throws(FileSystemError) -> [String] {
        (try metadata(row) != nil ? SessionAttribute.allCases.map(\.rawValue) : []) + [stateAttribute]
    }

    func attribute(_ name: String, _ row: Int64) throws(FileSystemError) -> [UInt8] {
        if name == stateAttribute {
            _ = try entry(row)
            return Array(sources.stateWord(row).utf8)
        }
        guard let known = SessionAttribute(rawValue: name), let metadata = try metadata(row) else {
            throw FileSystemError(.noAttribute)
        }
        return Array(known.value(metadata).utf8)
    }

    /// Of contents that lie here their own, else what the catalog knows.
    private func metadata(_ row: Int64) throws(FileSystemError) -> SessionMetadata? {
        if let change = view.staging?.change(id: row), change.content != nil || change.remoteName == nil {
            return sources.localMetadata(row)
        }
        return try reading { () throws(CatalogError) in try view.catalog.metadata(id: row) }
    }
}

extension FileTree.Sources {
    /// What there is to say of a pending change, else where the bytes are.
    func stateWord(_ id: Int64) -> String {
        guard let change = staging?.change(id: id) else {
            // A session that is open for writing and was not flushed yet is no change.
            let isDraft = staging.map { ((try? $0.openContents(id: id)) ?? nil) != nil } ?? false
            return isDraft ? "writing" : cache.state(id).description
        }
        return switch change.state {
        case .ready: uploadPercent(id).map { "uploading \($0)%" } ?? "pending"
        case .held: "pending"
        case .open: "writing"
        case .local, .refused, .failed, .conflict: change.state.rawValue
        }
    }
}

/// The extended attributes that carry a session's metadata (M6).
enum SessionAttribute: String, CaseIterable {
    case name = "user.fastshot.name"
    case desc = "user.fastshot.desc"
    case tags = "user.fastshot.tags"
    case color = "user.fastshot.color"
    case sessionClass = "user.fastshot.class"
    case imageCount = "user.fastshot.image_count"
    case createdAt = "user.fastshot.created_at"

    /// The value as text. Tags are joined by commas; a comma or backslash inside a tag has a backslash before it.
    func value(_ metadata: SessionMetadata) -> String {
        switch self {
        case .name: metadata.name
        case .desc: metadata.desc
        case .tags: metadata.tags.map(escapingCommas).joined(separator: ",")
        case .color: metadata.color
        case .sessionClass: metadata.sessionClass
        case .imageCount: String(metadata.imageCount)
        case .createdAt: metadata.createdAt ?? ""
        }
    }

    private func escapingCommas(_ tag: String) -> String {
        var text = ""
        for character in tag {
            if character == "," || character == "\\" { text.append("\\") }
            text.append(character)
        }
        return text
    }
}
