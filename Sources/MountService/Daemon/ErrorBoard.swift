internal import Control
internal import Platform

/// The last errors, for `sessionfs status`. Equal errors in a row count once, by their last time.
final class ErrorBoard: Sendable {
    private let notices = Guarded<[ErrorNotice]>([])
    private static let capacity = 20

    func post(_ subject: String, _ message: String) {
        notices.withLock { notices in
            notices.removeAll { $0.subject == subject && $0.message == message }
            notices.append(ErrorNotice(time: .now, subject: subject, message: message))
            if notices.count > ErrorBoard.capacity { notices.removeFirst() }
        }
    }

    /// Newest first.
    var newest: [ErrorNotice] { notices.withLock { $0.reversed() } }
}
