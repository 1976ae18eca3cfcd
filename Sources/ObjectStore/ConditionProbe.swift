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
    /// Tries the store's own calls. A store whose calls look conditions up where the server does not honour them, or
    /// find out the spelling of a tag by themselves, has to go down to its requests.
    public func probeConditions(
        early: @escaping @Sendable (_ ifAbsent: Bool) -> Void
    ) async throws(StoreError) -> ConditionSupport {
        let replacing: ConditionProbe.Request = { (key, tag) throws(StoreError) in
            do throws(StoreError) {
                return .done(etag: try await self.put(key, ConditionProbe.body, .ifMatch(tag)).etag)
            } catch  where error.kind == .precondition { return .refused }
        }
        let removing: ConditionProbe.Request = { (key, tag) throws(StoreError) in
            do throws(StoreError) { try await self.delete(key, ifMatch: tag) } catch  where error.kind == .precondition
            {
                return .refused
            }
            return .done(etag: nil)
        }
        return try await ConditionProbe(self).run(
            early: early, replacing: ConditionProbe.Trial(spellings: [replacing]), removing: removing)
    }
}

/// Tries conditions on an object of its own, in as few requests as it takes: each costs a round trip, and writes wait
/// for the answer.
public struct ConditionProbe: Sendable {
    /// What a server says to a request under a condition.
    public enum Answer: Sendable, Equatable {
        /// It was done. The object's tag, where the answer tells it.
        case done(etag: String?)
        /// It was refused because of the condition.
        case refused
    }

    /// A request for an object's key under the condition that it has a tag.
    public typealias Request = @Sendable (_ key: String, _ tag: String) async throws(StoreError) -> Answer

    /// Ways to write ``body`` under the condition of a tag.
    public struct Trial: Sendable {
        /// One for each way to spell the tag, the likeliest first.
        public var spellings: [Request]
        /// Hears which one of them was taken.
        public var taken: @Sendable (Int) -> Void

        /// A trial by its parts.
        public init(spellings: [Request], taken: @escaping @Sendable (Int) -> Void = { _ in }) {
            self.spellings = spellings
            self.taken = taken
        }
    }

    /// A tag that no object has.
    public static let noTag = "00000000000000000000000000000000"
    /// What is written.
    public static let body = ObjectBody.bytes([1])

    /// What the keys of such objects begin with.
    public static let prefix = ".sessionfs-probe-"
    /// Seconds after which such an object was left behind by a process that died.
    private static let abandoned = 60.0

    private let store: any ObjectStore

    /// - Parameter store: its `put` passes `If-None-Match` on to the server.
    public init(_ store: any ObjectStore) { self.store = store }

    /// Writes the object, tries, and removes it. One that was left behind is used again, further ones are removed: there
    /// are never many of them, not even where nothing may be removed.
    /// - Parameters:
    ///   - early: see ``ObjectStore/probeConditions(early:)``.
    ///   - replacing: writes under `If-Match`, without looking the condition up.
    ///   - removing: removes under `If-Match`, without looking the condition up.
    /// - Throws: why it could not be found out.
    public func run(
        early: @Sendable (_ ifAbsent: Bool) -> Void, replacing: Trial, removing: Request
    ) async throws(StoreError) -> ConditionSupport {
        let key = await freeKey()
        do throws(StoreError) {
            var etag = try await store.put(key, Self.body, .always).etag
            let ifAbsent = try await keepsWhatIsThere(key, &etag)
            early(ifAbsent)
            let ifMatch = try await matches(key, &etag, replacing)
            let removal = try await removes(key, removing)
            // A removal that was not refused has happened.
            if case .done = removal {} else { try await discard(key) }
            return ConditionSupport(ifAbsent: ifAbsent, ifMatch: ifMatch, deleteIfMatch: removal == .refused)
        } catch {
            try? await store.delete(key, ifMatch: nil)
            throw error
        }
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

    private func discard(_ key: String) async throws(StoreError) {
        do throws(StoreError) { try await store.delete(key, ifMatch: nil) } catch  where error.kind == .forbidden {}
    }

    /// Whether `If-None-Match: *` keeps the object from being written over.
    /// - Parameter etag: of the object as it is afterwards; nil when that is not known.
    private func keepsWhatIsThere(_ key: String, _ etag: inout String?) async throws(StoreError) -> Bool {
        let answer = try await answer { () throws(StoreError) in
            do throws(StoreError) {
                return .done(etag: try await store.put(key, Self.body, .ifAbsent).etag)
            } catch  where error.kind == .precondition { return .refused }
        }
        note(answer, &etag)
        return answer == .refused
    }

    /// Whether `If-Match` lets the object's own version through and no other. Refusing everything is no condition.
    private func matches(_ key: String, _ etag: inout String?, _ trial: Trial) async throws(StoreError) -> Bool {
        if etag == nil { etag = try await store.head(key).etag }
        guard let current = etag else { return false }
        for (number, request) in trial.spellings.enumerated() {
            let answer = try await answer { () throws(StoreError) in try await request(key, current) }
            note(answer, &etag)
            guard let answer else { return false }
            if answer == .refused { continue }
            trial.taken(number)
            return try await self.answer { () throws(StoreError) in try await request(key, Self.noTag) } == .refused
        }
        return false
    }

    /// - Returns: nil where the server knows no such condition, or nothing may be removed.
    private func removes(_ key: String, _ removing: Request) async throws(StoreError) -> Answer? {
        do throws(StoreError) {
            return try await answer { () throws(StoreError) in try await removing(key, Self.noTag) }
        } catch  where error.kind == .forbidden { return nil }
    }

    private func note(_ answer: Answer?, _ etag: inout String?) {
        switch answer {
        case .refused: break
        case .done(let new): etag = new
        // Whether it was written or not.
        case nil: etag = nil
        }
    }

    /// - Returns: nil where the server knows no such condition.
    private func answer(
        _ request: () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer? {
        do throws(StoreError) { return try await request() } catch  where error.kind == .unsupported { return nil }
    }
}
