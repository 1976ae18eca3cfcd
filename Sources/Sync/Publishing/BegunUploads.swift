internal import JSON
internal import ObjectStore
internal import Platform

/// Objects whose upload in parts was begun lately. The answer to a beginning may be lost, with the connection or with
/// this process: only the server knows of that upload then. So it is written down before, and looked for later.
final class BegunUploads: Sendable {
    /// When uploads of one object were begun, by this machine's clock.
    struct Item: Sendable, Equatable {
        var key: String
        var first: Timestamp
        var last: Timestamp
    }
    private struct State {
        var items: [String: Item] = [:]
        /// Objects whose upload is under way here.
        var active: Set<String> = []
    }

    /// How far the server's clock may be from ours, in seconds: S3 refuses requests beyond that.
    static let skew = 900.0

    private let path: String
    private let age: Double
    private let state: Guarded<State>

    /// - Parameters:
    ///   - path: a small file that they are kept in, so that a restart goes on.
    ///   - age: seconds after the last beginning until they are looked for.
    init(path: String, age: Double) {
        self.path = path
        self.age = age
        var held = State()
        if let bytes = try? Files.read(path), let document = try? JSONValue.parse(bytes) {
            for entry in document["uploads"]?.array ?? [] {
                guard let key = entry["key"]?.string, let first = entry["first"]?.integer,
                    let last = entry["last"]?.integer
                else { continue }
                held.items[key] = Item(
                    key: key, first: Timestamp(nanoseconds: first), last: Timestamp(nanoseconds: last))
            }
        }
        state = Guarded(held)
    }

    /// An upload is about to be begun. Durable when it returns.
    func begin(_ key: String) {
        let now = Timestamp.now
        state.withLock { state in
            state.items[key, default: Item(key: key, first: now, last: now)].last = now
            state.active.insert(key)
            save(state.items)
        }
    }

    /// The upload of an object is under way no more, or never was.
    func end(_ key: String) { state.withLock { _ = $0.active.remove(key) } }

    /// Seconds until some are to be looked for; nil: there are none.
    func wait(_ now: Timestamp) -> Double? {
        state.withLock { state in
            state.items.values.filter { !state.active.contains($0.key) }.map { due($0).seconds(since: now) }.min()
        }
    }

    /// Those that are to be looked for now.
    func due(_ now: Timestamp) -> [Item] {
        state.withLock { state in
            state.items.values.filter { !state.active.contains($0.key) && due($0) <= now }.sorted { $0.key < $1.key }
        }
    }

    /// They have been looked for. Those that were begun anew meanwhile stay.
    func settle(_ items: [Item]) {
        state.withLock { state in
            for item in items where state.items[item.key] == item { state.items[item.key] = nil }
            save(state.items)
        }
    }

    private func due(_ item: Item) -> Timestamp { item.last.later(by: age) }

    /// Whether an upload of the server's list may be one of these, and is so old that somebody who goes on with it would
    /// have sent a part.
    func mayBeLost(_ upload: MultipartUpload, _ item: Item, _ now: Timestamp) -> Bool {
        guard let begun = upload.begun, upload.key.utf8.elementsEqual(item.key.utf8) else { return false }
        return begun.later(by: Self.skew) >= item.first && begun <= item.last.later(by: Self.skew)
            && begun.later(by: age) <= now.later(by: 1)
    }

    /// In the lock, so that the file is as the last one left it.
    private func save(_ items: [String: Item]) {
        let entries = items.values.sorted { $0.key < $1.key }.map { item -> JSONValue in
            .object([
                ("key", .string(item.key)), ("first", .integer(item.first.nanoseconds)),
                ("last", .integer(item.last.nanoseconds)),
            ])
        }
        let bytes = JSONValue.object([("uploads", .array(entries))]).serialized()
        do throws(SystemError) { try Files.replace(path, with: bytes) } catch {
            PublishContext.log.warning("begun uploads are not kept", ["cause": error.description])
        }
    }
}
