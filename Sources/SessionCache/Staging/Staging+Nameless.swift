public import Platform
internal import Synchronization

extension Staging {
    /// Opens contents for writing to which no name leads any more: a program goes on with a file that was accepted and
    /// has lost its name since. Accepted contents are never changed, so all who have the file open get a copy, which goes
    /// when the last one closes it.
    /// - Parameter source: the accepted contents.
    /// - Throws: `.diskFull`, `.io`.
    public func openNameless(id: Int64, copying source: FileDescriptor) throws(StagingError) -> StagedFile {
        let (path, file) = try newFile()
        let made: Draft
        do throws(SystemError) {
            try file.copyContents(of: source)
            made = Draft(
                id: id, path: path, file: file, size: try file.size(), modified: .now, base: nil, rebases: 0,
                observer: growth, isChanged: false)
        } catch {
            try? Files.remove(path)
            throw StagingError(error)
        }
        made.state.withLock { $0.isDetached = true }
        let shared = view.withLock { view in
            let draft = view.drafts[id]?.draft ?? made
            view.drafts[id, default: OpenDraft(draft: draft, writers: 0)].writers += 1
            count(view)
            return draft
        }
        if shared !== made { try? Files.remove(path) }
        return StagedFile(id: id, source: .draft(shared), isWritable: true, staging: self)
    }
}
