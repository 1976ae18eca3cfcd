internal import Platform
internal import SessionCache
internal import SessionFormat

/// What one pass over staged contents tells.
struct StagedFacts: Sendable {
    var size: UInt64
    /// Lower-case hex; nil for contents that go in parts, of which it is taken when there is time.
    var md5: String?
    /// Lower-case hex.
    var sha256: String
    /// As a session; basic facts where it is none and those are sent, too.
    var metadata: SessionMetadata

    /// Ends a pass over a file. Waits for the disk.
    static func examine(
        _ content: StagedContent, file: FileDescriptor, name: SessionName, foreign: ForeignContents, _ pass: StagedPass
    ) -> Result<StagedFacts, PublishStop> {
        let end: StagedPass.End
        do throws(SystemError) {
            end = try pass.finish(file, name: name, size: content.size)
        } catch { return .failure(.failed("the staged file cannot be read: \(error)")) }
        guard end.offset == content.size else {
            return .failure(.failed("the staged file is \(end.offset) bytes long instead of \(content.size)"))
        }
        let metadata: SessionMetadata
        do throws(FormatError) { metadata = try end.metadata.get() } catch {
            guard foreign == .basic else { return .failure(.refused("not a FastShot session: \(error)")) }
            metadata = basic(name, content)
        }
        return .success(StagedFacts(size: content.size, md5: end.md5, sha256: end.sha256, metadata: metadata))
    }

    /// What the file itself tells.
    private static func basic(_ name: SessionName, _ content: StagedContent) -> SessionMetadata {
        SessionMetadata(
            name: name.title, createdAt: name.stamp?.iso8601 ?? content.modified.localText, fileSize: content.size)
    }
}
