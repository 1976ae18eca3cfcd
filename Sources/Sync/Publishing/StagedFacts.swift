internal import Digests
internal import Platform
internal import SessionCache
internal import SessionFormat

/// What one pass over staged contents tells.
struct StagedFacts: Sendable {
    var size: UInt64
    /// Lower-case hex.
    var md5: String
    /// Lower-case hex.
    var sha256: String
    /// As a session; basic facts where it is none and those are sent, too.
    var metadata: SessionMetadata

    var fingerprint: ContentFingerprint { ContentFingerprint(size: size, md5: md5) }

    /// Small enough for the heap: larger blocks are mapped and given back each time (``Memory``).
    private static let chunk = 128 << 10

    /// Reads a file from its beginning to its end. Waits for the disk.
    static func examine(
        _ content: StagedContent, file: FileDescriptor, name: SessionName, key: Secret?, foreign: ForeignContents
    ) -> Result<StagedFacts, PublishStop> {
        let md5 = MD5()
        let sha256 = SHA256()
        let skimmer = SessionSkimmer(key: key?.reveal())
        var offset: UInt64 = 0
        do throws(SystemError) {
            while offset < content.size {
                let bytes = try file.read(at: offset, count: Int(min(UInt64(chunk), content.size - offset)))
                if bytes.isEmpty { break }
                md5.update(bytes)
                sha256.update(bytes)
                skimmer.consume(bytes.span.bytes)
                offset += UInt64(bytes.count)
            }
        } catch { return .failure(.failed("the staged file cannot be read: \(error)")) }
        guard offset == content.size else {
            return .failure(.failed("the staged file is \(offset) bytes long instead of \(content.size)"))
        }
        let metadata: SessionMetadata
        do throws(FormatError) { metadata = try skimmer.finish(name: name, fileSize: content.size) } catch {
            guard foreign == .basic else { return .failure(.refused("not a FastShot session: \(error)")) }
            metadata = basic(name, content)
        }
        return .success(
            StagedFacts(
                size: content.size, md5: Hex.encode(md5.finalize()), sha256: Hex.encode(sha256.finalize()),
                metadata: metadata))
    }

    /// What the file itself tells.
    private static func basic(_ name: SessionName, _ content: StagedContent) -> SessionMetadata {
        SessionMetadata(
            name: name.title, createdAt: name.stamp?.iso8601 ?? content.modified.localText, fileSize: content.size)
    }
}
