internal import Catalog
internal import Platform
internal import SessionCache

/// An open session: a body of the bucket, or contents that lie here, for reading or for writing.
///
/// The kernel's pages of an inode are shared by all who have it open, and what one of them reads all others see. So
/// they all have to read the same bytes: when a draft is made of a session, the ones that have its body open go over to
/// the draft.
final class SessionFile: OpenFile {
    private enum Source {
        case body(OpenBody)
        case local(StagedFile)
    }
    private struct State {
        var source: Source
        /// The catalog names another version than the body that is open.
        var isSuperseded = false
        /// Open for writing: `source` is a draft that this file has to close.
        var isWriter: Bool
        /// The draft was closed so that it could be sent, and this file may still be written.
        var isHandedOver = false
        var isClosed = false
        var keepsPages = true
        var isSame = true
        var toldSize: UInt64?
        /// The MD5 of the body that was opened, as far as the catalog knew it.
        var openedMD5: String?
    }

    let id: Int64
    /// Opened for writing.
    let isWritable: Bool
    private let state: Guarded<State>

    init(body: OpenBody) {
        id = body.id
        isWritable = false
        state = Guarded(State(source: .body(body), isWriter: false))
    }

    /// Contents that lie here; a draft when they were opened for writing.
    init(local: StagedFile) {
        id = local.id
        isWritable = local.isWritable
        state = Guarded(State(source: .local(local), isWriter: local.isWritable))
    }

    var caching: PageCaching {
        if case .body(let body) = state.withLock({ $0.source }), let file = body.complete { return .local(file) }
        return .keep
    }

    /// The length in bytes.
    var size: UInt64 {
        switch state.withLock({ $0.source }) {
        case .body(let body): body.size
        case .local(let file): file.size
        }
    }

    var keepsPages: Bool { state.withLock { $0.keepsPages } }

    var isSameVersion: Bool { state.withLock { $0.isSame } }

    func settle(isSame: Bool, keepsPages: Bool) {
        state.withLock { ($0.isSame, $0.keepsPages) = (isSame, keepsPages) }
    }

    /// What pages of the open session are read from: the version of the bucket that the catalog names; nil where it is
    /// another one, or has no tag.
    func pageVersion(_ entry: SessionEntry?) -> PageVersions.Version? {
        guard case .body(let body) = state.withLock({ $0.source }), let entry, body.isCurrent(for: entry) else {
            return nil
        }
        if body.complete == nil { return body.arrival.map { .arriving($0) } }
        return entry.etag.map { .whole(etag: $0, size: entry.size) }
    }

    /// Notes what the catalog told of the session when it was opened.
    /// - Parameter told: the size that programs know.
    func note(_ entry: SessionEntry?, told: UInt64?) {
        state.withLock { state in
            state.toldSize = told
            if case .body(let body) = state.source, let entry, body.isCurrent(for: entry) {
                state.openedMD5 = entry.contentMD5
            }
        }
    }

    /// Whether the body has another size than the kernel takes it to have.
    /// - Parameters:
    ///   - end: where the body ends, if a reply came to it.
    ///   - asked: up to where the kernel asked for pages.
    func isOtherwise(end: UInt64?, asked: UInt64) -> Bool {
        let page: UInt64 = 4096
        if let end, (end + page - 1) / page * page < asked { return true }
        let (source, told) = state.withLock { ($0.source, $0.toldSize) }
        guard case .body(let body) = source, let told else { return false }
        return body.size != told
    }

    /// What fstat(2) shows once the file has no name any more.
    var attributesWithoutName: FileAttributes {
        var attributes = FileAttributes(
            inode: Inode(slot: .body, row: id), permissions: 0o644, size: size,
            modifiedNanoseconds: Timestamp.now.nanoseconds)
        attributes.hasName = false
        return attributes
    }

    /// Another open file of the same local contents, for reading; nil where they are not local.
    func reopened() -> SessionFile? {
        guard case .local(let file) = state.withLock({ $0.source }) else { return nil }
        return SessionFile(reader: file)
    }

    private init(reader file: StagedFile) {
        id = file.id
        isWritable = false
        state = Guarded(State(source: .local(file), isWriter: false))
    }

    // MARK: Which contents

    /// Whether a body of the bucket is open.
    var isOfBucket: Bool {
        if case .body = state.withLock({ $0.source }) { return true }
        return false
    }

    /// Goes over to the contents that lie here, if there are any. Files that write to a draft stay with it.
    func followLocal(_ staging: Staging) {
        guard !state.withLock({ $0.isWriter || $0.isClosed }), let local = try? staging.openContents(id: id) else {
            return
        }
        replaceSource(.local(local))
    }

    /// Goes over to the contents that are the session's now. A body stays the version it is, and its reads fail once
    /// the catalog names another one: they would fill the kernel's pages with bytes that later readers take for the new
    /// one's.
    func follow(_ sources: FileTree.Sources) {
        let current = state.withLock { $0 }
        if current.isWriter || current.isClosed { return }
        if let staging = sources.staging, let local = try? staging.openContents(id: id) {
            return replaceSource(.local(local))
        }
        switch current.source {
        case .body(let body):
            guard let entry = try? sources.catalog.entry(id: id), !body.isCurrent(for: entry) else { return }
            // A rename makes another object of the same bytes.
            if entry.size == body.size, let md5 = current.openedMD5, md5 == entry.contentMD5 { return }
            state.withLock { $0.isSuperseded = true }
        case .local:
            // Sent, or given up: from now on the bucket's version is the session's. One that has no name any more
            // keeps the contents that it has.
            guard let staging = sources.staging, (try? staging.entry(id: id)) != nil,
                let body = try? sources.cache.open(id)
            else { return }
            replaceSource(.body(body))
        }
    }

