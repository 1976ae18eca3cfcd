import Catalog
import ObjectStore
import Platform
import TestSupport
import Testing

@testable import SessionCache

/// Bodies that are renamed while they arrive.
@Suite(.timeLimit(.minutes(2))) struct MovedBodyTests {
    private let bytes = pattern(500_000)

    /// Fetches the first bytes, moves the object as a rename does, and lets the line break.
    private func movedAmid(
        _ fixture: Fixture, _ id: Int64, _ copy: [UInt8], isTold: Bool
    ) async throws -> OpenBody {
        let gate = Gate()
        fixture.store.script { request in
            var answer = ScriptedStore.Answer()
            if request.number == 0 {
                answer.pause = (131_072, gate)
                answer.cutAfter = (131_072, StoreError(.temporary, message: "cut"))
            }
            return answer
        }
        let body = try fixture.cache.open(id)
        #expect(try await body.bytes(at: 0, count: 100) == Array(bytes[..<100]))
        let source = try await fixture.store.head("sessions/a.fastshot")
        fixture.store.set("sessions/b.fastshot", copy, etag: "copy-1", contentMD5: nil)
        if isTold {
            let target = try await fixture.store.head("sessions/b.fastshot")
            fixture.cache.moving(id: id, from: source, to: "b.fastshot", as: target)
        }
        fixture.store.remove("sessions/a.fastshot")
        gate.open()
        return body
    }

    @Test func aReaderGoesOnWithTheCopy() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", bytes)
        let body = try await movedAmid(fixture, id, bytes, isTold: true)
        #expect(try await body.bytes(at: 0, count: bytes.count) == bytes)
        // What had arrived is not fetched again.
        let last = try #require(fixture.store.requests.last)
        #expect(last.key == "sessions/b.fastshot")
        #expect(last.ifMatch == "copy-1")
        #expect(last.start == 131_072)
    }

    @Test func aReaderOfWhatIsGoneHearsOfIt() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", bytes)
        let body = try await movedAmid(fixture, id, bytes, isTold: false)
        #expect(await body.failure(at: 0, count: bytes.count) == .notFound)
        try await eventually { try fixture.catalog.entry(id: id) == nil }
    }

    /// Bytes of another version than the one that was begun are never mixed in.
    @Test func anotherVersionIsNotGoneOnWith() async throws {
        let fixture = try Fixture()
        let id = try await fixture.add("a.fastshot", bytes)
        let other = pattern(500_000, seed: 9)
        fixture.store.remove("sessions/a.fastshot")
        fixture.store.set("sessions/b.fastshot", other)
        let target = try await fixture.store.head("sessions/b.fastshot")
        let source = ObjectInfo(key: "sessions/a.fastshot", size: 500_000, etag: "later")
        fixture.cache.moving(id: id, from: source, to: "b.fastshot", as: target)
        // Nothing was handed out: what the rename has moved is what the session is.
        #expect(try await fixture.cache.open(id).everything() == other)
    }

    @Test func anObjectThatGoesOnMovingIsGivenUp() throws {
        var plan = makePlan(size: mib, digest: .md5("aa"))
        var actions = plan.prepared(now: start)
        for round in 1...plan.policy.moves {
            let fetch = try #require(actions.fetches.first)
            #expect(plan.ended(fetch.ticket, StoreError(.notFound, message: "gone"), now: start).last == .locate)
            let moved = MovedBody(
                fileName: "\(round)", source: .init(etag: round == 1 ? "v1" : "v\(round)", size: mib),
                version: .init(etag: "v\(round + 1)", size: mib))
            actions = plan.located(.success(moved), now: start)
            #expect(actions.fetches.first?.ifMatch == "v\(round + 1)")
        }
        let fetch = try #require(actions.fetches.first)
        _ = plan.ended(fetch.ticket, StoreError(.notFound, message: "gone"), now: start)
        let moved = MovedBody(fileName: "x", version: .init(etag: "x", size: mib))
        #expect(plan.located(.success(moved), now: start).end == .notFound)
    }

    /// Who could not be asked is no reason to forget the session.
    @Test func aStoreThatDoesNotAnswerDoesNotMakeItGone() throws {
        var plan = makePlan(size: mib)
        let fetch = try #require(plan.prepared(now: start).fetches.first)
        _ = plan.ended(fetch.ticket, StoreError(.notFound, message: "gone"), now: start)
        let actions = plan.located(.failure(StoreError(.unreachable, message: "away")), now: start)
        #expect(actions.end == .offline)
        #expect(!actions.contains(.forget))
    }
}
