import ObjectStore
import Platform
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct ConditionProbeTests {
    private let memory = MemoryStore()
    private let store: FaultyStore
    private let heard = Guarded<[Bool]>([])

    init() { store = FaultyStore(memory) }

    /// - Parameters:
    ///   - refuses: which tags a write is refused for, in each spelling.
    ///   - removal: the answer to a removal; nil carries it out under its condition.
    private func probe(
        refuses: [@Sendable (_ tag: String, _ current: String) -> Bool] = [{ $0 != $1 }],
        taken: Guarded<[Int]> = Guarded([]), removal: StoreError? = nil
    ) async throws(StoreError) -> ConditionSupport {
        let store = store
        let removing: ConditionProbe.Request = { (key, tag) throws(StoreError) in
            if let removal { throw removal }
            do throws(StoreError) { try await store.delete(key, ifMatch: tag) } catch
                where error.kind == .precondition
            { return .refused }
            return .done(etag: nil)
        }
        return try await ConditionProbe(store).run(
            early: { ifAbsent in heard.withLock { $0.append(ifAbsent) } },
            replacing: ConditionProbe.Trial(spellings: refuses.map { replacing($0) }) { number in
                taken.withLock { $0.append(number) }
            },
            removing: removing)
    }

    private func replacing(_ refuses: @escaping @Sendable (String, String) -> Bool) -> ConditionProbe.Request {
        let (memory, store) = (memory, store)
        return { (key, tag) throws(StoreError) in
            if refuses(tag, try await memory.head(key).etag ?? "") { return .refused }
            return .done(etag: try await store.put(key, ConditionProbe.body, .always).etag)
        }
    }

    @Test func whatIsHonouredIsFoundInFewRequests() async throws {
        #expect(try await probe() == .all)
        #expect(store.requests.map(\.verb) == [.list, .put, .put, .put, .delete, .delete])
        #expect(heard.withLock { $0 } == [true])
        #expect(memory.keys.isEmpty)
    }

    /// As with Ceph, where a tag in quotes is never the right one.
    @Test func theSpellingThatIsTakenIsFound() async throws {
        let taken = Guarded<[Int]>([])
        #expect(try await probe(refuses: [{ (_, _) in true }, { $0 != $1 }], taken: taken) == .all)
        #expect(taken.withLock { $0 } == [1])
        #expect(memory.keys.isEmpty)
    }

    @Test(arguments: [true, false]) func refusingOrTakingEverythingIsNoCondition(refuses: Bool) async throws {
        let found = try await probe(refuses: [{ (_, _) in refuses }])
        #expect(found == ConditionSupport(ifAbsent: true, ifMatch: false, deleteIfMatch: true))
        #expect(memory.keys.isEmpty)
    }

    @Test func whereNothingMayBeRemovedTheRestIsFoundOut() async throws {
        let denied = StoreError(.forbidden, message: "not allowed", status: 403)
        for _ in 0..<3 {
            store.inject(.fail(denied), verb: .delete)
            let found = try await probe(removal: denied)
            #expect(found == ConditionSupport(ifAbsent: true, ifMatch: true, deleteIfMatch: false))
            store.clearFaults()
        }
        #expect(memory.keys.allSatisfy { $0.hasPrefix(ConditionProbe.prefix) })
    }

    @Test func aProbeThatFailsLeavesNothing() async throws {
        let lost = StoreError(.temporary, message: "lost", status: 503)
        store.inject(.fail(lost), verb: .put, nth: 2)
        await #expect(throws: lost) { try await probe() }
        #expect(memory.keys.isEmpty)
        #expect(heard.withLock { $0 }.isEmpty)
    }
}
