internal import ObjectStore
internal import SessionCache

/// Why a change did not come to its end. Decides what is told to the staging.
enum PublishStop: Error {
    /// The reason passes; the change is tried again.
    case later(StoreError)
    /// It is not sent, and stays with this reason.
    case failed(String)
    /// The contents are not to be sent.
    case refused(String)
    /// A removal or a rename that the store refuses: the file goes back.
    case undone(String)
    /// The bucket holds something else than the change expected.
    case conflict(ConflictKind, found: ObjectInfo?)

    /// The stop that a failed request means.
    /// - Parameter undoes: whether what cannot be done goes back, as removals and renames do.
    init(_ error: StoreError, undoes: Bool = false) {
        switch error.kind {
        // A condition that fails where none was expected to: the next try looks at the bucket again.
        case .temporary, .throttled, .unreachable, .offline, .unauthenticated, .noContainer, .cancelled, .local,
            .precondition:
            self = .later(error)
        case .permanent, .notFound, .forbidden, .unsupported:
            self = undoes ? .undone(error.description) : .failed(error.description)
        }
    }

    /// Whether what was done so far has to be taken back.
    var isFinal: Bool {
        switch self {
        case .failed, .refused, .undone, .conflict: true
        case .later: false
        }
    }
}
