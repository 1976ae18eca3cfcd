import ObjectStore
import Platform
import TestSupport
import Testing

@testable import Sync

@Suite struct BodyCheckTests {
    private func objects(_ bucket: MemoryStore, _ numbers: some Sequence<Int>) -> [ObjectInfo] {
        numbers.map { bucket.set(bodyKey($0), body($0)) }
    }

    @Test func newSessionsAreLookedAtWithOneListing() async throws {
        let bucket = MemoryStore()
        _ = objects(bucket, [1, 2, 3, 700, 701])
        let sent = objects(bucket, 100..<400)
        let store = FaultyStore(bucket)
        let found = await BodyCheck(store: store, mayList: true).look(at: sent.reversed())
        #expect(found.allSatisfy { (try? $0.get()) == .stands })
        #expect(found.count == 300)
        #expect(store.requests.map(\.verb) == [.list])
    }

    @Test func whatIsReplacedOrGoneIsTold() async throws {
        let bucket = MemoryStore()
        let sent = objects(bucket, 100..<110)
        let other = bucket.set(bodyKey(103), body(3))
        bucket.unset(bodyKey(107))
        for mayList in [true, false] {
            let store = FaultyStore(bucket)
            let found = await BodyCheck(store: store, mayList: mayList).look(at: sent)
            for (index, standing) in found.enumerated() {
                let wanted: Standing = index == 3 ? .replaced(other) : index == 7 ? .gone : .stands
                #expect(try standing.get() == wanted)
            }
            #expect(store.count(.head) == (mayList ? 2 : 10))
        }
    }

    /// Sessions that stand far from each other are asked for one by one: pages would show mostly others'.
    @Test func scatteredSessionsAreNotListed() async throws {
        let bucket = MemoryStore()
        _ = objects(bucket, 0..<2000)
        let sent = objects(bucket, stride(from: 5, to: 2000, by: 400))
        let store = FaultyStore(bucket)
        let found = await BodyCheck(store: store, mayList: true).look(at: sent)
        #expect(found.allSatisfy { (try? $0.get()) == .stands })
        #expect(store.count(.list) == 1)
        #expect(store.count(.head) == sent.count - 1)
    }

    @Test func fewAreAskedFor() async throws {
        let bucket = MemoryStore()
        let sent = objects(bucket, 1..<3)
        let store = FaultyStore(bucket)
        _ = await BodyCheck(store: store, mayList: true).look(at: sent)
        #expect(store.requests.map(\.verb) == [.head, .head])
    }

    @Test func namesThatLookAlikeAreDifferentOnes() async throws {
        let bucket = MemoryStore()
        let keys = [
            "sessions/1_e\u{301}.fastshot", "sessions/1_\u{e9}.fastshot", "sessions/2.fastshot",
            "sessions/3.fastshot",
        ]
        let sent = keys.map { bucket.set($0, Array($0.utf8)) }
        bucket.unset(keys[0])
        let found = await BodyCheck(store: bucket, mayList: true).look(at: sent)
        #expect(try found.map { try $0.get() } == [.gone, .stands, .stands, .stands])
    }

    @Test func failuresAreTold() async throws {
        let bucket = MemoryStore()
        let sent = objects(bucket, 1..<6)
        let store = FaultyStore(bucket)
        store.inject(.fail(.lost), verb: .list)
        store.inject(.fail(.lost), verb: .head, key: bodyKey(3))
        let found = await BodyCheck(store: store, mayList: true).look(at: sent)
        #expect(throws: StoreError.self) { try found[2].get() }
        #expect(try found[4].get() == .stands)
    }
}
