internal import Catalog
internal import Platform

/// Why a change was not taken: a kind that the tree turns into an errno, and words for the user.
public struct StagingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong.
    public enum Kind: String, Sendable, CaseIterable {
        /// No such name.
        case notFound
        /// The name is taken.
        case exists
        /// Not possible here, whatever the rights: a directory in `sessions/`.
        case notPermitted
        /// Another process holds the state directory: this mount shows and does not change.
        case readOnly
        /// The name is still needed by a change that is on its way.
        case busy
        /// It has to be done by copying, as between filesystems; programs such as mv do so by themselves.
        case crossDevice
        /// The name cannot be in a bucket.
        case invalidName
        case nameTooLong
        /// The state directory's disk is full.
        case diskFull
        /// The file is larger than what is allowed.
        case tooLarge
        /// The bytes to be edited are not here, and the store cannot be reached.
        case offline
        /// The store refused the credentials.
        case denied
        /// The object was replaced while it was fetched for editing.
        case changed
        /// The bytes fetched for editing do not have their checksum, or the journal is damaged.
        case corrupt
        case interrupted
        /// The disk or the journal failed.
        case io
    }

    /// What went wrong; the tree makes an errno of it.
    public let kind: Kind
    /// What happened, on which file. Holds no credentials.
    public let message: String

    /// An error by its parts.
    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// `exists: x.fastshot`.
    public var description: String { "\(kind.rawValue): \(message)" }
}

extension StagingError {
    /// What a failed system call means to a program.
    init(_ error: SystemError) {
        let kind: Kind = error.isDiskFull ? .diskFull : FileDescriptor.isTooLarge(error) ? .tooLarge : .io
        self.init(kind, error.description)
    }

    /// What a failed database means to a program.
    init(_ error: CatalogError) {
        let kind: Kind =
            switch error.kind {
            case .full: .diskFull
            case .corrupt: .corrupt
            case .busy, .io, .newerSchema, .closed, .misuse: .io
            }
        self.init(kind, error.description)
    }

    /// What keeps a body from being fetched, as a program that reads or edits it hears it.
    public init(_ error: CacheError) {
        let kind: Kind =
            switch error.kind {
            case .notFound: .notFound
            case .changed: .changed
            case .offline: .offline
            case .denied: .denied
            case .corrupt: .corrupt
            case .diskFull: .diskFull
            case .interrupted: .interrupted
            case .io: .io
            }
        self.init(kind, error.message)
    }
}
