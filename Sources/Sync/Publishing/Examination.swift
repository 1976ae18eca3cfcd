internal import ObjectStore
internal import Platform

/// The one pass over staged contents, which may go on while their parts are sent.
final class Examination: Sendable {
    /// The contents, open.
    let file: FileDescriptor
    /// The pass under way; nil where it was made before.
    private let current: StagedPass?
    private let pass: Task<Result<StagedFacts, PublishStop>, Never>
    private let ended = Guarded<Result<StagedFacts, PublishStop>?>(nil)

    /// A pass that was made before.
    init(of file: FileDescriptor, known: StagedFacts) {
        self.file = file
        current = nil
        pass = Task { .success(known) }
        ended.withLock { $0 = .success(known) }
    }

    /// Begins a pass, or goes on with it.
    init(
        of file: FileDescriptor, _ current: StagedPass,
        work: @escaping @Sendable () async -> Result<StagedFacts, PublishStop>
    ) {
        self.file = file
        self.current = current
        pass = Task { [ended] in
            let result = await work()
            ended.withLock { $0 = result }
            return result
        }
    }

    /// What the contents are, when that is known.
    /// - Throws: why they are not to be sent.
    func facts() async throws(PublishStop) -> StagedFacts { try await pass.value.get() }

    /// What is known of a part by now.
    func digests(of part: Range<UInt64>) -> ContentDigests { current?.digests(of: part) ?? ContentDigests() }

    /// Why the contents are not to be sent; nil while that is not known, and when they are.
    var stop: PublishStop? {
        guard case .failure(let stop) = ended.withLock({ $0 }) else { return nil }
        return stop
    }

    /// Waits for the end, and calls `body` when the contents are not to be sent.
    func ifStopped(_ body: () -> Void) async {
        if case .failure = await pass.value { body() }
    }
}
