public import JSON
public import Platform

/// The kinds of long work that run in the background (O1).
public enum OperationKind: String, Sendable, CaseIterable {
    case refresh, download, upload, verify, repair, rebuild, flush
}

/// Where an operation stands.
public enum OperationState: String, Sendable, CaseIterable {
    case running, done, failed, cancelled
    /// Whether it will change no more.
    public var isFinal: Bool { self != .running }
}

/// A picture of an operation at one moment.
public struct OperationSnapshot: Sendable, Equatable {
    /// Unique within the daemon's life; increasing.
    public var id: UInt64
    /// What kind of work it is.
    public var kind: OperationKind
    /// What it works on: an object's key, a store.
    public var subject: String
    /// Where it stands.
    public var state: OperationState
    /// Units done: bytes for downloads, items else.
    public var completed: UInt64
    /// Units in all, where known.
    public var total: UInt64?
    /// The step in words, or the result, or the reason of failure.
    public var message: String
    /// When it began.
    public var started: Timestamp
    /// When it ended; nil while it runs.
    public var ended: Timestamp?

    /// A picture by its parts, for who reads one from the control API.
    public init(
        id: UInt64, kind: OperationKind, subject: String, state: OperationState, completed: UInt64, total: UInt64?,
        message: String, started: Timestamp, ended: Timestamp?
    ) {
        self.id = id
        self.kind = kind
        self.subject = subject
        self.state = state
        self.completed = completed
        self.total = total
        self.message = message
        self.started = started
        self.ended = ended
    }

    /// The JSON of the control API and `--json`.
    public var json: JSONValue {
        var object: [(String, JSONValue)] = [
            ("id", .integer(Int64(id))), ("kind", .string(kind.rawValue)), ("subject", .string(subject)),
            ("state", .string(state.rawValue)), ("completed", .integer(Int64(completed))),
            ("total", total.map { .integer(Int64($0)) } ?? .null), ("message", .string(message)),
            ("started", .string(started.iso8601)), ("ended", ended.map { .string($0.iso8601) } ?? .null),
        ]
        if let total, total > 0 {
            object.append(("percent", .integer(Int64(min(100, completed * 100 / total)))))
        }
        return .object(object)
    }
}

/// The registry of long work: id, progress, cancel, result. Ended operations are kept for a while, the newest first.
public final class OperationRegistry: Sendable {
    private struct State {
        var next: UInt64 = 1
        var running: [UInt64: Entry] = [:]
        var ended: [OperationSnapshot] = []
        var watchers: [UInt64: @Sendable (OperationSnapshot) -> Void] = [:]
    }
    private struct Entry {
        var snapshot: OperationSnapshot
        var cancel: @Sendable () -> Void
    }

    private let state = Guarded(State())
    private let keep: Int

    /// - Parameter keep: how many ended operations stay listed. Default 200.
    public init(keep: Int = 200) { self.keep = keep }

    /// Registers work that begins now.
    /// - Parameter cancel: called at most once, from any thread, when somebody asks to stop it.
    public func begin(
        _ kind: OperationKind, subject: String, total: UInt64? = nil, cancel: @escaping @Sendable () -> Void = {}
    ) -> OperationHandle {
        let id = state.withLock { state in
            let id = state.next
            state.next += 1
            let snapshot = OperationSnapshot(
                id: id, kind: kind, subject: subject, state: .running, completed: 0, total: total, message: "",
                started: .now, ended: nil)
            state.running[id] = Entry(snapshot: snapshot, cancel: cancel)
            return id
        }
        return OperationHandle(id: id, registry: self)
    }

    /// Running operations in order of their start, then ended ones, newest first.
    public func list() -> [OperationSnapshot] {
        state.withLock { state in
            state.running.values.map(\.snapshot).sorted { $0.id < $1.id } + state.ended.reversed()
        }
    }

    /// One operation, or nil when it is unknown or was cleaned up.
    public func snapshot(_ id: UInt64) -> OperationSnapshot? {
        state.withLock { state in state.running[id]?.snapshot ?? state.ended.first { $0.id == id } }
    }

    /// Asks an operation to stop.
    /// - Returns: false when it is unknown or has ended.
    public func cancel(_ id: UInt64) -> Bool {
        let cancel = state.withLock { state in state.running[id]?.cancel }
        cancel?()
        return cancel != nil
    }

    fileprivate func update(_ id: UInt64, _ change: (inout OperationSnapshot) -> Void) {
        state.withLock { state in
            guard var entry = state.running[id] else { return }
            change(&entry.snapshot)
            state.running[id] = entry
        }
    }

    fileprivate func end(_ id: UInt64, _ final: OperationState, _ message: String) {
        state.withLock { state in
            guard var snapshot = state.running.removeValue(forKey: id)?.snapshot else { return }
            snapshot.state = final
            snapshot.message = message
            snapshot.ended = .now
            state.ended.append(snapshot)
            if state.ended.count > keep { state.ended.removeFirst(state.ended.count - keep) }
        }
    }
}

/// The worker's end of an operation.
public struct OperationHandle: Sendable {
    /// The operation's id.
    public let id: UInt64
    fileprivate let registry: OperationRegistry

    /// Reports progress; units as in ``OperationSnapshot/completed``.
    public func progress(completed: UInt64, total: UInt64? = nil, message: String? = nil) {
        registry.update(id) { snapshot in
            snapshot.completed = completed
            if let total { snapshot.total = total }
            if let message { snapshot.message = message }
        }
    }

    /// Ends it well.
    public func finish(_ message: String = "") { registry.end(id, .done, message) }
    /// Ends it with a reason.
    public func fail(_ message: String) { registry.end(id, .failed, message) }
    /// Ends it because somebody asked.
    public func cancelled(_ message: String = "cancelled") { registry.end(id, .cancelled, message) }
}
