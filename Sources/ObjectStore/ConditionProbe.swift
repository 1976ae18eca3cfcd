internal import Platform

/// What a write can rely on at a server, found out by trying and not by believing.
public struct ConditionSupport: Sendable, Equatable {
    /// `If-None-Match: *` on a write.
    public var ifAbsent: Bool
    /// `If-Match` on a write.
    public var ifMatch: Bool
    /// `If-Match` on a removal.
    public var deleteIfMatch: Bool

    /// A support by its parts.
    public init(ifAbsent: Bool, ifMatch: Bool, deleteIfMatch: Bool) {
        self.ifAbsent = ifAbsent
        self.ifMatch = ifMatch
        self.deleteIfMatch = deleteIfMatch
    }

    /// Everything is honoured.
    public static let all = ConditionSupport(ifAbsent: true, ifMatch: true, deleteIfMatch: true)
    /// Nothing is honoured: writes are verified afterwards.
    public static let none = ConditionSupport(ifAbsent: false, ifMatch: false, deleteIfMatch: false)
}

extension ObjectStore {
    /// Tries the store's own calls. A store whose calls look conditions up where the server does not honour them has to
    /// find out by itself.
    public func probeConditions() async throws(StoreError) -> ConditionSupport {
        try await ConditionProbe(self).run { (key, tag) throws(StoreError) in
            do throws(StoreError) { try await self.delete(key, ifMatch: tag) } catch  where error.kind == .precondition
            {
                return true
            }
            return false
        }
    }
}

/// Tries conditions on an object of its own.
public struct ConditionProbe: Sendable {
    /// A tag that no object has.
    public static let noTag = "00000000000000000000000000000000"

    /// What the keys of such objects begin with.
    public static let prefix = ".sessionfs-probe-"
    /// Seconds after which such an object was left behind by a process that died.
    private static let abandoned = 60.0

    private let store: any ObjectStore

    /// - Parameter store: its `put` passes conditions on to the server.
    public init(_ store: any ObjectStore) { self.store = store }

    /// Writes the object, tries, and removes it. One that was left behind is used again, further ones are removed: there
    /// are never many of them, not even where nothing may be removed.
    /// - Parameter refusesDelete: asks the server to remove an object of a key if it has a tag, and tells whether it
    ///   refused to because of that. Called with a tag that the object does not have.
    /// - Throws: why it could not be found out.
    public func run(
        refusesDelete: (_ key: String, _ tag: String) async throws(StoreError) -> Bool
    ) async throws(StoreError) -> ConditionSupport {
        let key = await freeKey()
        let support: ConditionSupport
        do throws(StoreError) { support = try await trying(key, refusesDelete) } catch {
            try? await store.delete(key, ifMatch: nil)
            throw error
        }
        do throws(StoreError) { try await store.delete(key, ifMatch: nil) } catch  where error.kind == .forbidden {}
        return support
    }

    /// The key of an object that was left behind, else a fresh one. Not being able to look is no harm.
    private func freeKey() async -> String {
        let fresh = Self.prefix + String(UInt64.random(in: .min ... .max), radix: 36)
        guard let page = try? await store.list(ListRequest(prefix: Self.prefix, limit: 100)) else { return fresh }
        let now = Timestamp.now
        var left = page.objects.filter { now.seconds(since: $0.modified ?? now) > Self.abandoned }.map(\.key)
        let key = left.popLast() ?? fresh
        for other in left { try? await store.delete(other, ifMatch: nil) }
        return key
    }

    private func trying(
        _ key: String, _ refusesDelete: (_ key: String, _ tag: String) async throws(StoreError) -> Bool
    ) async throws(StoreError) -> ConditionSupport {
        let first = try await store.put(key, .bytes([1]), .always)
        let ifAbsent = try await refuses(key, .ifAbsent)
        var ifMatch = try await refuses(key, .ifMatch(Self.noTag))
        if ifMatch {
            // Refusing everything is no condition either.
            let current = try await store.head(key).etag ?? first.etag ?? Self.noTag
            ifMatch = try await !refuses(key, .ifMatch(current))
        }
        var deletes = false
        do throws(StoreError) { deletes = try await refusesDelete(key, Self.noTag) } catch
            where error.kind == .unsupported
        {}
        return ConditionSupport(ifAbsent: ifAbsent, ifMatch: ifMatch, deleteIfMatch: deletes)
    }

    /// Whether the object is not written over because of a condition.
    private func refuses(_ key: String, _ condition: WriteCondition) async throws(StoreError) -> Bool {
        do throws(StoreError) {
            _ = try await store.put(key, .bytes([2]), condition)
        } catch  where error.kind == .precondition {
            return true
        } catch  where error.kind == .unsupported {
            // Not honoured, whether it was written or not.
        }
        return false
    }
}