    private func replaceSource(_ source: Source) {
        let old: Source = state.withLock { state in
            if state.isWriter || state.isClosed { return source }
            defer {
                state.source = source
                state.isSuperseded = false
                // Programs of this machine have written the contents since: the kernel knows their size from them.
                state.toldSize = nil
                state.openedMD5 = nil
            }
            return state.source
        }
        SessionFile.release(old)
    }

    private static func release(_ source: Source) {
        switch source {
        case .body(let body): body.close()
        case .local(let file): if !file.isWritable { file.close() }
        }
    }

    // MARK: Reading

    func read(at offset: UInt64, count: Int, reply: @escaping ReadReply) {
        let (source, isSuperseded) = state.withLock { ($0.source, $0.isSuperseded) }
        switch source {
        case .local(let file):
            let size = file.size
            let start = min(offset, size)
            reply(.success(.file(file.descriptor, offset: start, count: Int(min(UInt64(max(0, count)), size - start)))))
        case .body(let body):
            if isSuperseded { return reply(.failure(SessionFile.replaced)) }
            body.read(at: offset, count: count) { [self] result in
                // The answer may have taken its time: what counts is whose bytes are wanted now.
                let state = state.withLock { $0 }
                if case .local = state.source { return read(at: offset, count: count, reply: reply) }
                switch result {
                case .success(.file(let file, let offset, let count)):
                    if state.isSuperseded {
                        reply(.failure(SessionFile.replaced))
                    } else {
                        reply(.success(.file(file, offset: offset, count: count)))
                    }
                case .failure(let error): reply(.failure(FileSystemError(error)))
                }
            }
        }
    }

    static var replaced: FileSystemError {
        FileSystemError(.changed, "the session was replaced since it was opened")
    }

    // MARK: Writing

    /// Runs a change of the draft. A draft that was handed over for sending meanwhile is opened again, which may wait;
    /// see ``needsReopening``.
    /// - Parameter reopened: called then, before the change.
    func change(
        _ staging: Staging, reopened: () -> Void = {}, _ body: (StagedFile) throws(StagingError) -> Void
    ) throws(FileSystemError) {
        while true {
            if needsReopening {
                try reopen(staging)
                reopened()
            }
            // Under the lock, so that no write is under way when the draft is handed over.
            let isDone = try state.withLock { state throws(FileSystemError) in
                if state.isHandedOver { return false }
                guard state.isWriter, !state.isClosed, case .local(let file) = state.source else {
                    throw FileSystemError(.notPermitted, "the file is not open for writing")
                }
                try changing { () throws(StagingError) in try body(file) }
                return true
            }
            if isDone { return }
        }
    }

    /// Whether the next change waits until the session is open for writing again.
    var needsReopening: Bool { state.withLock { $0.isHandedOver && !$0.isClosed } }

    private func reopen(_ staging: Staging) throws(FileSystemError) {
        let opened = Guarded<Result<StagedFile, StagingError>?>(nil)
        let done = Semaphore()
        staging.openForWriting(id: id, truncating: false) { result in
            opened.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        guard let result = opened.withLock({ $0 }) else { throw FileSystemError(.inputOutput) }
        let draft = try changing { () throws(StagingError) -> StagedFile in
            do throws(StagingError) { return try result.get() } catch {
                // It was removed since, and who has it open goes on with what he has.
                guard error.kind == .notFound, let accepted = acceptedContents else { throw error }
                return try staging.openNameless(id: id, copying: accepted)
            }
        }
        let old: Source? = state.withLock { state in
            guard state.isHandedOver, !state.isClosed else { return nil }
            defer {
                state.source = .local(draft)
                state.isWriter = true
                state.isHandedOver = false
            }
            return state.source
        }
        guard let old else { return draft.close() }
        SessionFile.release(old)
    }

    private var acceptedContents: FileDescriptor? {
        switch state.withLock({ $0.source }) {
        case .body(let body): body.complete
        case .local(let file): file.descriptor
        }
    }

    /// Makes what was written durable.
    func flush() throws(FileSystemError) {
        guard case .local(let file) = writerSource else { return }
        try changing { () throws(StagingError) in try file.flush() }
    }

    /// Gives the draft up for sending, although a program may still write to this file.
    func handOver() {
        let draft: StagedFile? = state.withLock { state in
            guard state.isWriter, !state.isClosed, case .local(let file) = state.source else { return nil }
            state.isWriter = false
            state.isHandedOver = true
            return file
        }
        draft?.close()
    }

    private var writerSource: Source? {
        state.withLock { state in state.isWriter && !state.isClosed ? state.source : nil }
    }

    func close() {
        let last: (source: Source, isWriter: Bool)? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.isClosed = true
            return (state.source, state.isWriter)
        }
        guard let last else { return }
        guard last.isWriter, case .local(let draft) = last.source else { return SessionFile.release(last.source) }
        // Pages of a mapping are written after the close(2) that flushed. Nobody is left to hear of a failure.
        try? draft.flush()
        draft.close()
    }
}
