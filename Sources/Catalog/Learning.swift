internal import Digests
internal import SessionFormat

/// How a record takes what the bucket says. Two voices speak of an object, and the rule between them is this:
///
/// - **The store itself** (listing, HEAD, GET) is always right about size, version and upload time.
/// - **A row of the overall file** is a copy of what the store said at some time, by a client that may have been wrong
///   or late. It counts where the store was not heard yet. Once the store was heard (`listed`), a row adds only what is
///   missing, until the row's own content changes between two readings of the file: then somebody has published
///   something newer than that listing, and the row counts again until the store is heard. One that names another
///   object and an earlier upload than the store did is of an older file, which somebody wrote over a newer one.
///
/// Metadata goes by the same rule: what was read from the index object stays until the row's `metadata` changes.
extension Record {
    /// Whether nothing says that the object is another than before, although its length and date may be the same. What
    /// was unknown before says nothing.
    func isSameVersion(as before: Record) -> Bool {
        (before.etag == nil || etag == before.etag) && (before.md5 == nil || md5 == before.md5)
            && (before.sha256 == nil || sha256 == before.sha256)
    }

    /// Whether nobody who looks at it can tell it from before.
    func shows(sameAs before: Record) -> Bool {
        isSameVersion(as: before) && size == before.size && modified == before.modified
            && indexSize == before.indexSize && metadata == before.metadata && indexBytes == before.indexBytes
            && state == before.state
    }

    /// Takes what the store says of the object.
    mutating func take(_ facts: ObjectFacts) {
        // Without tags, the length has to tell versions apart.
        let sameVersion = facts.size == size && (facts.etag == nil || etag == nil || facts.etag == etag)
        if !sameVersion {
            md5 = nil
            sha256 = nil
            etag = nil
        }
        size = facts.size
        etag = facts.etag ?? etag
        md5 = facts.contentMD5.flatMap { Digest.bytes($0, count: 16) } ?? md5
        uploaded = facts.uploaded ?? uploaded
        listed = true
    }

    /// Takes a row of the overall file.
    /// - Parameter etagIsContentMD5: whether the store's tags of small objects are MD5 sums.
    mutating func take(_ row: OverallRow, _ marks: RowMarks, etagIsContentMD5: Bool) {
        let isFirst = rowFacts == nil
        if rowFacts != marks.facts, isOutdated(row) {
            rowFacts = marks.facts
            rowMetadata = marks.metadata
            return
        }
        if rowFacts != marks.facts { takeFacts(row, isFirst: isFirst, etagIsContentMD5: etagIsContentMD5) }
        rowFacts = marks.facts
        if let news = row.metadata, rowMetadata != marks.metadata {
            if source != .object || rowMetadata != nil {
                metadata = news
                source = .row
                state = .known
                indexBytes = nil
                reason = nil
            }
            rowMetadata = marks.metadata
        } else if isFirst, state == .missing {
            // A client writes the index before the row: it may be there by now.
            state = .unknown
        }
    }

    /// Whether the row names another object than the one that the store showed, uploaded before that one.
    private func isOutdated(_ row: OverallRow) -> Bool {
        claimsEarlier(row) && differs(from: row)
    }

    /// Whether the row names an earlier upload than the store did.
    private func claimsEarlier(_ row: OverallRow) -> Bool {
        guard listed, let uploaded, let claimed = row.createdAt.flatMap(NaiveTime.init(iso8601:))?.timestamp else {
            return false
        }
        return claimed.seconds < uploaded.seconds
    }

    /// Whether the row names another object, uploaded in the same second: it does not tell which came later.
    func isContested(by row: OverallRow) -> Bool {
        guard listed, let uploaded, let claimed = row.createdAt.flatMap(NaiveTime.init(iso8601:))?.timestamp else {
            return false
        }
        return claimed.seconds == uploaded.seconds && differs(from: row)
    }

    /// Two rows name different objects of the second in which the store's was uploaded, and nothing tells which of them is
    /// of that.
    mutating func doubt(_ row: OverallRow, _ marks: RowMarks) {
        if Digest.differ(Digest.of(row).sha256, sha256) { sha256 = nil }
        rowFacts = marks.facts
    }

    private func differs(from row: OverallRow) -> Bool {
        let (rowMD5, rowSHA256) = Digest.of(row)
        return (row.fileSize ?? size) != size || Digest.differ(rowMD5, md5) || Digest.differ(rowSHA256, sha256)
    }

    private mutating func takeFacts(_ row: OverallRow, isFirst: Bool, etagIsContentMD5: Bool) {
        let (rowMD5, rowSHA256) = Digest.of(row)
        if differs(from: row) {
            if listed && isFirst { return }
            size = row.fileSize ?? size
            etag = nil
            md5 = nil
            sha256 = nil
            listed = false
        }
        // Uploaded before what the store showed, the row is of another object of the same length.
        if !claimsEarlier(row) {
            md5 = md5 ?? rowMD5
            sha256 = sha256 ?? rowSHA256
        }
        if etag == nil, etagIsContentMD5, let rowMD5 { etag = Hex.encode(rowMD5) }
        if !listed || uploaded == nil {
            uploaded = row.createdAt.flatMap(NaiveTime.init(iso8601:))?.timestamp ?? uploaded
        }
    }

    /// Takes what was found under the index's key.
    mutating func take(_ finding: IndexFinding) {
        switch finding {
        case .known(let index, let bytes, let foundEtag):
            metadata = index.metadata
            source = .object
            state = .known
            indexEtag = foundEtag
            reason = nil
            indexBytes = bytes
            if generatedIndex == bytes { indexBytes = nil }
        case .missing:
            indexEtag = nil
            lose(.missing, nil)
        case .corrupt(let why, let foundEtag):
            indexEtag = foundEtag
            lose(.corrupt, why)
        }
    }

    /// There is no readable index object. What the overall row says of it stays.
    private mutating func lose(_ next: IndexState, _ why: String?) {
        reason = why
        indexBytes = nil
        if source == .row { return state = .known }
        metadata = nil
        source = .none
        state = next
    }

    /// A listing shows the index object.
    mutating func takeListedIndex(etag listedEtag: String?) {
        switch state {
        case .unknown: break
        case .missing: state = .unknown
        case .known, .corrupt:
            if let known = indexEtag, let listedEtag, known != listedEtag { state = .unknown }
            // Metadata that came with a row is of the version that is there now.
            if indexEtag == nil { indexEtag = listedEtag }
        }
    }
}

private enum Digest {
    /// Those that a row names.
    static func of(_ row: OverallRow) -> (md5: [UInt8]?, sha256: [UInt8]?) {
        switch row.checksum {
        case .etag(let hex): (bytes(hex, count: 16), nil)
        case .sha256(let hex): (nil, bytes(hex, count: 32))
        case nil: (nil, nil)
        }
    }

    /// The bytes of a digest in hex; nil unless it has that length.
    static func bytes(_ hex: String, count: Int) -> [UInt8]? {
        guard let bytes = Hex.decode(hex), bytes.count == count else { return nil }
        return bytes
    }

    /// Whether both are known and are not the same.
    static func differ(_ left: [UInt8]?, _ right: [UInt8]?) -> Bool {
        guard let left, let right else { return false }
        return left != right
    }
}
